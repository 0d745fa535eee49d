"""`vcm_edge.py encode`: words, boxes or a mask to mask values, and pictures to files."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vcm.codec.runtime.onnx_encoder import OnnxEncoder
from vcm.edge import pictures
from vcm.errors import SpecError
from vcm.files import write_atomic
from vcm.packing import check, packer
from vcm.roi.acquire import acquire
from vcm.roi.box import from_boxes, parse_box
from vcm.roi.embedded import Embedded
from vcm.roi.mask import Area, RoiMask, valued
from vcm.roi.text import parse

NETWORKS: Final = "networks"  # folder of the codec's, in a bundle
WORDS: Final = "words.onnx"
EVENLY: Final = "none: coded evenly"
Image = NDArray[np.uint8]  # (H, W, 3) RGB
Choose = Callable[[Image], RoiMask]


def encode(
    image: Image, roi: RoiMask, encoder: OnnxEncoder, *, quality: float, text: str | None = None
) -> bytes:
    """The .vcm file of a picture, its bits spent where the mask says: `vcm.encode` without torch.

    Args:
        image: (H, W, 3) uint8, RGB.
        roi: mask of the same height and width.
        quality: 0 to 100.
        text: stored in the file as it is, if given.

    Raises:
        ImageError: if the picture is not as above.
        SpecError: if the mask does not fit, the quality is out of range, or a file holds no such
            text or so large a picture.
    """
    check(image, roi)
    file = packer(encoder, image.shape, text)
    return file(quality, encoder.compress(image, roi.values, quality))


def once(folder: Path, given: Namespace) -> None:
    """Encode the one picture that options name, by the networks of a bundle."""
    _check(given)
    picture = pictures.read(given.source)
    roi = chooser(folder, given)(picture)  # the words' network goes before the codec's come
    _write(given, picture, roi, OnnxEncoder(folder / NETWORKS), given.output)


def many(folder: Path, given: Namespace) -> Callable[[Path, Path], None]:
    """What makes the file of a picture as options say, with all networks loaded once."""
    _check(given)
    choose, encoder = chooser(folder, given), OnnxEncoder(folder / NETWORKS)

    def work(source: Path, target: Path) -> None:
        picture = pictures.read(source)
        _write(given, picture, choose(picture), encoder, target)

    return work


def _check(given: Namespace) -> None:
    """Raises a SpecError for options that say nothing."""
    if not 0 <= given.quality <= 100:
        raise SpecError(f"--quality: expected a number from 0 to 100, got {given.quality:g}")
    if given.mask_values and given.mask is None:
        raise SpecError("--mask-values says how --mask is read; give one")
    if given.store_text and given.text is None:
        raise SpecError("--store-text keeps the words of --text; give it")
    if not 0 < given.sigma <= 1:
        raise SpecError(f"--sigma: expected a number over 0, at most 1, got {given.sigma:g}")
    ways = [name for name in WAYS if getattr(given, name)]
    if len(ways) > 1:
        raise SpecError(f"the ROI comes from one place; got --{' and --'.join(ways)}")


def _write(
    given: Namespace, image: Image, roi: RoiMask, encoder: OnnxEncoder, target: Path
) -> None:
    text = str(parse(given.text)) if given.store_text else None
    data = encode(image, roi, encoder, quality=given.quality, text=text)
    write_atomic(target, data)
    bpp, share = 8 * len(data) / roi.roi.size, f"{100 * roi.share:.1f} % of the picture"
    print(f"{target}: {len(data)} bytes, {bpp:.3f} bpp; ROI: {roi.source}, {share}", flush=True)


def chooser(folder: Path, given: Namespace) -> Choose:
    """What makes the mask of each picture, by the one way that options say."""
    ways = (way for name, way in WAYS.items() if getattr(given, name))
    return next(ways, _everywhere)(folder, given)


def _of_words(folder: Path, given: Namespace) -> Choose:
    words = parse(given.text)
    backend = Embedded(folder / WORDS, given.detail)
    for phrase in (*words.phrases, *words.exclude):
        backend.check(phrase)
    return lambda picture: acquire(
        picture, words, backend, sigma=given.sigma, tau=given.tau,
        dilation=given.dilation, on_empty=given.on_empty,
    )  # fmt: skip


def _of_mask(folder: Path, given: Namespace) -> Choose:
    path, name = given.mask, f"mask {given.mask.name}"
    read = pictures.read_values if given.mask_values else pictures.read_mask

    def choose(picture: Image) -> RoiMask:
        inside: Area = read(path, (picture.shape[0], picture.shape[1]))
        return valued(inside, given.sigma, name, given.on_empty, f"{name} selects nothing")

    return choose


def _of_boxes(folder: Path, given: Namespace) -> Choose:
    boxes = [parse_box(text) for text in given.box]
    return lambda picture: from_boxes(boxes, picture.shape[:2], given.sigma)


def _everywhere(folder: Path, given: Namespace) -> Choose:
    return lambda picture: RoiMask(np.ones(picture.shape[:2], np.bool_), 1.0, EVENLY)


# option -> what it chooses by
WAYS: Final[dict[str, Callable[[Path, Namespace], Choose]]] = {
    "text": _of_words,
    "mask": _of_mask,
    "box": _of_boxes,
}
