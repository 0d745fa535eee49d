"""The integer parts of the page that decodes, run by node: they read what the library reads."""

import json
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vcm import browser, container
from vcm.codec.format import levels
from vcm.codec.format.coder import Coder
from vcm.codec.format.levels import LevelMap
from vcm.codec.format.tables import Tables
from vcm.container import Bitstream, Header
from vcm.errors import BitstreamError

GOLDEN = Path(__file__).parents[1] / "golden"
FILES = {path.stem: path.read_bytes() for path in sorted(GOLDEN.glob("*.vcm"))}


class Node:
    """Puts questions to `ask.js`, in one process."""

    def __init__(self, process: "subprocess.Popen[str]"):
        self._process = process

    def __call__(self, what: str, **question: Any) -> Any:
        """The answer; None if the page refuses the bytes."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([what, question]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "found" in answer or answer["error"]
        return answer.get("found", {"refused": answer.get("error")})


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    program = shutil.which("node")
    if program is None:
        pytest.skip("needs node: apt-get install nodejs")
    folder = tmp_path_factory.mktemp("node")
    for path in (*browser.PAGE.glob("*.js"), Path(__file__).with_name("ask.js")):
        shutil.copy(path, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    command = [program, str(folder / "ask.js")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield Node(process)


def refused(answer: Any) -> bool:
    return isinstance(answer, dict) and "refused" in answer


def check_same(node: Node, data: bytes) -> bool:
    """Both read the same, or both refuse; whether they read it."""
    answer = node("unpack", data=data.hex())
    try:
        stream = container.unpack(data)
    except BitstreamError:
        assert refused(answer), data.hex()
        return False
    told = container.describe(data)
    expected = {name: told[name] for name in ("version", "height", "width", "tile", "text")}
    expected |= {"fingerprint": told["fingerprint"], "quality": stream.header.quality}
    expected |= {"sections": told["sections"]}
    expected |= {name: getattr(stream, name).hex() for name in ("z", "y", "map")}
    assert answer == expected
    return True


def sealed(data: bytes) -> bytes:
    """A file of version 2 whose checksum is right again."""
    return data[:-4] + zlib.crc32(data[:-4]).to_bytes(4, "little")


@pytest.mark.parametrize("name", FILES)
def test_containers(name: str, node: Node) -> None:
    assert check_same(node, FILES[name])


@pytest.mark.parametrize("name", ["v1", "v2"])
def test_damage_is_found(name: str, node: Node, rng: np.random.Generator) -> None:
    data = FILES[name]
    places = [*range(70), *rng.integers(0, len(data), 30).tolist(), *range(-4, 0)]
    for at in places:
        changed = bytearray(data)
        changed[at] ^= 1 << int(rng.integers(8))
        assert not check_same(node, bytes(changed))
        assert not check_same(node, data[:at])
    for other in (data + b"\0", b"", b"\xff\xd8\xff\xe0", b"<html>", data[:4] + b"\3" + data[5:]):
        assert not check_same(node, other)


def test_forged_headers(node: Node, rng: np.random.Generator) -> None:
    header = Header(bytes(range(8)), 300, 451, 5_000, 96)
    stream = Bitstream(header, b"abc", b"defgh", "two words, Ähre", b"\0\x87\x68")
    data = container.pack(stream)
    assert check_same(node, data)
    read = 0
    for _ in range(1_000):
        changed = bytearray(data)
        for at in rng.integers(4, len(data), int(rng.integers(1, 4))):
            changed[at] = rng.choice([0, 1, 3, 4, 5, 64, 127, 128, 200, 255])
        read += check_same(node, sealed(bytes(changed)))
    assert 100 < read < 900


@pytest.mark.parametrize("count", [1, 2, 3, 7, 16])
def test_maps(count: int, node: Node, rng: np.random.Generator) -> None:
    for h, w in ((1, 1), (1, 9), (23, 17), (40, 64)):
        coarse = rng.integers(0, count, (-(-h // 5), -(-w // 5)))
        index = coarse.repeat(5, 0).repeat(5, 1)[:h, :w].astype(np.uint8)
        index[rng.random((h, w)) < 0.03] = 0
        steps = rng.integers(1, 1_400, count)
        made = LevelMap(tuple((7_000 - np.cumsum(steps)).tolist()), index)
        data = levels.pack(made, 7_000)
        told = {"quality": 7_000, "h": h, "w": w}
        answer = node("map", data=data.hex(), **told)
        assert answer == {"qualities": list(made.qualities), "index": index.tobytes().hex()}
        for _ in range(40):
            changed = bytearray(data)
            changed[rng.integers(len(data))] = rng.integers(256)
            answer = node("map", data=changed.hex(), **told)
            try:
                found = levels.unpack(bytes(changed), 7_000, h, w)
            except BitstreamError:
                assert refused(answer)
            else:
                assert found is not None
                assert answer["index"] == found.index.tobytes().hex()
                assert answer["qualities"] == list(found.qualities)


def test_the_golden_file_has_its_levels(node: Node) -> None:
    assert node("describe", data=FILES["v2"].hex())["levels"] == [7_000, -1_400, -11_302]
    assert node("describe", data=FILES["v1"].hex())["levels"] is None


def tables(rng: np.random.Generator, rows: int) -> Tables:
    """Rows of 1 to 300 entries, some of which are all but impossible."""
    cdf = []
    for _ in range(rows):
        inner = rng.integers(0, 65_537, int(rng.integers(1, 300))) ** rng.choice([1, 3]) % 65_536
        cdf.append([0, *sorted(inner.tolist()), 65_536])
    return Tables.of(cdf, rng.integers(-150, 10, rows).tolist())


@pytest.mark.parametrize("silent", [0, 1])
def test_symbols(silent: int, node: Node, rng: np.random.Generator) -> None:
    for _ in range(8):
        made = tables(rng, 12)
        coder = Coder(made, silent)
        cdf = [row[:n].tolist() for row, n in zip(made.cdf, made.length, strict=True)]
        told = {"tables": {"cdf": cdf, "offset": made.offset.tolist()}, "silent": silent}
        parts, writer = [], coder.writer()
        for count in (0, 1, 700, 300):
            rows = rng.integers(0, 12, count).astype(np.uint8)
            symbols = np.rint(rng.normal(0, rng.choice([3, 40, 9_000]), count)).clip(
                -32_767, 32_767
            )
            symbols = np.where(rows < silent, 0, symbols).astype(np.int16)
            writer.write(symbols, rows)
            parts.append((rows, symbols))
        data = writer.data()
        rows_of = [rows.tobytes().hex() for rows, _ in parts]
        found = node("symbols", data=data.hex(), parts=rows_of, **told)
        assert found == [symbols.tolist() for _, symbols in parts]
        forged(data, coder, [rows for rows, _ in parts], rng, node, told)


def forged(
    data: bytes,
    coder: Coder,
    parts: list[Any],
    rng: np.random.Generator,
    node: Node,
    told: dict[str, Any],
) -> None:
    """Of a string that no encoder made both read the same symbols, or both refuse."""
    for _ in range(12):
        changed = bytearray(data[: rng.integers(len(data) // 2, len(data) + 1)])
        changed[rng.integers(len(changed))] ^= int(rng.integers(1, 256))
        answer = node(
            "symbols", data=changed.hex(), parts=[p.tobytes().hex() for p in parts], **told
        )
        reader = coder.reader(bytes(changed))
        try:
            found = [reader.read(rows).tolist() for rows in parts]
            reader.end()
        except BitstreamError:
            assert refused(answer)
        else:
            assert answer == found
