"""Similarity maps that follow the picture's edges."""

import numpy as np
import pytest

from vcm.roi.refine import to_edges


def scene(height: int, width: int, edge: float) -> np.ndarray:
    """Dark left of `edge`, a share of the width, bright right of it."""
    image = np.full((height, width, 3), 40, np.uint8)
    image[:, round(edge * width) :] = 210
    return image


@pytest.mark.parametrize("size", [(240, 320), (1500, 2000)])
def test_the_map_moves_to_the_edge(size: tuple[int, int]) -> None:
    """A map of 128 columns whose edge is one column off gets the picture's own edge."""
    image = scene(*size, edge=0.5)
    coarse = np.zeros((1, 96, 128), np.float32)
    coarse[:, :, 65:] = 1.0
    (fine,) = to_edges(coarse, image)
    assert fine.shape == size and fine.dtype == np.float32
    row = fine[size[0] // 2] >= 0.5
    assert abs(int(row.argmax()) - size[1] // 2) <= size[1] // 320
    assert row[row.argmax() :].all()


def test_without_edges_the_map_stays_and_maps_do_not_mix() -> None:
    flat = np.full((120, 160, 3), 128, np.uint8)
    coarse = np.stack([np.full((30, 40), v, np.float32) for v in (0.0, 0.3, 1.0)])
    fine = to_edges(coarse, flat)
    for value, result in zip((0.0, 0.3, 1.0), fine, strict=True):
        np.testing.assert_allclose(result, value, atol=1e-5)


def test_any_size_stays_in_range(rng: np.random.Generator) -> None:
    for size in ((1, 1), (1, 50), (3, 2), (37, 1100)):
        image = rng.integers(0, 256, (*size, 3), np.uint8)
        fine = np.stack(list(to_edges(rng.random((2, 8, 8), np.float32), image)))
        assert fine.shape == (2, *size) and fine.min() >= 0 and fine.max() <= 1
