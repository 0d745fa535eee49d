"""The result of an evaluation: what `vcm.evaluate` gives, results.json holds and the page shows."""

from dataclasses import dataclass
from typing import Any, Final

from vcm.evaluate.estimates import BdRate, Difference, Estimate, RateAt
from vcm.evaluate.plan import Plan
from vcm.roi.mask import OnEmpty
from vcm.vision.base import Kind

SHARES: Final = (99, 95, 90)  # percent of the uncompressed score


@dataclass(frozen=True)
class PointReport:
    """One codec at one setting.

    Attributes:
        bits: of the files of all pictures.
        bpp: bits by pixels of all pictures.
        scores: by metric, see `vcm.metrics.table`.
        classes: AP or IoU of each class, in percent.
    """

    setting: float
    bits: int
    bpp: Estimate
    scores: dict[str, Estimate]
    classes: dict[str, float]


@dataclass(frozen=True)
class CodecReport:
    """One codec.

    Attributes:
        name: for tables and plots; no other of the report has it.
        text: as in the plan.
        ours: whether it is this package's.
        points: in ascending order of bits.
    """

    name: str
    text: str
    ours: bool
    points: tuple[PointReport, ...]


@dataclass(frozen=True)
class Pair:
    """Two codecs on the same pictures.

    Attributes:
        codec, against: their names.
        bits_at: by share of the uncompressed score in percent.
        bd: of the first against the second.
    """

    codec: str
    against: str
    bits_at: dict[int, Difference]
    bd: BdRate


@dataclass(frozen=True)
class RoiReport:
    """Where the ROI came from.

    Attributes:
        source: words-to-mask backend, or "truth".
        weights: of the backend; None: its own.
        networks: what looked for the words, or "truth".
        mean_share: of a picture that is ROI, in [0, 1].
        without: how many pictures nothing was found in.
    """

    source: str
    weights: str | None
    words: str
    on_empty: OnEmpty
    networks: tuple[str, ...]
    mean_share: float
    without: int


@dataclass(frozen=True)
class Report:
    """Scores, curves, BD-rates and bits at scores, with intervals over pictures.

    Attributes:
        plan: what was asked for.
        provenance: command, date, commit, versions, machine and device.
        kind: of the task model.
        pictures, pixels: that were measured.
        metric: that the bits at shares and the pairs are of.
        uncompressed: scores of the pictures as they are, by metric.
        uncompressed_classes: AP or IoU of each class on them.
        unknown_classes: that the task model does not know; their score is 0.
        reference: name of the codec that BD-rates are against.
        bd: by metric and name of the codec.
        bits_at: by share of the uncompressed score in percent, and name of the codec.
        pairs: each two codecs.
        failed: why pictures do not count, by their names.
        left_out: a line for each perceptual metric that could not be had.
        notes: what is odd about labels and pictures.
        rate: frames a second, if the pictures are frames of a clip; None: they are photos.
    """

    plan: Plan
    provenance: dict[str, Any]
    kind: Kind
    pictures: int
    pixels: int
    roi: RoiReport
    metric: str
    uncompressed: dict[str, Estimate]
    uncompressed_classes: dict[str, float]
    unknown_classes: tuple[str, ...]
    codecs: tuple[CodecReport, ...]
    reference: str
    bd: dict[str, dict[str, BdRate]]
    bits_at: dict[int, dict[str, RateAt]]
    pairs: tuple[Pair, ...]
    failed: dict[str, str]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    rate: float | None = None

    @property
    def kbps(self) -> float | None:
        """Kilobits a second at one bit per pixel; None if the pictures are not a clip."""
        return self.rate and self.pixels / self.pictures * self.rate / 1000

    def metrics(self) -> list[str]:
        """The metrics that every codec's points have, the task's first."""
        points = [point.scores for codec in self.codecs for point in codec.points]
        others = (m for m in points[0] if m != self.metric and all(m in p for p in points))
        return [self.metric, *others]
