"""A task over a few photos: what `vcm eval` does, for the page."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from vcm import image
from vcm.dataset import load
from vcm.errors import SpecError, VcmError
from vcm.evaluate.api import Done, Plan, Report, prepared
from vcm.report.files import file_of, into
from vcm.report.text import lines
from vcm.scale.pools import pool_of
from vcm.task import find_task
from vcm.web.pictures import opened, placeless
from vcm.web.studio import Progress

CODECS: Final = ("vcm", "vcm:sigma=1", "jpeg", "webp", "avif", "x265", "x265+roi")
CHOSEN: Final = ("vcm", "vcm:sigma=1", "jpeg")
MAX_PHOTOS: Final = 24


class Wanted(NamedTuple):
    """Attributes:
    task: name or file, as for `--task`.
    model: as for `--model`.
    photos: files.
    codecs: as for `--codecs`.
    weights: of our codec.
    roi: what turns words into a mask, and its weights, as for `--roi` and `--roi-weights`.
    device: as for `--device`.
    """

    task: str
    model: str
    photos: Sequence[str]
    codecs: Sequence[str]
    weights: str
    roi: tuple[str, str | None] = ("embedded", None)
    device: str = "cpu"


class Study(NamedTuple):
    """Attributes:
    plot: rate against accuracy, a PNG file.
    lines: the table of `vcm eval`.
    notes: sentences on what to mind with these numbers.
    page: its page, an HTML file.
    """

    plot: Path
    lines: list[str]
    notes: list[str]
    page: Path


def study(wanted: Wanted, place: Path, progress: Progress) -> Study:
    """Run a task over photos without labels: agreement of the model with itself.

    Args:
        place: a folder; what is shown or downloaded stays in a folder of its own in it.

    Raises:
        ImageError: if a photo cannot be read, or is too large for the page.
        SpecError: whatever else `vcm eval` says.
    """
    if not 1 <= len(wanted.photos) <= MAX_PHOTOS:
        raise SpecError(f"Choose 1 to {MAX_PHOTOS} photos; {len(wanted.photos)} are chosen.")
    if not wanted.codecs:
        raise SpecError("Choose at least one codec.")
    if not wanted.model:  # else the task's own: a file of the visitor's could name any
        raise SpecError("Choose a model.")
    with tempfile.TemporaryDirectory(dir=place) as work:
        folder = Path(work)
        _copied(wanted.photos, folder / "photos")
        try:
            report = _measured(wanted, folder, progress)
        except VcmError as error:
            raise SpecError(placeless(str(error), place)) from error
        kept = Path(tempfile.mkdtemp(dir=place))
        plot = (folder / file_of(report.metric)).rename(kept / "plot.png")
        page = (folder / "index.html").rename(kept / "index.html")
    return Study(plot, lines(report), notes(report), page)


def _copied(photos: Sequence[str], folder: Path) -> None:
    """As PNG: any file that holds a picture of a size that the page takes, whatever its name."""
    folder.mkdir()
    for number, photo in enumerate(photos, 1):  # two of them may have one name
        image.write(folder / f"{number:02d}-{Path(photo).stem[:40]}.png", opened(photo))


def _measured(wanted: Wanted, folder: Path, progress: Progress) -> Report:
    def track(done: Iterator[Done], length: int, label: str) -> Iterator[Done]:
        progress(0.0, label)
        for number, one in enumerate(done):
            progress((number + 1) / length, label)
            yield one

    plan = Plan(
        find_task(wanted.task),
        wanted.model,
        load(folder / "photos"),
        tuple(wanted.codecs),
        roi=wanted.roi[0],
        roi_weights=wanted.roi[1],
        on_empty="background",
        weights=wanted.weights,
        unchecked=True,
        device=wanted.device,
    )
    plan = prepared(plan, perceptual=False)  # their weights come by the network
    return into(folder, plan, pool_of(1, None), lambda line: progress(0.0, line), track)


def notes(report: Report) -> list[str]:
    """What the page of `vcm eval` says of its ROI, and where the first tab does otherwise."""
    said, roi = [], report.roi
    if "embedded" in roi.networks and report.plan.model.startswith("embedded"):
        said.append("**ROI and task come from one network: scores flatter the codec.**")
    if count := roi.without:
        said.append(
            f"Photos on which nothing was found: {count} (all background here; the first tab codes "
            "them evenly)."
        )
    return said
