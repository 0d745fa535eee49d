"""MS-SSIM against its definition, written out in numpy."""

import cv2
import numpy as np
import pytest

from vcm.errors import MetricError
from vcm.metrics.perceptual import decibels, ms_ssim

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the five scales, by the paper


def reference(a, b):
    """Wang, Simoncelli, Bovik 2003: of each channel, then the mean."""
    return np.mean([_channel(a[..., c].astype(float), b[..., c].astype(float)) for c in range(3)])


def _channel(x, y):
    product = 1.0
    for weight in WEIGHTS[:-1]:
        product *= _structure(x, y).mean() ** weight
        x, y = _half(x), _half(y)
    mx, my, c1 = _blur(x), _blur(y), (0.01 * 255) ** 2
    luminance = (2 * mx * my + c1) / (mx**2 + my**2 + c1)
    return product * (luminance * _structure(x, y)).mean() ** WEIGHTS[-1]


def _structure(x, y):
    mx, my, c2 = _blur(x), _blur(y), (0.03 * 255) ** 2
    vx, vy, vxy = _blur(x * x) - mx**2, _blur(y * y) - my**2, _blur(x * y) - mx * my
    return (2 * vxy + c2) / (vx + vy + c2)


def _blur(t):
    return cv2.GaussianBlur(t, (11, 11), 1.5)[5:-5, 5:-5]


def _half(t):
    height, width = t.shape
    return t.reshape(height // 2, 2, width // 2, 2).mean((1, 3))


@pytest.mark.parametrize("noise", [2, 10, 40])
def test_agrees_with_the_definition(noise, cat, rng):
    photo = cat[:288, :448]  # halves four times
    noisy = np.clip(photo + rng.normal(0, noise, photo.shape), 0, 255).astype(np.uint8)
    assert ms_ssim(photo, noisy) == pytest.approx(reference(photo, noisy), abs=2e-5)


def test_equal_pictures_and_decibels(cat):
    assert ms_ssim(cat, cat) == pytest.approx(1)
    assert decibels(0.9) == pytest.approx(10)
    assert decibels(1.0) == 100


def test_pictures_it_is_not_defined_for(cat):
    with pytest.raises(MetricError, match="161"):
        ms_ssim(cat[:160], cat[:160])
    with pytest.raises(MetricError, match="equal sizes"):
        ms_ssim(cat, cat[:, :-1])
