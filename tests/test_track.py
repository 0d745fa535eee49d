"""W&B without network or account: the run's own file is read back."""

import json

import pytest
from offline import written

from vcm import track

pytestmark = pytest.mark.usefixtures("wandb_offline")
REPORT = {
    "codecs": [
        {
            "name": "vcm, sigma 0.1",
            "points": [{"setting": 5, "bpp": {"value": 0.2}, "scores": {"AP": {"value": 31.5}}}],
        }
    ],
    "uncompressed": {"AP": {"value": 46.4}},
    "bd": {"AP": {"vcm, sigma 0.1": {"value": -12.5}, "x265": {"value": None}}},
    "bits_at": {"99": {"vcm, sigma 0.1": {"value": 0.75}}},
}


def test_an_evaluation_is_in_the_run_folder(tmp_path, cat):
    from vcm import image

    for name in ("results.json", "pictures.csv", "index.html"):
        (tmp_path / name).write_text("{}")
    image.write(tmp_path / "AP.png", cat)
    with track.tracked("project", "name", {"task": "person"}, tmp_path) as run:
        track.log_evaluation(run, REPORT, tmp_path)
    values, _ = written(tmp_path)
    assert values["BD-rate AP/vcm, sigma 0.1"] == -12.5
    assert values["bpp at 99 %/vcm, sigma 0.1"] == 0.75
    assert values["uncompressed/AP"] == 46.4 and "BD-rate AP/x265" not in values
    table = tmp_path / "wandb" / "latest-run" / "files" / values["points/path"]
    rows = json.loads(table.read_text())["data"]
    assert rows == [["vcm, sigma 0.1", 5, 0.2, "AP", 31.5]]


def test_a_folder_belongs_to_one_run(tmp_path):
    for value in (1.0, 2.0):
        with track.tracked("project", "name", {}, tmp_path) as run:
            run.log({"loss": value})
    values, ids = written(tmp_path, exits=2)
    assert len(ids) == 1 and values["loss"] == 2.0


def test_an_error_ends_the_run_as_failed(tmp_path):
    with pytest.raises(ZeroDivisionError), track.tracked("p", "n", {}, tmp_path):
        raise ZeroDivisionError
