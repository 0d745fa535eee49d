"""What the server of `vcm serve` does for a program that is no browser, and what it refuses."""

import json
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import pytest

from vcm import image, pipeline
from vcm.codec.api import Codec

pytestmark = pytest.mark.slow  # a server

gradio_client = pytest.importorskip("gradio_client", reason="needs: pip install 'vcm[web]'")
ELSEWHERE = {"path": "https://127.0.0.1:9/x.png", "meta": {"_type": "gradio.FileData"}}
NUMBERS = [0.1, 0.5, False, 30, 0]


def _asked(address, name, *inputs):
    """All that the server says to a request."""
    url = f"{address}/gradio_api/call/{name}"
    request = urllib.request.Request(url, json.dumps({"data": inputs}).encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{url}/{event}", timeout=60) as answer:
        return answer.read().decode()


@pytest.fixture
def client(address, tmp_path):
    return gradio_client.Client(address, verbose=False, download_files=tmp_path / "got")


def _uploaded(path, photo):
    image.write(path, photo)
    return gradio_client.handle_file(path)


def test_a_program_may_upload_a_photo_and_code_it(client, tmp_path, photos):
    large = cv2.resize(photos["cup"], (1800, 1200)).astype(np.uint8)
    photo = _uploaded(tmp_path / "cup.jpg", large)
    says, _, both, file, *others = client.predict(
        photo, "cup", 0.01, 0.5, True, 0, None, api_name="/encode"
    )
    assert "The region covers" in says and "times the bytes" in both["label"]
    assert pipeline.decode(Path(file).read_bytes(), Codec.load()).shape == large.shape
    assert {image.read(p).shape for p in (*both["value"], *others)} == {(1067, 1600, 3)}


def test_a_task_says_what_flatters_the_codec(client, tmp_path, photos):
    photo = _uploaded(tmp_path / "person.png", photos["person"])
    says, *_ = client.predict([photo], "coco-person", None, "embedded", ["jpeg"], api_name="/study")
    assert says.startswith("Done") and "one network" in says


def test_a_file_that_nobody_uploaded(address, tmp_path):
    path = tmp_path / "cup.png"
    path.write_bytes(b"not for everybody")
    answer = _asked(address, "encode", {"path": str(path)}, "cup", *NUMBERS)
    assert "was not uploaded" in answer


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("encode", [ELSEWHERE, "cup", *NUMBERS]),
        ("encode", [None, ELSEWHERE, *NUMBERS]),  # any input will do
        ("encode", [None, {"inner": [ELSEWHERE]}, *NUMBERS]),
        ("decode", [ELSEWHERE]),
        ("study", [[ELSEWHERE], "coco-person", None, "embedded", ["vcm"]]),
    ],
)
def test_a_file_elsewhere_in_the_network(address, name, inputs):
    assert "this page fetches nothing" in _asked(address, name, *inputs)


@pytest.mark.parametrize(
    ("model", "codecs"),
    [(None, ["vcm"]), ("", ["vcm"]), ("MINE", ["vcm"]), ("embedded", ["MINE"])],
)
def test_no_code_of_a_visitors_is_run(client, tmp_path, photos, model, codecs):
    """Neither by a model or a codec of his, nor by a task of his that names one."""
    mark, mine = tmp_path / "run", tmp_path / "mine.py"
    mine.write_text(f"import pathlib\npathlib.Path({str(mark)!r}).touch()\nclass E: pass\n")
    task = tmp_path / "task.toml"
    task.write_text(
        'name = "t"\nversion = 1\ndescription = "t"\nphrases = ["cat"]\n'
        f'model = "{mine}"\nweights = "E"\n'
    )
    photo, own = _uploaded(tmp_path / "cup.png", photos["cup"]), gradio_client.handle_file(task)
    names = [f"{mine}:E" if c == "MINE" else c for c in codecs]
    name = f"{mine}:E" if model == "MINE" else model
    try:
        says, *_ = client.predict([photo], "coco-person", own, name, names, api_name="/study")
    except Exception as error:  # gradio's own refusal
        says = str(error)
    assert not says.startswith("Done") and not mark.exists()


@pytest.mark.parametrize("extra", [{}, {"meta": ELSEWHERE["meta"]}])
def test_a_task_that_nobody_uploaded(address, tmp_path, extra):
    (tmp_path / "secret.toml").write_text("word = 1\n")
    own = {"path": str(tmp_path / "secret.toml")} | extra
    answer = _asked(address, "study", [], "coco-person", own, "embedded", ["vcm"])
    assert "event: error" in answer and "word" not in answer


def test_a_number_that_was_cleared(address):
    answer = _asked(address, "encode", {"path": "any"}, "cup", None, None, False, 30, 0)
    assert "sigma, tau: expected a number" in answer
