"""A decoder that follows docs/bitstream.md, in plain integers and numpy, beside the library."""

import hashlib
import json
import math
from bisect import bisect_right
from pathlib import Path

import numpy as np
import pytest
from container_by_the_text import Levels, version_1, version_2
from safetensors import safe_open

from vcm import pipeline, weightfile
from vcm.codec.api import Codec
from vcm.codec.format.coder import Coder
from vcm.codec.models.tabulate import gaussian_tables
from vcm.roi.mask import RoiMask

GOLDEN = Path(__file__).parents[1] / "golden"
BASE = weightfile.find()
TOP = 2**64 - 1
RAW = [256 * v for v in range(2**16 + 1)]  # of the uniform model
ORDER = 0, 3, 1, 2


class ByTheText:
    """Section 3.2, word by word."""

    def __init__(self, data: bytes, cdf, length, offset, silent=0):
        data += bytes(-len(data) % 4)
        self.words = [int(word) for word in np.frombuffer(data, ">u4")]
        self.lower, self.range = 0, TOP
        self.point = self.word() << 32 | self.word()
        self.rest, self.count, self.silent = 8 * len(data), 0, silent
        self.offset = [int(value) for value in offset]
        self.left = []
        for row, used in zip(cdf.tolist(), length.tolist(), strict=True):
            n = used - 1
            self.left.append([i + (row[i] * (2**24 - n) >> 16) for i in range(n)] + [2**24])

    def word(self) -> int:
        return self.words.pop(0) if self.words else 0

    def symbol(self, left: list[int]) -> int:
        scale = self.range >> 24
        share = (self.point - self.lower) % 2**64 // scale
        assert share < 2**24
        entry = bisect_right(left, share) - 1
        self.lower = (self.lower + scale * left[entry]) % 2**64
        self.range = scale * (left[entry + 1] - left[entry])
        while self.range < 2**32:
            self.lower, self.range = (self.lower << 32) % 2**64, self.range << 32
            self.point = (self.point << 32 | self.word()) % 2**64
        self.rest -= 24 - math.log2(left[entry + 1] - left[entry])
        assert self.rest >= -96
        return entry

    def part(self, rows):
        found, escaped = np.zeros(len(rows), int), []
        for i in sorted(np.flatnonzero(rows >= self.silent), key=lambda i: rows[i]):  # stable
            left = self.left[rows[i]]
            entry = self.symbol(left)
            found[i] = entry + self.offset[rows[i]]
            escaped += [i] if entry == len(left) - 2 else []
        self.count += np.count_nonzero(rows >= self.silent) + len(escaped)
        for i in sorted(escaped):
            found[i] = self.symbol(RAW) - 2**15
        return found

    def end(self) -> None:
        assert self.rest <= 128 + 0.006 * self.count


