"""`vcm export`: the codec's networks as ONNX, alone, in a bundle or in a page, and their check."""

from pathlib import Path
from typing import Any

import numpy as np

from vcm import browser, container, image, pipeline
from vcm import bundle as bundles
from vcm.codec.format.strings import strings_of
from vcm.codec.runtime.any_rate import AnyRate
from vcm.codec.runtime.export import export
from vcm.codec.runtime.onnx import OnnxDecoder
from vcm.errors import ModelError, SpecError
from vcm.roi.mask import RoiMask
from vcm.weightfile import find

QUALITY = 50


def run(
    output: Path,
    weights: str,
    check: Path | None = None,
    bundle: bool = False,
    words: str | None = None,
    page: bool = False,
    ort: Path | None = None,
) -> dict[str, Any]:
    """Write the folder; with a photo, also code it by torch and decode it by onnxruntime.

    Raises:
        ModelError: if there are no such weights, if both decoders get different latents, or if
            onnxruntime-web is missing for the page.
        UnknownWord: if the bundle shall find a word that the words' network does not know.
        SpecError: if there are words without a bundle, or they are not valid; if onnxruntime-web's
            folder is given without a page; if both a bundle and a page are wanted.
        MissingExtra: if a package is missing.
        ImageError: if the photo cannot be read; then nothing is written.
        OutputError: if the folder cannot be written.
    """
    if words is not None and not bundle:
        raise SpecError("--words says what a bundle finds; give --bundle")
    if ort is not None and not page:
        raise SpecError("--ort names the folder of onnxruntime-web for a page; give --page too")
    if page and bundle:
        raise SpecError("--page and --bundle write different folders; give one of them")
    picture = None if check is None else image.read(check)
    if bundle:
        files, networks = bundles.write(output, weights, words), output / bundles.NETWORKS
    elif page:
        files, networks = browser.write(output, weights, ort), output / browser.NETWORKS
    else:
        files, networks = export(output, weights), output
    report: dict[str, Any] = {"folder": str(output), "files": files}
    if picture is not None:
        report["largest_difference"] = _difference(networks, AnyRate.read(find(weights)), picture)
    return report


def _difference(folder: Path, codec: AnyRate, picture: pipeline.Image) -> int:
    """The largest difference of the decoded pictures, in levels of 255."""
    everywhere = RoiMask(np.ones(picture.shape[:2], np.bool_), 1.0, "all")
    data = pipeline.encode(picture, everywhere, codec, quality=QUALITY)
    decoder, stream = OnnxDecoder(folder), container.unpack(data)
    head, strings = stream.header, strings_of(stream)
    size = head.height, head.width
    control = codec.decoder.told(strings, *size, head.quality / 100, head.tile)
    y_hat = codec.decoder.read(strings, *size, control, head.tile)
    if not np.array_equal(y_hat[0].numpy(), decoder.latent(data)):
        raise ModelError(
            "the exported networks give a different latent from torch's: onnxruntime's sums are "
            "not exact on this machine; decode with vcm decode"
        )
    pair = (pipeline.decode(data, codec), decoder.decode(data))
    return int(np.abs(np.subtract(*pair, dtype=np.int16)).max())


def lines(report: dict[str, Any]) -> list[str]:
    """The report for people."""
    text = [f"{size:>12,} bytes  {name}" for name, size in report["files"].items()]
    if "largest_difference" in report:
        text.append(
            f"onnxruntime gets the same latent as torch; the pictures differ by at most "
            f"{report['largest_difference']} of 255"
        )
    return [*text, f"wrote {report['folder']}"]
