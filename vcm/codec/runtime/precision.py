"""Where bfloat16 may be used, and whether it pays."""

from contextlib import AbstractContextManager
from typing import Final

import torch

# Latents. Strided convolutions in bfloat16 by AMX (oneDNN of torch 2.14) leave memory as it was in
# results of one column and five rows or more; those of h_a are four times narrower than its input.
NARROW: Final = 4


class Precision:
    """The arithmetic of g_a, LMA, h_a and g_s; what decodes symbols is exact whatever this says.

    Args:
        bf16: whether they run in bfloat16; None: where the processor multiplies it faster.
    """

    def __init__(self, bf16: bool | None):
        self.bf16 = has_bf16() if bf16 is None else bf16

    def fast(self, width: int = NARROW + 1) -> AbstractContextManager[object]:
        """A context for networks whose results need not be the same everywhere.

        Args:
            width: in latents, of what networks with strides work on.
        """
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bf16 and width > NARROW)


def has_bf16() -> bool:
    """Whether this processor has instructions for bfloat16."""
    try:
        known = torch.cpu.get_capabilities()
    except AttributeError:  # older versions of torch cannot tell
        return False
    return any(known.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))
