"""A folder of small photos, and the same photos in two tar shards."""

import tarfile

import pytest

from vcm import image

SIZE = 72, 88


@pytest.fixture(scope="session")
def folder(tmp_path_factory, photos):
    """Nine photos, a0.png to c2.png."""
    folder = tmp_path_factory.mktemp("many") / "photos"
    folder.mkdir()
    for letter, photo in zip("abc", photos.values(), strict=True):
        for number in range(3):
            cut = photo[8 * number :][: SIZE[0], 40 : 40 + SIZE[1]]
            image.write(folder / f"{letter}{number}.png", cut.copy())
    return folder


@pytest.fixture(scope="session")
def shards(folder, tmp_path_factory):
    """The pattern of two shards of five and four samples, with labels beside the photos."""
    place = tmp_path_factory.mktemp("shards")
    paths = sorted(folder.iterdir())
    for number, part in enumerate((paths[:5], paths[5:])):
        with tarfile.open(place / f"in-{number:03d}.tar", "w") as tar:
            for path in part:
                tar.add(path, f"./{path.name}")
                tar.add(path, f"./{path.stem}.mask.png")
                tar.add(__file__, f"./{path.stem}.txt")
    return str(place / "in-{000..001}.tar")
