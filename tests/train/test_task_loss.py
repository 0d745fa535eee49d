"""The task loss: gradients reach the pixels, and a codec tuned by it keeps its decoder."""

import numpy as np
import pytest
import torch

from vcm import image, pipeline
from vcm.codec.api import Codec
from vcm.codec.runtime.weights import load
from vcm.errors import ModelError, SpecError
from vcm.models import load_teacher
from vcm.roi.mask import RoiMask
from vcm.train import checkpoint
from vcm.train.check import finder
from vcm.train.config import Optim, Run, Training
from vcm.train.data import Batch
from vcm.train.kinds import RoiStep
from vcm.train.loop import train
from vcm.train.photos import Data
from vcm.train.release import release
from vcm.train.step import Share
from vcm.train.task import Task, TaskLoss, feature_distance
from vcm.vision import yolo_net

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, photos):
    folder = tmp_path_factory.mktemp("photos")
    for i in range(4):
        image.write(folder / f"{i}.png", photos["cat"][:, i * 40 : i * 40 + 300])
    return folder


@pytest.fixture(scope="module")
def yolo(shared):
    pytest.importorskip("ultralytics", reason="needs: pip install 'vcm[yolo]'")
    return str(shared / "weights" / "yolo11n.pt")


def seen(shared):
    """A crop of a street, (1, 3, 256, 256), that a detector is sure of."""
    picture = image.read(shared / "data" / "coco213" / "images" / "000000000641.jpg")
    return torch.from_numpy(picture[60:316, 200:456].copy()).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("name", ["yolo11n.pt", "yolov8n-seg.pt"])
@pytest.mark.parametrize("kind", ["features", "labels", "answers"])
def test_gradients_of_yolo_are_finite_differences(shared, name, kind):
    pytest.importorskip("ultralytics", reason="needs: pip install 'vcm[yolo]'")
    teacher = load_teacher(str(shared / "weights" / name))
    x = seen(shared)
    rng = torch.Generator().manual_seed(0)
    x_hat = (x + 0.03 * torch.randn(x.shape, generator=rng)).clamp(0, 1)
    if kind == "features":
        wanted = teacher.features(x)

        def loss(t):
            return feature_distance(teacher.features(t), wanted, torch.ones_like(t[:, :1])).sum()
    elif kind == "answers":

        def loss(t):
            return teacher.distance(t, x).sum()
    else:
        labels = teacher.labels(x)
        assert len(labels["cls"]) > 0

        def loss(t):
            return teacher.loss(t, labels)

    x_hat.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(x_hat), x_hat)
    assert gradient.abs().max() > 0 and all(not p.requires_grad for p in teacher.net.parameters())
    slope = gradient.norm().item()
    step = 0.02 * loss(x_hat).item() / slope * gradient / slope  # changes the loss by two percent
    with torch.no_grad():
        change = loss(x_hat + step) - loss(x_hat - step)
    # YOLO's loss takes its targets' weights from the predictions, without gradients
    tolerance = {"features": 0.03, "labels": 0.15, "answers": 0.03}[kind]
    assert (2 * gradient * step).sum().item() == pytest.approx(change.item(), rel=tolerance)


