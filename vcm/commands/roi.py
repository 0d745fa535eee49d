"""From options to masks, and `vcm roi`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcm import image, roi
from vcm.commands import places, words
from vcm.errors import SpecError
from vcm.image import AS_USUAL, Reading
from vcm.pipeline import find_roi
from vcm.roi.acquire import look
from vcm.roi.base import Backend
from vcm.roi.box import from_boxes, parse_box
from vcm.roi.mask import Area, OnEmpty, RoiMask, valued
from vcm.roi.text import parse, task_of, words_of
from vcm.task import TaskSpec, find_task

Image = NDArray[np.uint8]  # (H, W, 3) RGB
SUFFIX = ".vcm"
SIGMA = 0.1  # outside the ROI, where neither the caller nor the task says
_WAYS = "--text, --task, --mask or --box"


@dataclass(frozen=True)
class RoiOptions:
    """How the ROI is chosen; the options of the command line, one to one."""

    text: str | None = None
    task: str | None = None
    mask: Path | None = None
    mask_values: bool = False
    box: tuple[str, ...] = ()
    sigma: float | None = None
    tau: float | None = None
    dilation: int | None = None
    detail: int | None = None
    on_empty: OnEmpty | None = None
    roi_backend: str | None = None
    roi_weights: str | None = None
    importance: str | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if len(self.ways) > 1:
            raise SpecError(f"the ROI comes from one place; got --{' and --'.join(self.ways)}")
        for name in ("tau", "dilation", "detail", "roi_backend", "roi_weights"):
            if getattr(self, name) is not None and not self.has_words:
                raise SpecError(f"--{name.replace('_', '-')} goes with --text or --task; give one")
        if self.on_empty is not None and not (self.has_words or self.mask):
            raise SpecError("--on-empty goes with --text, --task or --mask; give one")
        if self.detail is not None and self.backend not in roi.DETAILED:
            raise SpecError("--detail is for the built-in network; leave it or --roi-backend out")
        if self.mask_values and self.mask is None:
            raise SpecError("--mask-values says how --mask is read; give one")
        if self.sigma is not None and not (self.ways or self.importance):
            raise SpecError(f"--sigma is the value outside of an ROI; give it by {_WAYS}")
        if self.sigma is not None and not 0 < self.sigma <= 1:
            raise SpecError(f"--sigma: expected a number over 0, at most 1, got {self.sigma:g}")

    @property
    def ways(self) -> list[str]:
        """The options that choose an ROI, as given."""
        return [n for n in ("text", "task", "mask", "box") if getattr(self, n) not in (None, ())]

    @property
    def has_words(self) -> bool:
        """Whether words choose the ROI."""
        return self.text is not None or self.task is not None

    @property
    def backend(self) -> str:
        """The words-to-mask backend's name."""
        return self.roi_backend or "embedded"

    def spec(self) -> TaskSpec | None:
        """The words as a task, options given besides it winning; None if there are no words."""
        if self.task is not None:
            spec = find_task(self.task)
        elif self.text is not None:
            spec = task_of(parse(self.text), SIGMA)
        else:
            return None
        names = ("sigma", "tau", "dilation", "detail")
        return replace(spec, **{n: v for n in names if (v := getattr(self, n)) is not None})


def backend_of(options: RoiOptions) -> Backend | None:
    """The words-to-mask backend, loaded; None if there are no words."""
    spec = options.spec()
    if spec is None:
        return None
    return roi.backend_for(spec, options.backend, options.roi_weights, options.device)


def chooser(options: RoiOptions, backend: Backend | None) -> Callable[[Image], RoiMask]:
    """What makes the mask of each picture; the backend is that of `backend_of`."""
    choose, weigh = _chooser(options, backend), weighing(options)
    return lambda picture: weigh(picture, choose(picture))


def weighing(options: RoiOptions) -> Callable[[Image, RoiMask], RoiMask]:
    """What makes a mask obey --importance; it leaves masks alone if there is none."""
    if options.importance is None:
        return lambda picture, mask: mask
    from vcm.importance import Importance  # it needs torch, which takes a second

    return Importance(options.importance, options.device).applied


