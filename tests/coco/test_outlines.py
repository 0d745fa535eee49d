"""Run lengths in COCO's string, against pycocotools' own coder."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from vcm.coco.outlines import _decoded, outline
from vcm.errors import SpecError
from vcm.vision.base import rle


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=70)))
def test_the_string_of_a_mask_is_read(mask):
    coded = rle(mask)
    lengths = _decoded(coded["counts"], "x")
    flat = mask.T.ravel()  # column by column
    assert np.array_equal(np.repeat(np.arange(len(lengths)) % 2, np.array(lengths, int)), flat)
    assert outline(coded, mask.shape, "x") == coded


@given(st.text(st.characters(min_codepoint=32, max_codepoint=130), max_size=12))
def test_any_string_is_read_or_refused(text):
    try:
        found = outline({"size": [5, 4], "counts": text}, None, "x")
    except SpecError:
        return
    assert sum(_decoded(found["counts"], "x")) == 20


def test_a_string_that_is_cut_is_refused():
    coded = rle(np.arange(900).reshape(30, 30) % 31 > 15)
    for end in range(len(coded["counts"])):
        with pytest.raises(SpecError, match="counts"):
            outline(coded | {"counts": coded["counts"][:end]}, (30, 30), "x")
