"""Whether a run is well: gradients that are left out, a loss that runs away."""

import logging
import math
from typing import Final

from vcm.errors import ModelError

_log = logging.getLogger(__name__)
# Of the gradient, times its usual norm: one like this can undo a thousand steps, so it is left out.
OUTLIER: Final = 10.0
# Steps in a row whose loss is so many times the usual one: the run has diverged.
DIVERGED, FAR = 50, 3.0
ILL = 5  # such steps: more than one unlucky batch


class Health:
    """What is usual in a run, and how far from it the run is.

    Args:
        folder: of the run, for what is said when it diverges.

    Attributes:
        norm, loss: running means of the gradient's norm and of the loss.
        last: the loss of the last step.
        far: steps in a row with a loss that is far from usual; what is saved then may be ill.
    """

    def __init__(self, folder: str):
        self.norm = self.loss = math.inf
        self.last = math.nan
        self.far = 0
        self._folder = folder

    @property
    def ill(self) -> bool:
        """Whether what is learnt now is not to be kept."""
        return self.far >= ILL

    def allows(self, step: int, loss: float, norm: float) -> bool:
        """Whether a step is to be made: not if its gradient is an outlier.

        Raises:
            ModelError: if the run has diverged.
        """
        self.last = loss
        self.far = self.far + 1 if not loss <= FAR * self.loss else 0
        if self.far >= DIVERGED or not math.isfinite(norm):
            raise self.diverged(step)
        allowed = norm <= OUTLIER * self.norm
        if not allowed:
            _log.warning("step %d left out: gradient %.2g, usual %.2g", step, norm, self.norm)
        self.norm = _running(self.norm, norm, OUTLIER)
        if not self.far:  # else what is wrong would become usual
            self.loss = _running(self.loss, loss, FAR)
        return allowed

    def diverged(self, step: int) -> ModelError:
        """What is said of a run whose loss has left what was usual."""
        return ModelError(
            f"step {step}: the loss is {self.last:.3g}, usual is {self.loss:.3g}: the run has "
            f"diverged; the same command with a lower optim.lr and run.folder={self._folder} "
            f"goes on from the last checkpoint, or begins again if none was made"
        )


def _running(mean: float, value: float, most: float) -> float:
    """A mean over some hundred steps that follows outliers slowly: what stays becomes usual."""
    return value if math.isinf(mean) else 0.99 * mean + 0.01 * min(value, most * mean)
