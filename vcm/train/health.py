"""Whether a run is healthy: outlier gradients, which are skipped, and a diverging loss."""

import logging
import math
from typing import Final

from vcm.errors import ModelError

_log = logging.getLogger(__name__)
# A gradient of more than this times the usual norm can undo a thousand steps, so it is skipped.
OUTLIER: Final = 10.0
# After so many steps in a row with a loss of more than FAR times the usual, the run has diverged.
DIVERGED, FAR = 50, 3.0
ILL = 5  # steps in a row with such a loss: more than one unlucky batch


class Health:
    """The usual loss and gradient norm of a run, and how far it is from them.

    Args:
        folder: of the run, for the error when it diverges.

    Attributes:
        norm, loss: running means of the gradient's norm and of the loss.
        last: the loss of the last step.
        far: steps in a row with a loss far above the usual; the weights may be bad by then.
    """

    def __init__(self, folder: str):
        self.norm = self.loss = math.inf
        self.last = math.nan
        self.far = 0
        self._folder = folder

    @property
    def ill(self) -> bool:
        """Whether the current weights should not be saved."""
        return self.far >= ILL

    def allows(self, step: int, loss: float, norm: float) -> bool:
        """Whether to make a step: not if its gradient is an outlier.

        Raises:
            ModelError: if the run has diverged.
        """
        self.last = loss
        self.far = self.far + 1 if not loss <= FAR * self.loss else 0
        if self.far >= DIVERGED or not math.isfinite(norm):
            raise self.diverged(step)
        allowed = norm <= OUTLIER * self.norm
        if not allowed:
            _log.warning("step %d skipped: gradient %.2g, usual %.2g", step, norm, self.norm)
        self.norm = _running(self.norm, norm, OUTLIER)
        if not self.far:  # else a diverging loss would become the usual one
            self.loss = _running(self.loss, loss, FAR)
        return allowed

    def diverged(self, step: int) -> ModelError:
        """The error for a run whose loss is far above the usual."""
        return ModelError(
            f"step {step}: the loss is {self.last:.3g}, usual is {self.loss:.3g}: the run has "
            f"diverged; the same command with a lower optim.lr and run.folder={self._folder} "
            f"goes on from the last checkpoint, or starts again if there is none"
        )


def _running(mean: float, value: float, most: float) -> float:
    """A mean over about a hundred steps, to which no value adds more than `most` times the mean."""
    return value if math.isinf(mean) else 0.99 * mean + 0.01 * min(value, most * mean)
