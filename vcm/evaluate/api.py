"""An evaluation as a library: how many bits does a task model need?

words, pictures -> Plan -> evaluate -> Report -> to_json
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from vcm.coco import truth
from vcm.device import device_of
from vcm.errors import SpecError, VcmError
from vcm.evaluate import run as pictures
from vcm.evaluate.clips import evaluated_clip
from vcm.evaluate.codecs import parse
from vcm.evaluate.evaluated import Evaluated
from vcm.evaluate.expected import check_expected, uncompressed
from vcm.evaluate.measure import Measurer
from vcm.evaluate.plan import Plan
from vcm.evaluate.quality import available
from vcm.evaluate.record import Record
from vcm.evaluate.report import Report
from vcm.evaluate.result import Say, nothing_measured, oddities, reference_of, result, silent
from vcm.evaluate.run import Done
from vcm.evaluate.score import check as check_scores
from vcm.evaluate.to_json import to_json
from vcm.files import held, make_folder
from vcm.models import check_name
from vcm.scale.pools import pool_of
from vcm.scale.work import Pool, kept

__all__ = [
    "Done",
    "Evaluated",
    "Plan",
    "Report",
    "Track",
    "evaluate",
    "evaluated",
    "prepared",
    "to_json",
]

Track = Callable[[Iterator[Done], int, str], Iterator[Done]]


def unseen(done: Iterator[Done], length: int, label: str) -> Iterator[Done]:
    """The same pictures; nobody is told how far they are."""
    return done


def evaluate(
    plan: Plan,
    folder: Path | None = None,
    *,
    workers: int | None = None,
    ray: str | None = None,
    say: Say = silent,
    track: Track = unseen,
) -> Report:
    """Scores, curves, BD-rates and bits at scores of a plan, with intervals over pictures.

    Args:
        plan: what is measured.
        folder: keeps what is measured of each picture: the same call goes on where one stopped.
            None: nothing is kept.
        workers: processes; None: one per core. A clip always takes one. A script that has several
            must be guarded by `if __name__ == "__main__":`, as multiprocessing requires.
        ray: "auto", "local" or the address of a cluster; None for none.
        say: is told what is being done, a line each.
        track: passes the pictures on and shows how far they are.

    Raises:
        VcmError: if something cannot be had, or the uncompressed score is not the expected one.
    """
    pool = pool_of(workers, ray)
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(held(make_folder(folder)))
        return evaluated(plan, folder, pool, say, track).report


def evaluated(
    plan: Plan, folder: Path, pool: Pool, say: Say = silent, track: Track = unseen
) -> Evaluated:
    """As `evaluate`, with models and records; in a folder that no other evaluation writes to."""
    if plan.footage is not None:
        return evaluated_clip(plan, folder, say, cast(Any, track))
    check(plan.model, plan.codecs, plan.reference, plan.device)
    measurer = Measurer(plan)
    check_scores(plan, measurer.model.kind, measurer.model.names)
    measurer.try_codecs()
    say(f"ROI: {plan.task.text} by {' + '.join(measurer.networks)}")
    failed: dict[str, VcmError] = {}
    own = folder / "pictures"
    with kept(pool) as processes:

        def measure(plan: Plan, label: str) -> dict[str, Record]:
            done = pictures.measured(plan, own, processes)
            for one in track(done, len(plan.data.photos), label):
                failed.pop(one.photo.name, None)  # it may have failed before, and not again
                if one.error is not None:
                    failed[one.photo.name] = one.error
            return pictures.records(plan, own)

        _look(measurer, measure(plan.without_codecs(), "uncompressed"), failed, say)
        records = measure(plan, "coding and looking")
    models = measurer.model, measurer.codecs, measurer.networks
    reasons = {name: str(error) for name, error in failed.items()}
    return Evaluated(result(plan, *models, records, say, reasons), records, measurer)


def _look(
    measurer: Measurer, records: dict[str, Record], failed: dict[str, VcmError], say: Say
) -> None:
    """Say what is odd about the pictures, and check their score before any is coded."""
    if not records:
        reasons = {name: str(error) for name, error in failed.items()}
        raise nothing_measured(reasons, next((e.hint for e in failed.values()), ""))
    for line in oddities(records.values()):
        say(line)
    scores = uncompressed(measurer.plan, measurer.model, records)
    if not measurer.plan.unchecked:
        say(check_expected(measurer.plan, scores))


def check(model: str, codecs: tuple[str, ...], reference: str | None, device: str = "cpu") -> None:
    """Refuse, before any work, what no plan can have.

    Raises:
        SpecError: if a codec is not known or given twice, the model's name is none, or there is no
            such device.
        MetricError: if the reference is none of the codecs.
    """
    check_name(model)
    device_of(device)
    if not codecs or len(set(codecs)) < len(codecs):
        raise SpecError(f"codecs: expected different codecs, got {','.join(codecs)!r}")
    for text in codecs:
        parse(text)
    reference_of(codecs, reference)


def prepared(plan: Plan, perceptual: bool = True) -> Plan:
    """The plan with notes on its labels and with the perceptual metrics that can be had here.

    Raises:
        VcmError: as `check`.
    """
    check(plan.model, plan.codecs, plan.reference, plan.device)
    notes = plan.data.notes
    if plan.data.annotations is not None:
        notes += truth.read(plan.data.annotations).notes
    usable, lines = available() if perceptual else ((), ())
    return replace(plan, notes=notes, perceptual=usable, left_out=lines)