@pytest.mark.parametrize("kind", ["features", "labels", "answers"])
def test_the_task_model_computes_as_in_use_whatever_the_codec_does(shared, yolo, kind):
    x = seen(shared)
    x_hat = (x + 0.03 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(
        0, 1
    )
    loss, m = TaskLoss(Task(yolo, kind)), torch.ones_like(x[:, :1])
    with torch.autocast("cpu", torch.bfloat16):
        inside = loss(x_hat, x, m)
    assert torch.equal(inside, loss(x_hat, x, m))


def test_answers_are_apart_where_the_detector_is_sure(shared, yolo):
    picture = image.read(shared / "data" / "coco213" / "images" / "000000000641.jpg")[:416]
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    teacher = load_teacher(yolo)
    assert teacher.distance(x, x).item() == pytest.approx(0, abs=1e-4)
    middle_x, middle_y, width, height = teacher.labels(x)["bboxes"][1]  # a person, 0.3 % of it
    left, top = int(640 * (middle_x - width / 2)), int(416 * (middle_y - height / 2))
    somebody, nobody = x.clone(), x.clone()
    somebody[..., top : top + int(416 * height), left : left + int(640 * width)] = 0.5
    nobody[..., : int(416 * height), left : left + int(640 * width)] = 0.5
    assert teacher.distance(somebody, x) > 4 * teacher.distance(nobody, x)
    both = teacher.distance(torch.cat([somebody, nobody]), torch.cat([x, x]))
    assert both[0].item() == pytest.approx(teacher.distance(somebody, x).item(), rel=1e-3)


@pytest.mark.parametrize("name", ["yolov10n", "yolo26n", "yolo26n-seg"])
def test_heads_of_two_branches(shared, tmp_path, name):
    ultralytics = pytest.importorskip("ultralytics", reason="needs: pip install 'vcm[yolo]'")
    torch.manual_seed(0)
    ultralytics.YOLO(f"{name}.yaml").save(tmp_path / f"{name}.pt")
    teacher = load_teacher(str(tmp_path / f"{name}.pt"))
    x = seen(shared).requires_grad_()
    assert [f.shape[-1] for f in teacher.features(x)] == [32, 16, 8]
    with torch.no_grad():  # random weights are sure of nothing
        teacher.net.model[-1].bias_init()
    for term in (
        teacher.loss(x, teacher.labels(x.detach())),
        teacher.distance(x, x.detach().flip(3)).sum(),
        sum(f.mean() for f in teacher.features(x)),
    ):
        (gradient,) = torch.autograd.grad(term, x)
        assert torch.isfinite(gradient).all() and gradient.abs().max() > 0


def test_models_that_find_no_boxes_are_no_teachers(tmp_path):
    ultralytics = pytest.importorskip("ultralytics", reason="needs: pip install 'vcm[yolo]'")
    for name in ("yolo11n-cls", "yolo11n-pose"):
        ultralytics.YOLO(f"{name}.yaml").save(tmp_path / f"{name}.pt")
        with pytest.raises(ModelError, match="expected a YOLO detector or segmenter"):
            load_teacher(str(tmp_path / f"{name}.pt"))


def test_a_teacher_of_ones_own(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(
        "import torch\n"
        "class Edges:\n"
        "    kind, names, stride = 'boxes', ('edge',), 16\n"
        "    def features(self, x):\n"
        "        return [x.diff(dim=3), x.diff(dim=2)]\n"
    )
    loss, x = TaskLoss(Task(f"{mine}:Edges")), torch.rand(2, 3, 32, 32)
    assert (loss(1 - x, x, torch.ones(2, 1, 32, 32)) == pytest.approx([4.0, 4.0], rel=1e-4)) is True
    with pytest.raises(SpecError, match="does not offer it"):
        TaskLoss(Task(f"{mine}:Edges", "labels"))
    assert finder(f"{mine}:Edges") is None  # it finds nothing that could be drawn


def test_small_things_lie_on_large_ones_in_the_labels(monkeypatch):
    pytest.importorskip("ultralytics", reason="needs: pip install 'vcm[yolo]'")
    masks = torch.zeros(3, 8, 8)
    masks[0, 2:4, 2:4] = masks[1, 1:6, 1:6] = masks[2] = 1  # the surest one is the smallest
    monkeypatch.setattr("ultralytics.utils.ops.process_mask", lambda *_: masks)
    found = [(torch.zeros(1, 50, 9), torch.zeros(1, 32, 8, 8))]
    (drawn,) = yolo_net._masks(found, [torch.zeros(3, 38)], (32, 32))
    assert [int((drawn == n).sum()) for n in (1, 2, 3)] == [4, 25 - 4, 64 - 25]


def test_what_a_model_finds_is_drawn(shared, yolo):
    assert finder("") is None
    street = image.read(shared / "data" / "coco213" / "images" / "000000000641.jpg")
    drawn = finder(yolo)(street)
    assert drawn.shape == street.shape and 1e-3 < (drawn != street).any(2).mean() < 0.5
    empty = np.full_like(street, 128)
    assert np.array_equal(finder(yolo)(empty), empty)


def test_feature_distance_by_hand():
    wanted = [torch.full((1, 2, 2, 2), 2.0)]
    found = [torch.full((1, 2, 2, 2), 3.0)]
    whole = torch.ones(1, 1, 8, 8)
    assert feature_distance(found, wanted, whole).item() == pytest.approx(1 / 4)
    half = whole.clone()
    half[..., 4:] = 0.1  # the right half is background
    assert feature_distance(found, wanted, half).item() == pytest.approx((1 + 0.01) / 2 / 4)
    assert feature_distance(wanted, wanted, whole).item() == 0


def test_what_the_task_loss_takes(shared, yolo):
    x = seen(shared)
    m = torch.ones(1, 1, 256, 256)
    worse, bad = (x + v * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
                  for v in (0.02, 0.2))  # fmt: skip
    for task in (Task(yolo), Task(yolo, levels=(1, 2), scale=1.25), Task(yolo, "labels")):
        loss = TaskLoss(task)
        assert loss(worse, x, m).item() < loss(bad, x, m).item()
        assert loss(x, x, m).shape == (1,)
    assert TaskLoss(Task(yolo))(x, x, m).item() < 1e-9
    with pytest.raises(SpecError, match="the model has 3"):
        TaskLoss(Task(yolo, levels=(3,)))(x, x, m)
    with pytest.raises(SpecError, match="no gradients reach"):
        TaskLoss(Task("embedded"))
    with pytest.raises(SpecError, match="mu"):
        Task(mu=-1)
    with pytest.raises(SpecError, match="mse: expected two numbers above 0"):
        Task(mse=(0.0, 1.0))
    with pytest.raises(SpecError, match="scale"):
        Task(scale=9)


def test_the_weight_of_mse_goes_with_quality(tiny_weights):
    model, x = load(tiny_weights).model.train(), torch.rand(1, 3, 64, 64)

    def loss(mse: tuple[float, float], quality: int) -> float:
        torch.manual_seed(0)  # the prior of z begins anew
        config = Training(model=model.sizes, task=Task(mse=mse))
        nothing = lambda x_hat, x, m, seed: torch.zeros(len(x))  # noqa: E731
        step = RoiStep(lambda sizes: model, config, nothing)
        told = torch.tensor([quality * 100]), torch.tensor([True])
        data = Batch(x, torch.ones(1, 1, 64, 64), *told)
        return step(data, Share(0, 1, 0)).loss.item()

    for quality, weight in ((0, 0.1), (50, 0.2), (100, 0.4)):
        expected = loss((weight, weight), quality)
        assert loss((0.1, 0.4), quality) == pytest.approx(expected, rel=1e-5)
    assert loss((0.1, 0.1), 100) < loss((0.1, 0.4), 100)


def test_an_encoder_tuned_for_a_detector_keeps_every_decoder(
    pictures, yolo, tiny_weights, tmp_path, photos
):
    sizes = load(tiny_weights).model.sizes
    config = Training(
        model=sizes,
        data=Data(photos=str(pictures), crop=64, batch=2, held_out=1, words="cat"),
        optim=Optim(steps=6, lr=1e-3, warmup=1),
        run=Run(
            folder=str(tmp_path / "run"), initial=str(tiny_weights), learn="encoder",
            precision="fp32", log_every=3, check_every=100,
        ),
        task=Task(yolo, mu=100, mse=(0.1, 0.1)),
    )  # fmt: skip
    records = list(train(config))
    assert all(r["task"] > 0 for r in records)
    assert records[-1]["q0_s1.0_task"] > 0 and records[-1]["q100_s0.1_task"] > 0
    (masks,) = (tmp_path / "words").iterdir()
    assert len(list(masks.glob("*.png"))) == 4

    tuned = tmp_path / "tuned.safetensors"
    release(tmp_path / "run" / "final.ckpt", tuned, encoder_of=str(tiny_weights))
    with pytest.raises(ModelError, match="put the weight file of that model beside it"):
        load(tuned)
    (tmp_path / "base.safetensors").write_bytes(tiny_weights.read_bytes())
    before, after = Codec.load(tiny_weights), Codec.load(tuned)
    assert before.fingerprint == after.fingerprint
    assert tuned.stat().st_size < tiny_weights.stat().st_size
    photo = photos["cat"]
    roi = RoiMask(np.ones(photo.shape[:2], np.bool_), 1.0, "")
    data = pipeline.encode(photo, roi, after, quality=60)
    assert data != pipeline.encode(photo, roi, before, quality=60)
    assert np.array_equal(pipeline.decode(data, before), pipeline.decode(data, after))


def test_another_decoder_is_no_encoder_of_it(pictures, tiny_weights, tmp_path):
    config = Training(
        model=load(tiny_weights).model.sizes,
        data=Data(photos=str(pictures), crop=64, batch=2, held_out=1),
        optim=Optim(steps=2, lr=1e-2, warmup=1),
        run=Run(
            folder=str(tmp_path), initial=str(tiny_weights), learn="decoder", precision="fp32",
            check_every=100,
        ),
    )  # fmt: skip
    list(train(config))
    with pytest.raises(ModelError, match=r"tensors differ, (inverse_gain|g_s)"):
        release(tmp_path / "final.ckpt", tmp_path / "t.safetensors", encoder_of=str(tiny_weights))
    state = checkpoint.load(tmp_path / "final.ckpt")["model"]
    for name, value in load(tiny_weights).model.state_dict().items():
        same = torch.equal(value, state[f"model.{name}"])
        assert same != name.startswith(("g_s.", "inverse_gain.")), name


@pytest.mark.parametrize("name", ["yolo11n.pt", "yolov8n-seg.pt"])
def test_the_own_loss_of_a_picture_does_not_depend_on_others(shared, name):
    pytest.importorskip("ultralytics", reason="needs: pip install 'vcm[yolo]'")
    x = torch.cat([seen(shared), seen(shared).flip(3), torch.full((1, 3, 256, 256), 0.5)])
    x_hat = (x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(
        0, 1
    )
    loss, m = TaskLoss(Task(str(shared / "weights" / name), "labels")), torch.ones(3, 1, 256, 256)
    alone = [loss(x_hat[i : i + 1], x[i : i + 1], m[:1], 7 + i) for i in range(3)]
    assert torch.allclose(loss(x_hat, x, m, 7), torch.cat(alone), rtol=1e-4)