def _chooser(options: RoiOptions, backend: Backend | None) -> Callable[[Image], RoiMask]:
    """The same by words, a mask or boxes alone."""
    sigma = SIGMA if options.sigma is None else options.sigma
    spec, on_empty = options.spec(), options.on_empty or "whole"
    if spec is not None and backend is not None:
        return lambda picture: find_roi(picture, spec, backend, on_empty)
    if options.mask is not None:
        path, name = options.mask, f"mask {options.mask.name}"
        read = image.read_values if options.mask_values else image.read_mask

        def given(picture: Image) -> RoiMask:
            inside: Area = read(path, (picture.shape[0], picture.shape[1]))
            return valued(inside, sigma, name, on_empty, f"{name} selects nothing")

        return given
    if options.box:
        boxes = [parse_box(text) for text in options.box]
        return lambda picture: from_boxes(boxes, picture.shape[:2], sigma)
    if options.importance is not None:
        return lambda picture: RoiMask(np.ones(picture.shape[:2], np.bool_), sigma, "all of it")
    return lambda picture: RoiMask(np.ones(picture.shape[:2], np.bool_), 1.0, "none: coded evenly")


def run(
    source: Path,
    output: Path,
    save_mask: Path | None,
    options: RoiOptions,
    reading: Reading = AS_USUAL,
) -> dict[str, Any]:
    """Draw what an ROI choice selects; its share of the picture and its source as a report.

    Of a .vcm file the map that it has.
    """
    from vcm import draw  # fonts and all: whoever encodes, by the options above, draws nothing
    from vcm.commands import maps

    if source.suffix.lower() == SUFFIX:
        if options.ways or save_mask:
            raise SpecError(f"{source}: a .vcm file shows its own map; leave the ROI's options out")
        places.apart(output, source)
        return maps.drawn(source, output)
    if not (options.ways or options.importance):
        raise SpecError(f"there is no ROI to show; give it by {_WAYS}")
    for path in [output] + ([save_mask] if save_mask else []):
        image.format_of(path)  # refuse a bad name before the work
        places.apart(path, source, options.mask)
    places.apart(output, save_mask)
    picture, spec, backend = image.read(source, reading), options.spec(), backend_of(options)
    if save_mask and (options.mask_values or options.importance or (spec and spec.values)):
        _check_deep(save_mask)
    told, heat = words.said(backend, spec), []
    if spec is None or backend is None:
        mask = chooser(options, backend)(picture)
    else:
        found = look(picture, words_of(spec), backend, spec.tau)
        mask = find_roi(picture, spec, backend, options.on_empty or "whole", found)
        mask = weighing(options)(picture, mask)
        caption = [f"similarity: {spec.text}"]
        heat = [draw.captioned(draw.heat(picture, found.similarity), caption, 640)]
    panels = [draw.captioned(draw.outlined(picture, mask.roi), [_caption(mask)], 640), *heat]
    panels.append(
        draw.captioned(draw.grey(mask.inside), [f"mask; outside: sigma {mask.sigma:g}"], 640)
    )
    image.write(output, draw.sheet([panels]))
    if save_mask:
        _save(save_mask, mask)
    saved = {"mask": str(save_mask)} if save_mask else {}
    report = {"roi": mask.source, "share": mask.share, "sigma": mask.sigma, "sheet": str(output)}
    return report | told | saved


def _save(path: Path, mask: RoiMask) -> None:
    """The mask as `--mask` takes it; with several values as `--mask-values` does too."""
    if mask.two_valued:
        from vcm import draw

        image.write(path, draw.grey(mask.roi)[..., 0])
        return
    image.write(path, (mask.inside * np.float32(2**16 - 1)).round().astype(np.uint16))


def _check_deep(path: Path) -> None:
    if image.format_of(path) != "PNG":
        raise SpecError(f"{path}: a mask of several values is saved as .png, which has 16 bits")


def _caption(mask: RoiMask) -> str:
    return f"ROI: {mask.source}, {100 * mask.share:.1f} % of the picture"
