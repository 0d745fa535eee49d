"""Widths and depths of our model's networks."""

from dataclasses import dataclass

from vcm.codec.format import tiles
from vcm.codec.nets.transforms import Widths
from vcm.errors import SpecError


@dataclass(frozen=True)
class Sizes:
    """Widths and depths of the networks; stored with the weights, so a checkpoint needs no config.

    Attributes:
        M: channels of y.
        Z: channels of z.
        analysis, synthesis: of g_a and g_s; every decoder pays for g_s.
        hyper: channels of h_a.
        width, context, hidden: channels of the entropy parameter networks.
        below: knots of each gain for qualities below 0, see `Gain`. More than 0: files have a map,
            a quality for each latent. 0: a picture has one quality.
    """

    M: int = 320
    Z: int = 64
    analysis: Widths = Widths(n8=96, n16=192, blocks8=3, blocks16=2)
    synthesis: Widths = Widths(n8=96, n16=192, blocks8=3, blocks16=2)
    hyper: int = 192
    width: int = 192
    context: int = 128
    hidden: int = 256
    below: int = 0

    def __post_init__(self) -> None:
        reach = max(self.analysis_reach, self.synthesis_reach)
        if reach > tiles.HALO:
            raise SpecError(
                f"blocks8, blocks16: the networks reach {reach} latents, tiles overlap by at most "
                f"{tiles.HALO}; use fewer blocks"
            )

    @property
    def analysis_reach(self) -> int:
        """How far g_a and then LMA see, in latents, rounded up."""
        return self.analysis.reach + 1

    @property
    def synthesis_reach(self) -> int:
        """How far g_s sees, in latents, rounded up."""
        return self.synthesis.reach
