"""Perceptual metrics of pretrained networks: real ones where they can be had, else one line."""

import numpy as np
import pytest

from vcm.errors import MissingExtra, ModelError
from vcm.metrics import learned


@pytest.mark.parametrize("name", learned.NAMES)
def test_equal_pictures_are_at_no_distance_or_the_reason_is_said(name, cat, capsys):
    try:
        distance = learned.load(name)
    except MissingExtra as error:
        assert "vcm[perceptual]" in str(error)
    except ModelError as error:
        assert f"{name}: its backbone could not be downloaded" in str(error)
        assert "\n" not in str(error)
    else:
        noisy = (cat + np.random.default_rng(0).integers(0, 30, cat.shape)).astype(np.uint8)
        assert distance(cat, cat) == pytest.approx(0, abs=1e-4) < distance(cat, noisy)
    assert capsys.readouterr().out == ""
