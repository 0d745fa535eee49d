"""What is known of the task models is reproduced on all uncompressed pictures."""

from dataclasses import replace

import numpy as np
import pytest

from vcm import image
from vcm.dataset import coco, load
from vcm.evaluate.expected import check_expected
from vcm.evaluate.plan import Plan
from vcm.evaluate.score import Scores
from vcm.metrics.detection import matches
from vcm.models import load_model
from vcm.task import find_task

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize(
    ("weights", "package", "ap", "ap50"),
    [
        ("yolo11n.pt", "ultralytics", 46.4, 63.0),
        ("picodet_s_416_coco.onnx", "onnxruntime", 34.5, 49.5),
    ],
)
def test_detectors_on_coco213(shared, weights, package, ap, ap50):
    pytest.importorskip(package)
    model = load_model(str(shared / "weights" / weights))
    data = load(shared / "data" / "coco213")
    found = {photo.id: model.detect(image.read(photo.path)) for photo in data.photos}
    result = matches(coco(data.annotations), list(found), found, model.names)
    scores = result.scores(np.ones((1, len(found))))
    assert scores["AP"][0] == pytest.approx(ap, abs=0.5)
    assert scores["AP50"][0] == pytest.approx(ap50, abs=0.7)
    plan = Plan(find_task("coco-all"), str(shared / "weights" / weights), data, ())
    assert "as task coco-all expects" in check_expected(plan, Scores(scores, {}))
    if weights == "yolo11n.pt":
        seen = load(shared / "data" / "coco213", "coco_split=val2017")
        val = [photo.id for photo in seen.photos]
        part = matches(coco(data.annotations), val, found, model.names)
        assert len(val) == 89
        scores = part.scores(np.ones((1, 89)))
        assert scores["AP"][0] == pytest.approx(46.0, abs=0.5)
        assert "as task" in check_expected(replace(plan, data=seen), Scores(scores, {}))
