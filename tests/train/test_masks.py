"""The masks that the codec learns from, and what its networks are told of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vcm.codec.models.roi import RoiHyperprior
from vcm.codec.models.sizes import Sizes
from vcm.codec.nets.transforms import Widths
from vcm.train.config import Training
from vcm.train.data import Batch, mask_values
from vcm.train.kinds import RoiStep
from vcm.train.step import Share

SIZES = Sizes(12, 4, Widths(12, 20, 1, 1), Widths(8, 16, 1, 1), 16, 16, 16, 16)


def test_masks_take_one_sigma_and_follow_regions():
    labels = np.zeros((64, 64), np.uint8)
    labels[:, 32:], labels[:4] = 7, 255
    kinds = set()
    for seed in range(60):
        m = mask_values(labels, 64, np.random.default_rng(seed))
        assert len(np.unique(m)) <= 2 and m.min() >= 0.0099 and m.max() <= 1
        if np.array_equal(m == 1, labels == 7):
            kinds.add("region")
        elif (m == 1).all():
            kinds.add("all")
        elif len(np.unique(m)) == 2:
            kinds.add("shapes")
    assert kinds == {"region", "all", "shapes"}
    rng = np.random.default_rng(0)
    assert all((mask_values(labels, 64, rng, whole=1) == 1).all() for _ in range(20))


def test_graded_masks_have_several_values_or_change_smoothly():
    labels = np.zeros((64, 64), np.uint8)
    labels[:, 32:] = 7
    kinds = set()
    for seed in range(60):
        m = mask_values(labels, 64, np.random.default_rng(seed), whole=0, graded=1)
        assert m.min() >= 0.0099 and m.max() <= 1
        values = np.unique(m)
        if len(values) > 100:
            kinds.add("smooth")
            assert max(abs(np.diff(np.log(m), axis=axis)).max() for axis in (0, 1)) < 0.6
        else:
            kinds.add("several")
            assert len(values) <= 5
    assert kinds == {"smooth", "several"}


def test_a_model_with_a_map_is_told_the_qualities_of_latents(seed):
    """The mapped picture has those that its mask asks for, the other one sees the mask in LMA."""
    config = Training(model=replace(SIZES, below=10))
    step = RoiStep(lambda sizes: RoiHyperprior(sizes), config, None)
    m = torch.full((2, 1, 64, 64), 0.1)
    m[..., :20, :20] = 1
    asked = torch.tensor([5000, 5000]), torch.tensor([True, False])
    data = Batch(torch.rand(2, 3, 64, 64), m, *asked)
    seen, told = step._told(data.m, data.hundredths, data.mapped)
    assert torch.equal(told[1], torch.full((4, 4), 5000)) and torch.equal(seen[1], m[1])
    assert (told[0, :2, :2] == 5000).all() and (told[0, 2:] < -7000).all()
    assert (seen[0, :, 32:] == 1).all() and seen[0, 0, 25, 5] == pytest.approx(0.1)
    terms = step(data, Share(0, 2, 7))
    terms.loss.backward()
    assert step.model.decoder.inverse_gain.log_below.grad.abs().sum() > 0
