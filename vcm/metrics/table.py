"""The table of metrics, by the names that results use."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from vcm.metrics.perceptual import decibels

AGREEMENT: Final = "agreement "  # prefix of a task's metric: agreement with the model itself


def _same(value: float) -> float:
    return value


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        label: for people to read.
        unit: "%", "dB", or "" for a number without one.
        higher: whether higher is better.
        digits: decimals to print.
        scale: from a score to the scale that BD-rates interpolate on.
        of_task: whether it is the task model's score; else it compares pictures.
    """

    label: str
    unit: str
    higher: bool = True
    digits: int = 2
    scale: Callable[[float], float] = _same
    of_task: bool = False

    @property
    def axis(self) -> str:
        """The label with its unit and, if so, the words "lower is better"."""
        unit = f", {self.unit}" if self.unit else ""
        return f"{self.label}{unit}{'' if self.higher else ' (lower is better)'}"

    def better(self, one: float, other: float) -> bool:
        """Whether one score is at least as good as another."""
        return one >= other if self.higher else one <= other

    def rising(self, value: float) -> float:
        """A score on a scale where higher is better, as BD-rates need it."""
        return self.scale(value) if self.higher else -self.scale(value)


METRICS: Final[dict[str, Metric]] = {
    "AP": Metric("AP", "%", of_task=True),
    "AP50": Metric("AP50", "%", of_task=True),
    "mask_AP": Metric("mask AP", "%", of_task=True),
    "mask_AP50": Metric("mask AP50", "%", of_task=True),
    "mIoU": Metric("mIoU", "%", of_task=True),
    "MOTA": Metric("MOTA", "%", of_task=True),
    "IDF1": Metric("IDF1", "%", of_task=True),
    "PSNR": Metric("PSNR", "dB"),
    "ROI-PSNR": Metric("PSNR of the ROI", "dB"),
    "background PSNR": Metric("PSNR of the background", "dB"),
    "MS-SSIM": Metric("MS-SSIM", "", digits=4, scale=decibels),
    "ROI-MS-SSIM": Metric("ROI-MS-SSIM", "", digits=4, scale=decibels),
    "background MS-SSIM": Metric("background MS-SSIM", "", digits=4, scale=decibels),
    "ST-LPIPS": Metric("ST-LPIPS", "", higher=False, digits=4),
    "LPIPS": Metric("LPIPS", "", higher=False, digits=4),
    "DISTS": Metric("DISTS", "", higher=False, digits=4),
}


def agreement(name: str) -> str:
    """The name of a task's score without labels: the model's agreement with itself."""
    return AGREEMENT + name


def metric(name: str) -> Metric:
    """The entry of a metric, with or without the prefix for agreement."""
    return METRICS[name.removeprefix(AGREEMENT)]


def axis(name: str) -> str:
    """A metric's name and unit, for an axis of a plot."""
    own = name.removeprefix(AGREEMENT)
    return f"{AGREEMENT if own != name else ''}{METRICS[own].axis}"
