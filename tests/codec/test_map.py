"""Files with a map: the quality of each latent, told to the decoder."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vcm
from vcm import bundle, container
from vcm.codec.api import Codec
from vcm.codec.format import cva as format_cva
from vcm.codec.format import levels
from vcm.codec.format.adaptive import BitReader, BitWriter, Chances
from vcm.codec.format.constants import PASSES, QUALITY_MIN
from vcm.codec.format.control import Control
from vcm.codec.format.levels import LevelMap
from vcm.codec.format.strings import strings_of
from vcm.codec.models import cva
from vcm.codec.models.loss import LMBDA, lmbda_of
from vcm.codec.models.sizes import Sizes
from vcm.codec.nets.control import Controls
from vcm.codec.nets.gain import Gain
from vcm.codec.nets.transforms import Widths
from vcm.codec.runtime.any_rate import AnyRate
from vcm.codec.runtime.onnx import OnnxDecoder
from vcm.errors import BitstreamError, SpecError

SIZES = Sizes(12, 4, Widths(12, 20, 1, 1), Widths(8, 16, 1, 1), 16, 16, 16, 16, below=10)


@pytest.fixture(scope="module")
def weights(mapped_weights):
    return mapped_weights


@pytest.fixture(scope="module")
def codec(weights) -> AnyRate:
    return Codec.load(weights, bf16=False)


@pytest.fixture(scope="module")
def picture(photos):
    return np.ascontiguousarray(photos["cat"][:299, :447])


def masked(picture, sigma):
    roi = np.zeros(picture.shape[:2], bool)
    roi[70:190, 100:300] = True
    return vcm.RoiMask(roi, sigma, "")


def smooth(picture):
    """(1, 1, H, W): hundreds of values."""
    h, w = picture.shape[:2]
    return torch.linspace(0.02, 1, w).expand(1, 1, h, w).contiguous()


def tensor(picture):
    return torch.from_numpy(picture).permute(2, 0, 1)[None]


indices = st.integers(1, levels.MOST).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.integers(1, 9).flatmap(
            lambda w: st.lists(
                st.lists(st.integers(0, n - 1), min_size=w, max_size=w), min_size=1, max_size=9
            )
        ),
        st.lists(st.integers(1, 800), min_size=n, max_size=n),
    )
)


@given(indices)
def test_a_map_comes_back(drawn):
    count, rows, steps = drawn
    qualities = tuple(10_000 - sum(steps[: i + 1]) for i in range(count))
    index = np.array(rows, np.uint8)
    data = levels.pack(LevelMap(qualities, index), 10_000)
    found = levels.unpack(data, 10_000, *index.shape)
    assert found is not None and found.qualities == qualities
    assert np.array_equal(found.index, index)
    assert data[-1] or count == 1
    if count > 1:
        with pytest.raises(BitstreamError, match="longer than its levels"):
            levels.unpack(data + b"\1" * 8, 10_000, *index.shape)


@given(st.binary(min_size=1, max_size=60), st.integers(1, 20), st.integers(1, 20))
def test_any_bytes_are_a_map_or_a_bitstream_error(data, h, w):
    try:
        found = levels.unpack(data, 5_000, h, w)
    except BitstreamError as error:
        assert "\n" not in str(error)
    else:
        assert found is not None and found.index.shape == (h, w)
        assert found.qualities[-1] >= QUALITY_MIN and found.qualities != (5_000,)


def test_no_map_takes_no_byte_and_an_object_few():
    index = np.ones((32, 48), np.uint8)
    assert levels.pack(LevelMap((5_000,), 0 * index), 5_000) == b""
    rows, columns = np.ogrid[:32, :48]
    index[((rows - 16) / 7) ** 2 + ((columns - 20) / 9) ** 2 < 1] = 0
    # half a percent of the file of a photo of 768 x 512 at 0.2 bpp
    assert len(levels.pack(LevelMap((5_000, 1_000), index), 5_000)) < 49


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=3_000))
@settings(deadline=None)
def test_the_coder_of_bits(drawn):
    writer, chances = BitWriter(), Chances(3)
    for bit, context in drawn:
        writer.code(bit, chances, context)
    reader, again = BitReader(writer.data()), Chances(3)
    assert [reader.code(False, again, context) for _, context in drawn] == [b for b, _ in drawn]


def test_likely_bits_cost_little():
    writer, chances = BitWriter(), Chances(1)
    for i in range(20_000):
        writer.code(i % 100 == 0, chances, 0)
    entropy = -20_000 * (0.01 * np.log2(0.01) + 0.99 * np.log2(0.99)) / 8
    assert len(writer.data()) < 1.1 * entropy


def test_the_quality_of_a_value_is_that_of_its_lmbda():
    values = torch.tensor([1.0, 0.5, 0.3, 0.05]).view(1, 1, 2, 2)
    found = cva.qualities(torch.tensor([6_000]), values)
    asked = lmbda_of(torch.tensor([6_000]), *LMBDA) * values.flatten() ** 2
    torch.testing.assert_close(lmbda_of(found.flatten(), *LMBDA), asked, rtol=1e-3, atol=0)
    assert cva.qualities(torch.tensor([0]), torch.full((1, 1, 1, 1), 1e-5)) == QUALITY_MIN


def test_a_latent_has_the_largest_value_of_its_pixels():
    m = torch.full((1, 1, 48, 48), 0.1)
    m[..., 20, 20] = 0.7  # in the middle one
    m[..., 0, 17] = 0.9  # in the upper middle one, two pixels from the left one
    expected = [[0.9, 0.9, 0.1], [0.1, 0.7, 0.1], [0.1, 0.1, 0.1]]
    assert torch.equal(cva.of_latents(m)[0, 0], torch.tensor(expected))
    left = cva.relative(m, cva.of_latents(m))
    assert left[..., 20, 20] == 1 and left[..., 40, 40] == 1
    assert left[..., 30, 30].item() == pytest.approx(0.1 / 0.7)


def test_values_are_grouped_into_sixteen():
    values = np.linspace(0.01, 1, 400, dtype=np.float32).reshape(1, 20, 20)
    found = format_cva.grouped(values)
    assert len(np.unique(found)) == 16 and (found >= values).all() and found.max() == 1
    few = np.array([[[0.5, 1.0]]], np.float32)
    np.testing.assert_array_equal(format_cva.grouped(few), few)


def test_values_of_latents_are_the_same_in_numpy_and_in_torch(rng: np.random.Generator):
    m = np.where(rng.random((1, 64, 96)) < 0.99, 0.1, rng.random((1, 64, 96)))
    m = m.clip(0.01).astype(np.float32)
    values = format_cva.of_latents(m)
    np.testing.assert_array_equal(values, cva.of_latents(torch.from_numpy(m)[None])[0].numpy())
    asked = cva.qualities(torch.tensor([4_000]), torch.from_numpy(values)[None])[0].numpy()
    assert abs(format_cva.qualities(4_000, values[0], LMBDA) - asked).max() <= 1


def test_gains_below_begin_on_the_line_through_the_others():
    gain = Gain(3, 0.7, 2.9, below=10)
    asked = torch.tensor([[10_000, 0], [-7_143, -14_000]])
    found = gain(Controls.of(asked[None])).log()[0, 0]
    expected = 0.7 + asked / 10_000 * 2.2
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    with torch.no_grad():
        gain.log_below[4] += 1  # five knots below: -71.43
    assert gain(Controls.of(asked[None])).log()[0, 0, 1, 0].item() == pytest.approx(
        expected[1, 0].item() + 1, abs=1e-3
    )


@pytest.mark.parametrize("sigma", [0.5, 0.02])
def test_a_file_with_a_map(sigma, codec, picture):
    data = vcm.encode(picture, masked(picture, sigma), codec, quality=60)
    stream, told = container.unpack(data), container.describe(data)
    assert told["version"] == 2 and told["sections"]["map"] == len(stream.map) > 0
    strings = strings_of(stream)
    control = codec.decoder.told(strings, 299, 447, 60, 0)
    expected = max(6_000 + round(20_000 * np.log(sigma) / np.log(0.06 / 0.0013)), QUALITY_MIN)
    assert control.map.qualities == (6_000, pytest.approx(expected, abs=20))
    blocks = np.pad(masked(picture, sigma).roi, ((0, 5), (0, 1))).reshape(19, 16, 28, 16)
    inside = blocks.any((1, 3))
    assert (control.map.index[inside] == 0).all() and (control.map.index == 1).any()
    m = torch.where(torch.from_numpy(masked(picture, sigma).roi), 1.0, sigma)[None, None]
    latent = codec.encoder.quantise(codec.encoder.analyse(tensor(picture), m), Control(60))
    assert torch.equal(codec.decoder.read(strings, 299, 447, control, 0), latent.y_hat)
    assert vcm.pipeline.bits_at(data, codec).sum() == pytest.approx(
        8 * strings.length - 8 * len(strings.map), rel=0.02
    )


def test_without_a_mask_there_is_no_map(codec, picture):
    everything = vcm.RoiMask(np.ones(picture.shape[:2], bool), 0.1, "")
    for mask in (everything, masked(picture, 1)):
        assert container.unpack(vcm.encode(picture, mask, codec, quality=60)).map == b""


def test_a_background_alone_has_one_level_of_lower_quality(codec, picture):
    nothing = vcm.RoiMask(np.zeros(picture.shape[:2], bool), 0.1, "")
    stream = container.unpack(vcm.encode(picture, nothing, codec, quality=20))
    found = levels.unpack(stream.map, 2_000, 19, 28)
    assert len(found.qualities) == 1 and found.qualities[0] < -9_000 and len(stream.map) <= 4


def test_tiles_change_neither_latent_nor_picture(weights, codec, picture):
    small = Codec.load(weights, bf16=False, side=24)
    x, m = tensor(picture).repeat(1, 1, 3, 2)[..., :700, :], smooth(picture).repeat(1, 1, 3, 2)
    m = m[..., :700, :]
    size = tuple(x.shape[2:])
    found = []
    for one in (codec, small):
        strings = one.compress(x, m, 50)
        side = one.side_of(*size)
        control = one.decoder.told(strings, *size, 50, side)
        y_hat = one.decoder.read(strings, *size, control, side)
        found.append((strings.map, y_hat, one.decoder.render(y_hat, *size, control)))
    assert small.side_of(*size) == 24 and len(control.map.qualities) > 8
    assert found[0][0] == found[1][0] and torch.equal(found[0][1], found[1][1])
    assert (found[0][2].int() - found[1][2]).abs().max() <= 1


def test_the_networks_of_batches_and_layouts_agree(codec):
    rng, networks = np.random.default_rng(0), codec.model.decoder.parameters_y
    z = torch.from_numpy(rng.integers(-15, 16, (2, SIZES.Z, 3, 4)))
    known = torch.from_numpy(rng.integers(-127, 128, (2, SIZES.M, 12, 16)))
    told = Controls.of(torch.from_numpy(rng.integers(QUALITY_MIN, 10_001, (2, 12, 16))))
    wide = networks.features(z.float(), told, (12, 16))
    for number, i in itertools.product(range(PASSES), range(2)):
        together = networks(number, wide, told, known.float())
        own = Controls(*(t[i : i + 1] for t in told))
        narrow = networks.features(z[i : i + 1].to(torch.int8), own, (12, 16))
        alone = networks(number, narrow, own, (known[i : i + 1] + 128).to(torch.uint8))
        for a, b in zip(alone, together, strict=True):
            assert torch.equal(a, b[i : i + 1])


def test_a_latent_of_low_quality_costs_nothing_and_its_neighbours_are_seen(codec):
    networks = codec.model.decoder.parameters_y
    z, known = torch.zeros(1, SIZES.Z, 3, 4), torch.zeros(1, SIZES.M, 12, 16)
    plane = torch.full((1, 12, 16), 10_000)
    rows = []
    for low in (False, True):
        plane[:, 4:8, 4:8] = QUALITY_MIN if low else 10_000
        told = Controls.of(plane)
        rows.append(networks(0, networks.features(z, told, (12, 16)), told, known).rows)
    assert not rows[1][..., 2:4, 2:4].any()
    assert (rows[0] != rows[1])[..., 1:5, 1:5].any(1).sum() > 4  # around them too


@pytest.mark.slow
def test_onnxruntime_reads_the_same(toy, codec, picture):
    decoder = OnnxDecoder(toy / bundle.NETWORKS)
    for mask in (masked(picture, 0.2), masked(picture, 1)):
        data = vcm.encode(picture, mask, codec, quality=60)
        strings = strings_of(container.unpack(data))
        control = codec.decoder.told(strings, 299, 447, 60, 0)
        y_hat = codec.decoder.read(strings, 299, 447, control, 0)
        assert np.array_equal(decoder.latent(data), y_hat[0].numpy())
        difference = decoder.decode(data).astype(int) - vcm.decode(data, codec)
        assert np.abs(difference).max() <= 1


def test_the_search_for_a_size_counts_the_map(codec, picture):
    data = vcm.encode(picture, masked(picture, 0.3), codec, size=3_000)
    assert len(data) == pytest.approx(3_000, rel=0.03) and container.unpack(data).map


def test_a_map_can_be_searched_with_effort(codec, picture):
    x = tensor(picture)
    m = torch.where(torch.from_numpy(masked(picture, 0.3).roi), 1.0, 0.3)[None, None]
    plain, better = (codec.compress(x, m, 60, effort) for effort in (0, 4))
    assert plain.map == better.map and plain.y != better.y
    assert codec.decompress(better, 299, 447, 60).shape == x.shape


def test_mechanisms(weights, picture):
    x = tensor(picture)
    m = torch.where(torch.from_numpy(masked(picture, 0.1).roi), 1.0, 0.1)[None, None]
    found = {
        name: Codec.load(weights, bf16=False, mechanism=name).compress(x, m, 60)
        for name in ("both", "map", "lma")
    }
    assert found["both"].map == found["map"].map and not found["lma"].map
    assert len({s.y for s in found.values()}) == 3
    with pytest.raises(SpecError, match="mechanism: expected both, map or lma"):
        Codec.load(weights, mechanism="two")


def test_a_model_without_a_map_refuses_one(tiny, codec, picture):
    strings = codec.compress(tensor(picture), smooth(picture), 60)
    with pytest.raises(BitstreamError, match="one quality per picture"):
        tiny.decompress(strings, 299, 447, 60)
    plain = tiny.compress(tensor(picture), smooth(picture), 60)
    assert plain.map == b""
    with pytest.raises(SpecError, match="the model has no map"):
        Codec.load("base", mechanism="map")
