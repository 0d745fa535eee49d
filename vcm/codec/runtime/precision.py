"""The device that networks run on, and whether they compute in bfloat16."""

from contextlib import AbstractContextManager
from typing import Final

import torch

# Latents. With AMX (oneDNN of torch 2.14), strided convolutions in bfloat16 leave results of one
# column and five or more rows uninitialised; h_a's results are four times narrower than its input.
NARROW: Final = 4
CPU: Final = torch.device("cpu")


class Precision:
    """The arithmetic of g_a, LMA, h_a and g_s; entropy networks are always exact.

    Args:
        bf16: whether they run in bfloat16; None: if the device has instructions for it.
    """

    def __init__(self, bf16: bool | None = None, device: torch.device = CPU):
        self.device = device
        self.bf16 = has_bf16(device) if bf16 is None else bf16

    def fast(self, width: int = NARROW + 1) -> AbstractContextManager[object]:
        """A context for networks whose results may differ between machines.

        Args:
            width: of the input of networks with strides, in latents.
        """
        enabled = self.bf16 and width > NARROW
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)


def has_bf16(device: torch.device = CPU) -> bool:
    """Whether a processor or a GPU has instructions for bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        known = torch.cpu.get_capabilities()
    except AttributeError:  # older versions of torch cannot tell
        return False
    return any(known.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))
