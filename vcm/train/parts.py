"""Which parts of the codec a training changes."""

from typing import Final, Literal

from torch import nn

Learn = Literal["all", "encoder", "decoder"]

# What only an encoder has: with all else as it was, every existing decoder reads its files.
ENCODER: Final = ("model.g_a.", "model.lma.", "model.gain.", "model.h_a.")
# What turns y_hat into pixels. Latents stay what they were; who decodes needs the new weights.
DECODER: Final = ("model.g_s.", "model.inverse_gain.")


def freeze_the_rest(module: nn.Module, learn: Learn) -> None:
    """Leave gradients to the parts that learn; names begin with "model." or "rate."."""
    prefixes = {"all": ("",), "encoder": ENCODER, "decoder": DECODER}[learn]
    for name, parameter in module.named_parameters():
        if not name.startswith(prefixes):
            parameter.requires_grad_(False)
