"""A task over a few photos: what `vcm eval` does, for the page."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from vcm.commands import eval as evaluation
from vcm.errors import SpecError
from vcm.evaluate.run import Done
from vcm.report.plots import drawn
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
    """

    task: str
    model: str
    photos: Sequence[str]
    codecs: Sequence[str]
    weights: str


class Study(NamedTuple):
    """Attributes:
    plot: rate against accuracy, a PNG file.
    lines: the table of `vcm eval`.
    page: its page, an HTML file.
    """

    plot: Path
    lines: list[str]
    page: Path


def study(wanted: Wanted, place: Path, progress: Progress) -> Study:
    """Run a task over photos without labels: agreement of the model with itself.

    Args:
        place: a folder; the study makes its own in it.

    Raises:
        VcmError: whatever `vcm eval` says.
    """
    if not 1 <= len(wanted.photos) <= MAX_PHOTOS:
        raise SpecError(f"Choose 1 to {MAX_PHOTOS} photos; {len(wanted.photos)} are chosen.")
    if not wanted.codecs:
        raise SpecError("Choose at least one codec.")
    folder = Path(tempfile.mkdtemp(dir=place))
    _copied(wanted.photos, folder / "photos")

    def track(done: Iterator[Done], length: int, label: str) -> Iterator[Done]:
        progress(0.0, label)
        for number, one in enumerate(done):
            progress((number + 1) / length, label)
            yield one

    report = evaluation.run(
        folder, _options(wanted, folder / "photos"), lambda line: progress(0.0, line), track
    )
    _, plot = next(drawn(report, "png"))
    (folder / "plot.png").write_bytes(plot)
    shutil.rmtree(folder / "photos")
    return Study(folder / "plot.png", evaluation.lines(report), folder / "index.html")


def _copied(photos: Sequence[str], folder: Path) -> None:
    folder.mkdir()
    for number, photo in enumerate(photos):  # two of them may have one name
        shutil.copyfile(photo, folder / f"{number + 1:02d}-{Path(photo).name}")


def _options(wanted: Wanted, photos: Path) -> evaluation.Options:
    return evaluation.Options(
        task=wanted.task,
        text=None,
        model=wanted.model,
        data=photos,
        only=None,
        photos=None,
        codecs=",".join(wanted.codecs),
        roi="embedded",
        roi_weights=None,
        on_empty="background",
        weights=wanted.weights,
        reference=None,
        workers=1,
        cache=None,
        no_cache=True,
        unchecked=True,
        wandb=None,
        perceptual=False,  # their weights come by the network
    )
