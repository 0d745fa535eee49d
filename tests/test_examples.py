"""The example of each public name runs as it is printed."""

import doctest
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import vcm
from vcm import image

pytestmark = pytest.mark.slow  # every example of the docs


@pytest.mark.parametrize("name", ["", *vcm.__all__])
def test_the_example_of_a_public_name_runs(
    name: str,
    photos: dict[str, NDArray[np.uint8]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    image.write(tmp_path / "photo.jpg", photos["person"])
    monkeypatch.chdir(tmp_path)
    thing = getattr(vcm, name) if name else vcm
    names = {"vcm": vcm, "image": image, "np": np, "Path": Path}
    text = doctest.DocTestParser().get_doctest(thing.__doc__, names, name or "vcm", None, 0)
    assert text.examples, f"{name} has no example"
    said: list[str] = []
    result = doctest.DocTestRunner().run(text, out=said.append)
    assert result.failed == 0, "".join(said)


def test_the_names_load_when_first_used_and_no_others() -> None:
    assert 9 <= len(vcm.__all__) <= 13
    assert vcm.__all__ == sorted(vcm.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vcm.nothing
