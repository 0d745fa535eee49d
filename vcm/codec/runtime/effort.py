"""The search for a better latent of one picture while encoding. Files and decoders do not change.

The latent that g_a and LMA give is one network's guess. From it a gradient descent on the picture's
own rate + lmbda * distortion starts: every element is rounded down or up at random, less and less
randomly from step to step, and gradients tell which of the two is worth its bits.

Source: Yang, Bamler, Mandt 2020, "Improving inference for neural image compression",
arXiv:2006.04240 (stochastic Gumbel annealing). Deviations: z is kept; tens of steps instead of
thousands; large pictures window by window.
"""

import math
from typing import NamedTuple

import torch
from compressai.entropy_models import GaussianConditional
from torch import Tensor

from vcm.codec.format import tiles
from vcm.codec.format.constants import STEP, STRIDE
from vcm.codec.format.control import Control
from vcm.codec.format.tiles import Tile
from vcm.codec.models.loss import distortion_weights, lmbda_of
from vcm.codec.models.roi import RoiHyperprior
from vcm.codec.nets.control import Controls
from vcm.codec.nets.entropy import SCALE_MIN, Parameters
from vcm.codec.nets.lma import TwoValues
from vcm.codec.nets.quarters import quarter
from vcm.codec.nets.transforms import from_blocks
from vcm.codec.runtime.context import even, exact
from vcm.codec.runtime.latent import Unquantised
from vcm.codec.runtime.precision import Precision
from vcm.codec.runtime.tiling import filled

WINDOW, AROUND = 48, 4  # latents, multiples of STEP: side of a window, and the border it sees
# The first learning rate is this times the square root of the number of steps: a short search has
# no time to undo the damage of large ones.
RATE = 0.0025
HOTTEST, START, COOLING = 0.5, 1.5, 3.0  # temperature: START e^(-COOLING t), at most HOTTEST


class Window(NamedTuple):
    """What the cost of a window's latents depends on.

    Attributes:
        x: (1, 3, 16h, 16w) float32 in [0, 1], with even h and w.
        weights: (1, 1, 16h, 16w) float32, of each pixel's squared error; 0 outside the picture.
        z_hat: (1, Z, ceil(h/4), ceil(w/4)) float32.
        control: of the window's latents.
        coded: (1, 1, h, w) float32, 0 for latents outside the picture, 1 elsewhere.
        free: (1, 1, h, w) float32, 1 inside the window, 0 on its border, which is kept.
    """

    x: Tensor
    weights: Tensor
    z_hat: Tensor
    control: Controls
    coded: Tensor
    free: Tensor


class Search:
    """Searches for latents of one picture.

    Args:
        lmbda: of the loss that the model was trained with, at quality 0 and 100.
        control: of the picture.
        steps: of the descent; each costs about as much as eight encodings.
    """

    def __init__(
        self,
        model: RoiHyperprior,
        precision: Precision,
        lmbda: tuple[float, float],
        control: Control,
        steps: int,
    ):
        self._model, self._precision, self._steps = model, precision, steps
        self._device = precision.device
        self._lmbda = float(lmbda_of(torch.tensor([control.hundredths]), *lmbda))
        prior = GaussianConditional(None, scale_bound=SCALE_MIN).to(self._device)
        self._likelihood = prior._likelihood
        self._random = torch.Generator().manual_seed(0)  # the same file every time

    def better(self, y: Tensor, window: Window) -> Tensor:
        """y: (1, M, h, w) float32, whose `cost` is never above that of the one given."""
        start, y = y, y.clone().requires_grad_()
        first = RATE * self._steps**0.5
        optimiser = torch.optim.Adam([y], first, betas=(0.9, 0.99))
        for step in range(self._steps):
            done = step / self._steps
            optimiser.param_groups[0]["lr"] = first * (1 - done) ** 0.5
            optimiser.zero_grad()
            cost = self.cost(y, window, min(HOTTEST, START * math.exp(-COOLING * done)))
            cost.backward()  # type: ignore[no-untyped-call]
            assert y.grad is not None
            y.grad *= window.free
            optimiser.step()
        y = y.detach()
        with torch.no_grad():
            return y if self.cost(y, window) < self.cost(start, window) else start

    def cost(self, y: Tensor, window: Window, heat: float | None = None) -> Tensor:
        """Bits + lmbda * 255^2 * weighted squared error, summed over the window.

        Args:
            heat: temperature of the random rounding; None: latents are rounded.
        """
        bits: list[Tensor] = []

        def quantise(part: Tensor, p: Parameters) -> Tensor:
            coded = quarter(len(bits), window.coded.expand_as(y)) * (p.rows.detach() > 0)
            rounded = self._rounded(part - p.means, heat) * coded
            likelihood = self._likelihood(rounded, p.scales).clamp(min=1e-9)
            bits.append(-(likelihood.log2() * coded).sum())
            return rounded

        # exact entropy parameters to compare two latents; approximate ones do for the descent
        with exact(self._device) if heat is None else self._precision.fast():
            y_hat, _, _ = self._model.quantised(y, window.z_hat, window.control, quantise)
        with self._precision.fast():
            blocks = self._model.decoder.synthesise(y_hat, window.control)
        error = (from_blocks(blocks.float()) + 0.5 - window.x).square() * window.weights
        return torch.stack(bits).sum() + self._lmbda * 255**2 * error.sum() / 3

    def _rounded(self, t: Tensor, heat: float | None) -> Tensor:
        """Random values between the two integers around t; heat None: the nearest integer."""
        if heat is None:
            return t.round()
        low = t.detach().floor()
        up = (t - low).clamp(1e-4, 1 - 1e-4)
        noise = torch.empty(2, *t.shape).exponential_(generator=self._random).log().to(t.device)
        odds = (torch.atanh(up) - torch.atanh(1 - up)) / heat  # log odds of rounding up
        return low + torch.sigmoid((odds + noise[0] - noise[1]) / heat)


def refined(prepared: Unquantised, x: Tensor, m: Tensor | TwoValues, search: Search) -> Unquantised:
    """The same picture with a better y, window by window; x and m as for `Codec.compress`."""
    with torch.inference_mode(False), torch.enable_grad():
        y = prepared.y.clone()
        h, w = y.shape[2:]
        for tile in tiles.grid(h, w, WINDOW):
            outer = tile.grown(h, w, AROUND)
            found = search.better(even(outer.of(y).float()), _window(x, m, prepared, tile, outer))
            tile.of(y).copy_(tile.within(outer).of(found))
    return prepared._replace(y=y)


def _window(
    x: Tensor, m: Tensor | TwoValues, prepared: Unquantised, tile: Tile, outer: Tile
) -> Window:
    height, width = (side + side % 2 for side in outer.size)
    whole = Tile(outer.top, outer.left, outer.top + height, outer.left + width)
    pixels, values = (filled(t, whole, STRIDE) for t in (x, m))
    inside = torch.zeros_like(values, dtype=torch.float32)
    real = outer.of(x[:, :1], STRIDE)
    inside[..., : real.shape[2], : real.shape[3]] = 1
    coded = even(torch.ones(1, 1, *outer.size))
    free = torch.zeros_like(coded)
    tile.within(outer).of(free).fill_(1)
    device = prepared.y.device
    return Window(
        (pixels.float() / 255 if x.dtype == torch.uint8 else pixels.float()).to(device),
        (distortion_weights(values.float()) * inside).to(device),
        outer.of(prepared.z_hat, 1 / STEP).clone(),  # made without gradients
        Controls(*(t.clone() for t in prepared.control.part(outer).filled(2))),
        coded.to(device),
        free.to(device),
    )
