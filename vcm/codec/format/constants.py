"""Numbers of the format that several parts of a decoder use; see docs/bitstream.md."""

from typing import Final

STRIDE: Final = 16  # pixels per latent, each way
STEP: Final = 4  # latents per z symbol, each way; tiles begin at multiples of it
QUALITY_STEPS: Final = 10_000  # quality 0 to 100 is stored in hundredths
QUALITY_MIN: Final = -14_000  # lowest quality of a latent: next to nothing of it is coded
LEVELS: Final = 255  # quality 100 as the entropy networks see it; quality 0 is 0
ORDER: Final = (0, 3, 1, 2)  # pass i codes group g at position g ^ ORDER[i] of each 2x2 square
PASSES: Final = len(ORDER)
SCALE_LEVELS: Final = 64  # rows of the table of y
MEAN_UNIT: Final = 16  # means and y_hat are in sixteenths of a quantisation step
Z_MAX: Final = 15  # hyper-latents are integers in [-15, 15]
Y_MAX: Final = 2_000  # symbols of y lie within +-2000, usually within a few hundred
Y_HAT_MAX: Final = 2**15 - 1  # sixteenths, as int16 holds them


def latent_size(height: int, width: int) -> tuple[int, int]:
    """(h, w) of the latent y of a picture."""
    return -(-height // STRIDE), -(-width // STRIDE)


def z_size(h: int, w: int) -> tuple[int, int]:
    """(rows, columns) of the hyper-latent z of a latent of (h, w)."""
    return -(-h // STEP), -(-w // STEP)
