"""The result of an evaluation, before it is shown."""

from typing import NamedTuple

from vcm.evaluate.measure import Measurer
from vcm.evaluate.record import Record
from vcm.evaluate.report import Report


class Evaluated(NamedTuple):
    """A finished evaluation, for callers that show more than its report.

    Attributes:
        records: what was measured, by the names of the pictures.
        measurer: the models and codecs; None for a clip, of which no pictures are shown.
    """

    report: Report
    records: dict[str, Record]
    measurer: Measurer | None
