"""A thousand damaged files, as in fuzz.py, which does a hundred thousand."""

import numpy as np
import pytest
from fuzz import damaged, originals, outcome

from vcm.codec.codec import Codec


@pytest.fixture(scope="module")
def codec():
    return Codec.load()


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files_give_an_error_of_a_file_or_a_picture(seed, codec):
    rng, files = np.random.default_rng(seed), originals(codec)
    found = {outcome(damaged(files, rng), codec) for _ in range(250)}
    assert found == {"BitstreamError", "ModelError", "a picture"}
