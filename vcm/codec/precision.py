"""Where bfloat16 may be used, and whether it pays."""

from contextlib import AbstractContextManager

import torch


class Precision:
    """The arithmetic of g_a, LMA, h_a and g_s; what decodes symbols is exact whatever this says.

    Args:
        bf16: whether they run in bfloat16; None: where the processor multiplies it faster.
    """

    def __init__(self, bf16: bool | None):
        self.bf16 = has_bf16() if bf16 is None else bf16

    def fast(self) -> AbstractContextManager[object]:
        """A context for networks whose results need not be the same everywhere."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bf16)


def has_bf16() -> bool:
    """Whether this processor has instructions for bfloat16."""
    try:
        known = torch.cpu.get_capabilities()
    except AttributeError:  # older versions of torch cannot tell
        return False
    return any(known.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))
