"""MS-SSIM against its definition, written out in numpy."""

import cv2
import numpy as np
import pytest

from vcm.errors import MetricError
from vcm.metrics.perceptual import decibels, ms_ssim, ms_ssim_in

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


@pytest.mark.parametrize("side", [(288, 448), (300, 451), (161, 177)])
def test_of_the_whole_picture_the_part_is_the_whole(side, cat, rng):
    photo = cat[: side[0], : side[1]]
    noisy = np.clip(photo + rng.normal(0, 20, photo.shape), 0, 255).astype(np.uint8)
    (whole,) = ms_ssim_in(photo, noisy, [np.ones(photo.shape[:2], bool)])
    assert whole == pytest.approx(ms_ssim(photo, noisy), abs=2e-5)


def test_a_part_by_its_definition(cat, rng):
    photo = cat[:288, :448]
    noisy = np.clip(photo + rng.normal(0, 20, photo.shape), 0, 255).astype(np.uint8)
    place = np.zeros(photo.shape[:2], bool)
    place[40:200, 100:350] = True
    product, share = np.ones(3), place.astype(float)
    x, y = ([t[..., c].astype(float) for c in range(3)] for t in (photo, noisy))
    for number, weight in enumerate(WEIGHTS):
        inner = share[5:-5, 5:-5]
        for c in range(3):
            similarity = _structure(x[c], y[c])
            if number == 4:
                mx, my, c1 = _blur(x[c]), _blur(y[c]), (0.01 * 255) ** 2
                similarity = similarity * (2 * mx * my + c1) / (mx**2 + my**2 + c1)
            product[c] *= np.average(similarity, weights=inner) ** weight
        if number < 4:
            x, y, share = [_half(t) for t in x], [_half(t) for t in y], _half(share)
    assert ms_ssim_in(photo, noisy, [place]) == [pytest.approx(product.mean(), abs=2e-5)]


def test_what_is_far_from_a_part_does_not_count(cat, rng):
    photo = np.ascontiguousarray(cat[:288, :448])
    noisy = photo.copy()
    noisy[:, 300:] = rng.integers(0, 255, noisy[:, 300:].shape)
    left = np.zeros(photo.shape[:2], bool)
    left[:, :64] = True
    inside, outside = ms_ssim_in(photo, noisy, [left, ~left])
    assert inside == pytest.approx(1) and outside < ms_ssim(photo, noisy) < 1
    assert np.isnan(ms_ssim_in(photo, noisy, [np.zeros_like(left)])[0])


def test_equal_pictures_and_decibels(cat):
    assert ms_ssim(cat, cat) == pytest.approx(1)
    assert decibels(0.9) == pytest.approx(10)
    assert decibels(1.0) == 100


def test_pictures_it_is_not_defined_for(cat):
    with pytest.raises(MetricError, match="161"):
        ms_ssim(cat[:160], cat[:160])
    with pytest.raises(MetricError, match="equal sizes"):
        ms_ssim(cat, cat[:, :-1])