class Model:
    """A weight file and its networks: sections 3.4 to 3.6."""

    def __init__(self, path: Path):
        with safe_open(path, "np") as file:
            self.tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            card = file.metadata()
        assert card["format"] == "vcm-codec-1" and card["sha256"] == self.digest("").hex()
        self.sizes = {"below": 0} | json.loads(card["sizes"])
        decoder = "g_s.", "inverse_gain.", "parameters_y.", "tables."
        self.fingerprint = self.digest(decoder)[:8]

    def digest(self, starts) -> bytes:
        total = hashlib.sha256()
        for name, t in sorted(self.tensors.items()):
            if name.startswith(starts):
                total.update(f"{name} torch.{t.dtype} {t.shape}\n".encode("ascii") + t.tobytes())
        return total.digest()

    def string(self, data: bytes, name: str, silent: int = 0) -> ByTheText:
        fields = "cdf", "length", "offset"
        return ByTheText(data, *(self.tensors[f"tables.{name}.{k}"] for k in fields), silent)

    def integers(self, name: str, x, groups: int = 1):
        w, b = (self.tensors[f"parameters_y.{name}.{k}"].astype(float) for k in ("weight", "bias"))
        size = np.abs(w).reshape(len(w), -1)
        peak, total = (np.maximum(t, 1e-6) for t in (size.max(1), size.sum(1)))
        exponent = np.frexp(np.minimum(127 / peak, 2**23 / (255 * total)))[1] - 1
        scale = 2.0 ** exponent.clip(-8, 14)
        bias = np.rint((b * 64 * scale).clip(-(2**22), 2**22))
        sums = convolution(x, np.rint(w * scale[:, None, None, None]), bias, groups)
        return sums / scale[:, None, None]

    def relu(self, name: str, x):
        return np.rint(self.integers(name, x)).clip(0, 255)

    def real(self, name: str, x):
        w, b = (self.tensors[f"g_s.{name}.{k}"].astype(np.float32) for k in ("weight", "bias"))
        return convolution(x, w, b)

    def gain(self, name: str, quality):
        """(channels, h, w) of qualities (h, w)."""
        E = self.tensors[f"{name}.log_gain"].astype(np.float32)
        below, slope = self.sizes["below"], (E[7] - E[0]) / 7
        for n in range(1, below + 1):
            D = self.tensors[f"{name}.log_below"].astype(np.float32)
            E = np.concatenate([[E[n - 1] - n * slope + D[n - 1]], E])
        p = (7 * quality / 10_000 + below).clip(0, len(E) - 1)
        k = np.minimum(p.astype(int), len(E) - 2)
        log = E[k] + (p - k)[..., None].astype(np.float32) * (E[k + 1] - E[k])
        return np.exp(log).transpose(2, 0, 1)

    def blocks(self, name: str, count: int, f):
        for block in (f"{name}.{i}" for i in range(count)):
            inner = self.real(f"{block}.conv1", f)
            f = f + self.real(
                f"{block}.conv2", np.where(inner >= 0, inner, np.float32(0.1) * inner)
            )
        return f

    def latent(self, z: bytes, y: bytes, quality, side: int):
        """Sections 3.3 and 3.4: y_hat in sixteenths, (M, h, w), of qualities (h, w)."""
        M, Z, (h, w) = self.sizes["M"], self.sizes["Z"], quality.shape
        level = np.floor_divide(quality * 255 + 5000, 10_000)
        size = Z, -(-h // 4), -(-w // 4)
        reader = self.string(z, "z")
        z_hat = reader.part(np.repeat(np.arange(Z), size[1] * size[2])).reshape(size).clip(-15, 15)
        reader.end()
        edged = np.pad(level, ((0, -h % 4), (0, -w % 4)), mode="edge")
        best = edged.reshape(size[1], 4, size[2], 4).max((1, 3)).clip(0, 255)[None]
        a = self.relu("h_s1", np.concatenate([16 * z_hat, best, 255 - best]))
        a = shuffled(self.relu("h_s2", shuffled(a)))
        if self.sizes["below"]:
            seen = (edged[None] + 384) * 3 // 8
            a = np.concatenate([a, seen, 255 - seen])
        a = self.relu("h_s3", a)[:, :h, :w]
        features = np.pad(a, ((0, 0), (0, h % 2), (0, w % 2)))
        y_hat, known, rows, means = np.zeros((4, M, *features.shape[1:]), int)
        reader = self.string(y, "y", silent=1)
        tops, lefts = (range(0, length, side or max(h, w)) for length in (h, w))
        for i in range(4):
            a = features
            if i:
                a = np.concatenate([a, self.relu(f"context.{i - 1}", known)])
            a = self.relu(f"hidden.{i}", a)
            a = np.concatenate([a[:, r::2, c::2] for r in (0, 1) for c in (0, 1)])
            a = self.integers(f"out.{i}", a, groups=4).reshape(4, 2, M // 4, *a.shape[1:])
            for place, (row, mean) in zip(places(i), a, strict=True):
                own = np.pad(level, ((0, h % 2), (0, w % 2)), mode="edge")[place[1:]]
                rows[place] = np.rint((row / 4 + 18 + (own - 128) * 5 / 64).clip(0, 63))
                means[place] = np.rint(mean.clip(-(2**15), 2**15))
            for top, left in ((top, left) for top in tops for left in lefts):
                bottom, right = (min(h, top + side), min(w, left + side)) if side else (h, w)
                tile = places(i, top, left, bottom, right)
                symbols = reader.part(np.concatenate([rows[place].ravel() for place in tile]))
                for place in tile:
                    part, symbols = np.split(symbols.clip(-2000, 2000), [rows[place].size])
                    value = 16 * part.reshape(rows[place].shape) + means[place]
                    y_hat[place] = v = value.clip(-32767, 32767)
                    root = np.sqrt(np.abs(v).astype(np.float32) + 16) * 4 - 16
                    known[place] = np.sign(v) * np.rint(root.clip(max=127))
        reader.end()
        return y_hat[:, :h, :w]

    def picture(self, y_hat, quality):
        """Section 3.5: (16 h, 16 w, 3) uint8."""
        widths = self.sizes["synthesis"]
        y = y_hat.astype(np.float32) / 16 * self.gain("inverse_gain", quality)
        u = np.einsum("chw,coab->ohawb", y, self.tensors["g_s.linear.weight"].astype(np.float32))
        f = self.real("head", 4 * y) * self.gain("g_s.quality16", quality)
        f = self.real("up", self.blocks("body16", widths["blocks16"], f))
        f = shuffled(f) * self.gain("g_s.quality8", quality.repeat(2, 0).repeat(2, 1))
        f = self.real("tail", self.blocks("body8", widths["blocks8"], f))
        u = (u.reshape(f.shape) + f).reshape(3, 8, 8, *f.shape[1:]).transpose(3, 1, 4, 2, 0)
        u = u.reshape(8 * f.shape[1], 8 * f.shape[2], 3)
        return np.rint((255 * u + 127.5).clip(0, 255)).astype(np.uint8)


def convolution(x, weight, bias, groups: int = 1):
    r, (h, w) = weight.shape[2] // 2, x.shape[1:]
    x = np.pad(x, ((0, 0), (r, r), (r, r)))
    runs = zip(np.split(weight, groups), np.split(x, groups), strict=True)
    sums = [
        sum(
            np.tensordot(k[:, :, a, b], t[:, a : a + h, b : b + w], 1)
            for a in range(2 * r + 1)
            for b in range(2 * r + 1)
        )
        for k, t in runs
    ]
    return np.concatenate(sums) + bias[:, None, None]


def shuffled(x):
    c, h, w = x.shape
    return x.reshape(c // 4, 2, 2, h, w).transpose(0, 3, 1, 4, 2).reshape(c // 4, 2 * h, 2 * w)


def places(i: int, top=0, left=0, bottom=None, right=None):
    """What pass i codes in a rectangle, place after place."""
    starts = ((place ^ ORDER[i], top + place // 2, left + place % 2) for place in range(4))
    return [np.s_[c::4, row:bottom:2, column:right:2] for c, row, column in starts]


def decoded(data: bytes, model: Model):
    """Of a whole file: the picture, y_hat, and the quality of each latent."""
    read = version_1 if data[4] == 1 else version_2
    fingerprint, height, width, quality, tile, z, y, levels = read(data)
    assert fingerprint == model.fingerprint
    h, w = -(-height // 16), -(-width // 16)
    plane = Levels(levels, quality).plane(h, w) if levels else np.full((h, w), quality)
    y_hat = model.latent(z, y, plane, tile)
    return model.picture(y_hat, plane)[:height, :width], y_hat, plane


def agree(a, b) -> bool:
    return a.shape == b.shape and np.abs(a.astype(int) - b).max() <= 1


def test_a_string_is_read_by_the_text_alone():
    rng = np.random.default_rng(0)
    table = gaussian_tables()
    rows = rng.integers(0, 64, 400).astype(np.uint8)
    symbols = np.round(rng.normal(0, 1 + rows)).astype(np.int16)
    symbols[::40] = rng.integers(-32_767, 32_767, 10)  # escapes
    coder = Coder(table)
    assert coder.entries(symbols, rows)[1].sum() >= 8
    writer = coder.writer()
    writer.write(symbols, rows)
    reader = ByTheText(writer.data(), *table)
    assert np.array_equal(reader.part(rows), symbols)
    reader.end()


@pytest.mark.parametrize("version", [1, 2])
def test_the_golden_files_are_decoded_by_the_text_alone(version):
    expected = np.load(GOLDEN / f"v{version}.npz")
    model = Model(GOLDEN / f"v{version}.safetensors")
    picture, y_hat, _ = decoded((GOLDEN / f"v{version}.vcm").read_bytes(), model)
    assert np.array_equal(y_hat, expected["y_hat"][0])
    assert agree(picture, expected["x_hat"])


@pytest.mark.parametrize(
    ("weights", "side", "quality"),
    [
        (GOLDEN / "v1.safetensors", 24, 31.23),
        (GOLDEN / "v2.safetensors", 24, 31.23),
        (BASE, None, 100),
        (BASE, None, 0),
    ],
)
def test_a_photo_is_decoded_by_the_text_alone(weights, side, quality, photos):
    photo = photos["cat"][:410, :430] if side else photos["cat"][150:230, 200:290]
    codec = Codec.load(weights, side=side, bf16=False)
    roi = RoiMask(photo[..., 0] > 100, 0.3, "")
    data = pipeline.encode(photo, roi, codec, quality=quality)
    model = Model(weights)
    picture, y_hat, plane = decoded(data, model)
    assert agree(picture, pipeline.decode(data, codec))
    reach = 1 + model.sizes["synthesis"]["blocks8"] + 2 * model.sizes["synthesis"]["blocks16"]
    part = model.picture(y_hat[:, : 2 + reach], plane[: 2 + reach])  # a rectangle, grown
    assert agree(part[:32, : picture.shape[1]], picture[:32])
