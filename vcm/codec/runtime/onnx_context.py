"""What is known of a latent while it is coded, without torch; see `vcm.codec.runtime.context`."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from vcm.codec.format import tiles
from vcm.codec.format.constants import LEVELS, QUALITY_STEPS, STEP
from vcm.codec.format.tiles import Tile
from vcm.codec.runtime.exported import Exported, Floats, even, filled, place, quarter

HALO: Final = 2  # latents; the context reaches 1, rounded up to whole 2x2 squares
Bytes = NDArray[np.uint8]
Plane = NDArray[np.int32]  # (1, h, w), the quality of each latent in hundredths


def real(plane: Plane) -> Floats:
    """Qualities as the transforms see them: (1, h, w) float32 in [-1.4, 1]."""
    return (plane / QUALITY_STEPS).astype(np.float32)


class OnnxContext:
    """Features of z_hat and the known part of y_hat, as bytes, for a whole picture.

    Args:
        model: must have the networks "features" and "pass_*".
        z_hat: (Z, ceil(h/4), ceil(w/4)), integers in [-15, 15].
        plane: the quality of each latent.
        side: of the tiles in latents, 0 for none.

    Attributes:
        grid: the tiles in the order that each pass codes them.
    """

    def __init__(self, model: Exported, z_hat: NDArray[np.int16], plane: Plane, side: int):
        h, w = plane.shape[1:]
        self.grid: Final = list(tiles.grid(h, w, side))
        self._model = model
        self._level = (plane * LEVELS + QUALITY_STEPS // 2) // QUALITY_STEPS
        self._features = self._features_of(z_hat)
        self._known = np.zeros((model.channels["y"], h, w), np.int8)
        self._number, self._before = -1, self._known

    def parameters(self, number: int, tile: Tile) -> tuple[Bytes, Floats]:
        """See `vcm.codec.format.walk.Known`; elements outside the picture get row 0."""
        if number != self._number and len(self.grid) > 1:
            # a tile must not see what this pass has coded in other tiles
            self._number, self._before = number, self._known.copy()
        outer = tile.grown(self._known.shape[1], self._known.shape[2], HALO)
        inputs = {"known": even(outer.of(self._before))} if number else {}
        features = even(outer.of(self._features))
        level = filled(outer.of(self._level), 2)
        rows, means = self._model.run(f"pass_{number}", features, level=level, **inputs)
        inner = tile.within(outer)
        coded = quarter(number, even(np.ones_like(tile.of(self._known), np.uint8)))
        return inner.of(rows, 1 / 2).astype(np.uint8) * coded, inner.of(means, 1 / 2)

    def learn(self, number: int, tile: Tile, value: Floats) -> None:
        """See `vcm.codec.format.walk.Known`."""
        place(number, _compand(value), tile.of(self._known))

    def _features_of(self, z_hat: NDArray[np.int16]) -> Bytes:
        """The features of each latent, from z: (channels, h, w)."""
        h, w = self._level.shape[1:]
        features = np.zeros((self._model.width("features"), h, w), np.uint8)
        for tile in self.grid:
            outer = tile.grown(h, w)
            own = filled(outer.of(self._level), STEP)
            (found,) = self._model.run("features", outer.of(z_hat, 1 / STEP), level=own)
            tile.of(features)[:] = tile.within(outer).of(found)
        return features


def _compand(v: Floats) -> Floats:
    """Integers in [-127, 127] that grow like the square root, which IEEE 754 rounds correctly."""
    root = np.sqrt(np.abs(v) + np.float32(16)) * np.float32(4) - np.float32(16)
    found: Floats = np.rint(root.clip(max=127)) * np.sign(v)
    return found
