"""The YOLO adapter on real photos with a real checkpoint: subtle faults must show."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from vcm import image
from vcm.dataset import coco, load, thinned
from vcm.errors import ModelError
from vcm.metrics.detection import matches
from vcm.vision.base import unpacked
from vcm.vision.names import COCO
from vcm.vision.yolo import Yolo

pytest.importorskip("ultralytics", reason="needs: pip install 'vcm[yolo]'")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of ultralytics' own


@pytest.fixture(scope="module")
def yolo(shared):
    return Yolo(str(shared / "weights" / "yolo11n.pt"))


@pytest.fixture(scope="module")
def data(shared):
    return thinned(load(shared / "data" / "coco213"), 24)


def ap(data, found, names):
    ids = [photo.id for photo in data.photos]
    result = matches(coco(data.annotations), ids, found, names)
    return float(result.scores(np.ones((1, len(ids))))["AP"][0])


def test_it_sees_what_ultralytics_sees_in_the_file(yolo, data):
    from ultralytics import YOLO

    reference = YOLO(yolo._model.ckpt_path)
    path = data.photos[3].path
    (result,) = reference.predict(str(path), conf=0.001, max_det=300, verbose=False)
    expected = result.boxes.cpu().numpy()
    found = yolo.detect(image.read(path))
    assert yolo.kind == "boxes" and yolo.names == COCO  # the checkpoint says "pottedplant"
    # the file's decoder may differ by a level; what is sure must not
    sure = expected.conf > 0.3
    assert sure.sum() > 0
    count = int(sure.sum())
    assert found.boxes[:count] == pytest.approx(expected.xyxy[sure], abs=1.0)
    assert found.labels[:count].tolist() == expected.cls[sure].tolist()
    assert (np.diff(found.scores) <= 0).all() and found.scores.min() >= 0.001


def test_subtle_faults_cost_accuracy(yolo, data):
    pictures = {photo.id: image.read(photo.path) for photo in data.photos}
    found = {i: yolo.detect(p) for i, p in pictures.items()}
    good = ap(data, found, yolo.names)
    assert 40 < good < 60
    swapped = {i: yolo.detect(np.ascontiguousarray(p[..., ::-1])) for i, p in pictures.items()}
    assert ap(data, swapped, yolo.names) < good - 1
    off_by_one = {i: o._replace(boxes=o.boxes + np.float32(1)) for i, o in found.items()}
    assert ap(data, off_by_one, yolo.names) < good - 0.1
    shifted = {i: o._replace(labels=(o.labels + 1) % 80) for i, o in found.items()}
    assert ap(data, shifted, yolo.names) < 5


def test_instances_have_masks_of_the_picture(shared, data):
    model = Yolo(str(shared / "weights" / "yolov8n-seg.pt"))
    picture = image.read(data.photos[3].path)
    found = model.detect(picture)
    assert model.kind == "instances" and found.masks is not None
    assert len(found.masks) == len(found.boxes) > 0
    for box, coded in zip(found.above(0.5).boxes, found.above(0.5).masks or [], strict=True):
        mask = unpacked(coded)
        assert mask.shape == picture.shape[:2]
        rows, columns = np.nonzero(mask)
        edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(box - edges).max() < 0.15 * max(picture.shape)
    json.dumps(found.masks)  # they go into records


def test_it_leaves_the_number_of_threads_alone(shared, data):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)  # ultralytics would set all but one of the processor's
        Yolo(str(shared / "weights" / "yolo11n.pt")).detect(np.zeros((64, 64, 3), np.uint8))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_it_leaves_the_process_as_it_was(shared):
    code = (
        "import os, cv2, numpy, PIL.Image as p, warnings, sys; cv2.setNumThreads(2);"
        "def_ = p.open, dict(os.environ), numpy.get_printoptions(), warnings.filters[:];"
        "from vcm.vision.yolo import Yolo; Yolo(sys.argv[1]);"
        "import ultralytics.utils.events as e; assert not e.events.enabled;"
        "assert cv2.getNumThreads() == 2;"
        "now = p.open, {k: v for k, v in os.environ.items() if not k.startswith('YOLO')},"
        "numpy.get_printoptions(); assert now[0] is def_[0] and now[2] == def_[2], now;"
        "assert 'OMP_NUM_THREADS' not in now[1], now[1]"
    )
    clean = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    weights = str(shared / "weights" / "yolo11n.pt")
    done = subprocess.run([sys.executable, "-c", code, weights], env=clean, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_a_network_without_weights_is_refused():
    with pytest.raises(ModelError, match="without weights; expected a checkpoint"):
        Yolo("yolo11n.yaml")


def test_what_is_no_checkpoint(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"junk")
    with pytest.raises(ModelError, match="not a YOLO checkpoint"):
        Yolo(str(tmp_path / "x.pt"))


def test_no_home_folder_is_needed(tmp_path):
    """Of a user whom nobody knows, as in a container that is started with a number."""
    (tmp_path / "sitecustomize.py").write_text(
        "import pwd\ndef getpwuid(number):\n    raise KeyError(number)\npwd.getpwuid = getpwuid\n"
    )
    hidden = {"HOME", "XDG_CONFIG_HOME", "YOLO_CONFIG_DIR"}
    told = {k: v for k, v in os.environ.items() if k not in hidden}
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    code = (
        "import pathlib\ntry:\n    pathlib.Path.home()\n    raise SystemExit('a home')\n"
        "except RuntimeError:\n    pass\n"
        "from vcm.vision.yolo import _quiet\n"
        "with _quiet():\n    from ultralytics.utils import USER_CONFIG_DIR\n"
        "print(USER_CONFIG_DIR)"
    )
    told |= {"PYTHONPATH": paths, "TMPDIR": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", code], env=told, capture_output=True, text=True)
    assert ran.returncode == 0 and str(tmp_path) in ran.stdout, ran.stderr
