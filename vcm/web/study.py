"""A task over a few photos: what `vcm eval` does, for the page."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from vcm.commands import eval as evaluation
from vcm.errors import SpecError
from vcm.evaluate.run import Done
from vcm.report.plots import drawn

CODECS: Final = ("vcm", "vcm:sigma=1", "jpeg", "webp", "avif", "x265", "x265+roi")
CHOSEN: Final = ("vcm", "vcm:sigma=1", "jpeg")
MAX_PHOTOS: Final = 24
Progress = Callable[[float, str], None]


class Study(NamedTuple):
    """Attributes:
    plot: rate against accuracy, a PNG file.
    lines: the table of `vcm eval`.
    page: its page, an HTML file.
    """

    plot: Path
    lines: list[str]
    page: Path


def study(
    task: str, model: str, photos: Sequence[str], codecs: Sequence[str], progress: Progress
) -> Study:
    """Run a task over photos without labels: agreement of the model with itself.

    Args:
        task: name or file, as for `--task`.
        progress: is told a share in [0, 1] and what is being done.

    Raises:
        VcmError: whatever `vcm eval` says.
    """
    if not 1 <= len(photos) <= MAX_PHOTOS:
        raise SpecError(f"expected 1 to {MAX_PHOTOS} photos, got {len(photos)}")
    if not codecs:
        raise SpecError("choose a codec at least")
    folder = Path(tempfile.mkdtemp(prefix="vcm-study-"))
    (folder / "photos").mkdir()
    for number, photo in enumerate(photos):
        name = Path(photo).name
        shutil.copyfile(photo, folder / "photos" / f"{number:02d}-{name}")

    def track(done: Iterator[Done], length: int, label: str) -> Iterator[Done]:
        for number, one in enumerate(done):
            progress((number + 1) / length, label)
            yield one

    report = evaluation.run(
        folder, _options(task, model, folder, codecs), lambda line: progress(0, line), track
    )
    _, plot = next(drawn(report, "png"))
    (folder / "plot.png").write_bytes(plot)
    return Study(folder / "plot.png", evaluation.lines(report), folder / "index.html")


def _options(task: str, model: str, folder: Path, codecs: Sequence[str]) -> Any:
    return evaluation.Options(
        task=task,
        text=None,
        model=model,
        data=folder / "photos",
        only=None,
        photos=None,
        codecs=",".join(codecs),
        roi="embedded",
        roi_weights=None,
        on_empty="background",
        weights="base",
        reference=None,
        workers=1,
        cache=None,
        no_cache=True,
        unchecked=True,
        wandb=None,
    )
