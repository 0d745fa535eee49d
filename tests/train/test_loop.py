"""Training: it learns, and a broken run that is resumed gives the weights of an unbroken one."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vcm import image, pipeline, toml
from vcm.codec.api import Codec
from vcm.codec.models import published
from vcm.codec.models.loss import bpp_est, distortion_weights, lmbda_of, weighted_mse
from vcm.codec.models.published import Preset
from vcm.codec.models.roi import RoiHyperprior
from vcm.codec.models.sizes import Sizes
from vcm.codec.models.tabulate import factorized_tables
from vcm.codec.nets.transforms import Widths
from vcm.codec.runtime.weights import load
from vcm.errors import ModelError, OutputError, SpecError
from vcm.files import held, make_folder
from vcm.roi.mask import RoiMask
from vcm.train import checkpoint, initial
from vcm.train.config import Optim, Run, Training
from vcm.train.data import Batch, batch
from vcm.train.kinds import PublishedStep, RoiStep
from vcm.train.loop import train
from vcm.train.optim import learning_rate
from vcm.train.photos import Data, load_photos
from vcm.train.release import release
from vcm.train.step import Share
from vcm.train.trainer import Trainer

pytestmark = pytest.mark.slow  # whole trainings

SIZES = Sizes(12, 4, Widths(12, 20, 1, 1), Widths(8, 16, 1, 1), 16, 16, 16, 16)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, photos):
    folder = tmp_path_factory.mktemp("photos")
    for i in range(4):
        image.write(folder / f"{i}.png", photos["cat"][:, i * 40 : i * 40 + 300])
    (folder / "broken.png").write_bytes(b"\x89PNG but not really")
    return folder


def _config(pictures, folder, steps=6, **run):
    return Training(
        model=SIZES,
        data=Data(photos=str(pictures), crop=64, batch=2, held_out=1),
        optim=Optim(steps=steps, warmup=2),
        run=Run(
            folder=str(folder), precision="fp32", log_every=2, check_every=6, save_every=3, **run
        ),
    )


@pytest.fixture(scope="module")
def run6(pictures, tmp_path_factory):
    """A run of six steps, and its config; its folder is for reading only."""
    config = _config(pictures, tmp_path_factory.mktemp("runs") / "six")
    list(train(config))
    return config


def final(config):
    """Where the last checkpoint of a run lies."""
    return Path(config.run.folder) / "final.ckpt"


def test_a_resumed_run_says_what_is_otherwise(pictures, tmp_path, caplog):
    config, seen = _config(pictures, tmp_path / "a", steps=3), []
    list(train(config, seen=seen.append))
    assert seen == [1, 2, 3]
    usual = Trainer(config, load_photos(config.data)[0]).health.loss
    assert usual > 0 and "other settings" not in caplog.text
    list(train(config))  # nothing is left to do
    assert "all 3 steps are done" in caplog.text
    changed = replace(config, loss=replace(config.loss, lmbda_high=0.5))
    trainer = Trainer(changed, load_photos(config.data)[0])
    assert "loss.lmbda_high 0.06 -> 0.5" in caplog.text
    assert trainer.step == 3 and trainer.health.loss == float(
        "inf"
    )  # what was usual is not any more
    decoder = replace(config, run=replace(config.run, learn="decoder", initial="base"))
    with pytest.raises(ModelError, match="learns 'all', config says 'decoder'"):
        Trainer(decoder, load_photos(config.data)[0])


def test_one_loss_that_is_far_from_usual_does_not_spoil_the_end(pictures, tmp_path):
    config = _config(pictures, tmp_path / "a")
    trainer = Trainer(config, load_photos(config.data)[0])
    trainer.health.far = 1  # one unlucky batch, or the first of many
    trainer.save(tmp_path / "last.ckpt")
    assert not trainer.health.ill and not (tmp_path / "last.ckpt").exists()
    trainer.save(tmp_path / "stopped.ckpt", last=True)
    assert checkpoint.load(tmp_path / "stopped.ckpt")["far"] == 1
    trainer.health.far = 5
    trainer.save(tmp_path / "ill.ckpt", last=True)
    assert trainer.health.ill and not (tmp_path / "ill.ckpt").exists()


def test_two_runs_do_not_share_a_folder(pictures, tmp_path):
    config = _config(pictures, tmp_path / "a", steps=1)
    with held(make_folder(tmp_path / "a")), pytest.raises(OutputError, match="another command"):
        list(train(config))
    assert [record["step"] for record in train(config)] == [1]


def test_a_run_killed_in_a_check_makes_it_again(pictures, tmp_path, monkeypatch):
    config = _config(pictures, tmp_path / "a", steps=2)
    config = replace(config, run=replace(config.run, log_every=1, check_every=2, save_every=1))
    with monkeypatch.context() as patched:
        patched.setattr("vcm.train.loop.check", lambda *_: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            list(train(config))
    assert checkpoint.step_of(tmp_path / "a" / "last.ckpt") == 1
    (record,) = train(config)
    assert record["step"] == 2 and "q50_s1.0_bpp" in record


def test_checks_are_made_when_they_are_due(pictures, tmp_path):
    config = _config(pictures, tmp_path / "a", steps=7)
    config = replace(config, run=replace(config.run, log_every=4, check_every=3))
    records = list(train(config))
    assert [r["step"] for r in records] == [3, 4, 6, 7]
    assert [r["step"] for r in records if "q50_s1.0_bpp" in r] == [3, 6, 7]


def test_an_encoder_is_tuned_for_the_decoder_it_came_with(pictures, run6, tmp_path):
    run = Run(folder=str(tmp_path / "b"), learn="encoder", initial=str(final(run6)))
    config = replace(_config(pictures, tmp_path), run=run)
    photos, _ = load_photos(config.data)
    assert Trainer(config, photos).step == 0
    wider = replace(config, model=replace(SIZES, hidden=24))
    with pytest.raises(ModelError, match="another decoder"):
        Trainer(wider, photos)


def test_a_resumed_run_takes_the_rates_that_the_config_says_now(run6):
    faster = replace(run6, optim=replace(run6.optim, steps=9, slow=0.7, deep=0.9))
    trainer = Trainer(faster, load_photos(faster.data)[0])
    groups = trainer.optimiser.param_groups
    assert trainer.step == 6
    assert [group["factor"] for group in groups] == [0.7, 0.9, 1.0]


def test_killed_and_resumed_equals_unbroken(pictures, run6, tmp_path):
    broken = _config(pictures, tmp_path / "b")
    records = train(broken)
    next(records), next(records)  # 4 steps; the last checkpoint is of step 3
    records.close()
    list(train(broken))
    a, b = (checkpoint.load(final(config)) for config in (run6, broken))
    assert a["step"] == b["step"] == 6
    for part in ("model", "average"):
        for name, value in a[part].items():
            assert torch.equal(value, b[part][name]), name


def test_it_learns_and_releases_a_working_codec(pictures, tmp_path):
    records = list(train(_config(pictures, tmp_path, steps=120)))
    checks = [r for r in records if "q50_s1.0_bpp" in r]
    cost = [r["q50_s1.0_bpp"] + 0.009 * 255**2 * 10 ** (-r["q50_s1.0_psnr"] / 10) for r in checks]
    assert cost[-1] < 0.9 * cost[0]
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [r["step"] for r in logged] == list(range(2, 121, 2))
    assert logged[-1]["q100_s1.0_bpp"] > logged[-1]["q0_s1.0_bpp"]
    release(tmp_path / "final.ckpt", tmp_path / "w.safetensors")
    x = torch.rand(1, 3, 32, 32)
    codec = Codec.load(tmp_path / "w.safetensors")
    strings = codec.compress(x, torch.ones(1, 1, 32, 32), 50)
    assert codec.decompress(strings, 32, 32, 50).shape == x.shape


def test_a_checkpoint_of_another_size_is_refused(pictures, tmp_path):
    config = _config(pictures, tmp_path, steps=3)
    list(train(config))
    other = replace(config, model=Sizes(16, 4, Widths(12, 20, 1, 1)))
    with pytest.raises(ModelError, match="sizes"):
        next(train(other))
    (tmp_path / "last.ckpt").write_bytes(b"junk")
    with pytest.raises(ModelError, match="not a training checkpoint"):
        next(train(config))


def test_a_larger_model_begins_where_a_smaller_one_ended(pictures, run6, tmp_path):
    sizes = replace(SIZES, analysis=Widths(16, 24, 1, 1), context=24, hidden=20)
    config = _config(pictures, tmp_path / "large", initial=str(final(run6)))
    photos, _ = load_photos(config.data)
    before, after = Trainer(run6, photos), Trainer(replace(config, model=sizes), photos)
    initial.adopt(before.all, str(final(run6)), "all")  # averages, as after's
    x, m = batch(photos, config.data, 0, 0)[:2]
    quality = torch.tensor([3000, 8000])
    with torch.no_grad():
        a, b = (t.all.model.eval()(x, m, quality) for t in (before, after))
    assert torch.allclose(a.x_hat, b.x_hat, atol=1e-4)


def test_training_begins_with_a_released_model(pictures, tmp_path):
    released = load("base")
    sizes = toml.build(Sizes, json.loads(released.card["sizes"]), "sizes")
    config = replace(_config(pictures, tmp_path, steps=1, initial="base"), model=sizes)
    photos, held_out = load_photos(config.data)
    trainer = Trainer(config, photos)
    for name, value in released.model.state_dict().items():
        assert torch.equal(value, trainer.all.model.state_dict()[name]), name
    tables = factorized_tables(trainer.all.rate.prior_z), released.tables["z"]
    z, released_z = (torch.from_numpy(t.cdf).diff() / 2**16 for t in tables)
    excess = (released_z * (released_z.clamp(min=1e-9) / z.clamp(min=1e-9)).log2()).sum(1)
    assert excess.mean() < 0.01  # bits a symbol more than the released table


def test_a_file_that_holds_no_averages_is_refused(tmp_path):
    checkpoint.save(tmp_path / "other.ckpt", {"step": 1})
    with pytest.raises(ModelError, match="no averages"):
        initial.tensors(str(tmp_path / "other.ckpt"))


def test_batches_depend_on_seed_and_step_only(pictures):
    data = Data(photos=str(pictures), crop=64, batch=3, held_out=1)
    photos, held_out = load_photos(data)
    assert len(photos) == 3 and len(held_out) == 1  # the broken one is left out
    first, again, later = (
        batch(photos, data, 1, 7),
        batch(photos, data, 1, 7),
        batch(photos, data, 1, 8),
    )
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.x, later.x)
    assert first.x.shape == (3, 3, 64, 64) and first.m.shape == (3, 1, 64, 64)
    assert first.x.min() >= 0 and first.x.max() <= 1 and first.hundredths.dtype == torch.int64


def test_too_few_pictures_is_an_error(pictures):
    with pytest.raises(SpecError, match="found 4"):
        load_photos(Data(photos=str(pictures), crop=64, held_out=4))


def test_loss_terms_by_hand():
    x, x_hat = torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.5)
    weights = torch.tensor([1.0, 1.0, 0.01, 0.01]).view(1, 1, 2, 2)
    assert weighted_mse(x_hat, x, weights).item() == pytest.approx(0.25 * (1 + 0.01) / 2)
    likelihoods = {"y": torch.full((1, 8), 0.5), "z": torch.full((1, 2), 0.25)}
    assert bpp_est(likelihoods, 4).item() == pytest.approx((8 + 4) / 4)
    ends = lmbda_of(torch.tensor([0, 5000, 10_000]), 0.001, 0.1)
    assert ends.tolist() == pytest.approx([0.001, 0.01, 0.1])


def test_published_codecs_are_trained_with_the_loss_of_the_paper(seed):
    config = Training(published=Preset("bmshj2018-hyperprior", 8, 12, lmbda=0.02))
    x, m = torch.rand(2, 3, 64, 64), torch.full((2, 1, 64, 64), 0.1)
    m[..., :32] = 1
    data = Batch(x, m, torch.tensor([5000, 5000]), torch.tensor([True, True]))
    step, share = PublishedStep(published.of_zoo, config, None), Share(0, 2, 7)
    terms, coded = step(data, share), step.coded(data, share)
    error = (coded.x_hat - x).square().mean(1, keepdim=True)
    mse = (error * m.square()).mean()  # a pixel weighs the square of its mask, at the border too
    assert terms.mse.item() == pytest.approx(mse.item(), rel=1e-5)
    expected = coded.bpp.mean() + 0.02 * 255**2 * mse
    assert terms.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    own = RoiStep(RoiHyperprior, Training(model=SIZES), None)
    coded = own.coded(data, share)
    error = (coded.x_hat - x).square().mean(1, keepdim=True)
    assert own(data, share).mse > 1.05 * (error * m.square()).mean()  # whose border weighs more


def test_weights_keep_the_border_of_the_roi():
    m = torch.full((1, 1, 64, 64), 0.1)
    m[..., :32] = 1
    weights = distortion_weights(m)
    assert (weights[..., 32:] - 0.01).abs().max() < 1e-6
    assert (weights[..., :24] == 1).all()  # farther than 8 pixels from the border
    assert weights[0, 0, 30, 31].item() == pytest.approx(17 / 9)  # 9 of 17 columns are ROI
    m[:] = 0.1
    m[..., 30, 30] = 1
    assert distortion_weights(m).max() == 16  # a lone pixel
    assert (distortion_weights(torch.ones(1, 1, 20, 20)) == 1).all()


def test_learning_rate_schedule():
    optim = Optim(steps=100, lr=1.0, warmup=10, decay_from=0.5)
    rates = [learning_rate(optim, step) for step in range(101)]
    assert rates[0] == 0.1 and rates[9] == rates[50] == 1.0
    assert rates[75] == pytest.approx(0.5) and rates[100] == pytest.approx(0, abs=1e-9)


def test_worker_processes_prepare_the_same_batches(pictures, run6, tmp_path):
    helped = _config(pictures, tmp_path, workers=2)
    list(train(helped))
    a, b = (checkpoint.load(final(config))["model"] for config in (run6, helped))
    assert all(torch.equal(value, b[name]) for name, value in a.items())


def test_a_resumed_run_does_not_need_what_it_began_with(pictures, run6, tmp_path):
    first = shutil.copy(final(run6), tmp_path / "first.ckpt")
    list(train(_config(pictures, tmp_path / "b", steps=3, initial=str(first))))
    first.unlink()
    again = _config(pictures, tmp_path / "b", steps=4, initial=str(first))
    assert [r["step"] for r in train(again)] == [4]


def test_a_checkpoint_of_another_kind_of_model_is_refused(pictures, tmp_path):
    other = {"step": 1, "average": {"model.entropy_bottleneck.quantiles": torch.zeros(3)}}
    checkpoint.save(tmp_path / "other.ckpt", other)
    config = _config(pictures, tmp_path / "c", initial=str(tmp_path / "other.ckpt"))
    with pytest.raises(ModelError, match="holds nothing of the model"):
        next(train(config))


def test_tables_are_fitted_to_photos(pictures, run6, tmp_path):
    with pytest.raises(SpecError, match="no tables to fit"):
        release(final(run6), tmp_path / "e", pictures, encoder_of="base")
    release(final(run6), tmp_path / "own.safetensors")
    release(final(run6), tmp_path / "fitted.safetensors", pictures)
    own, fitted = (load(tmp_path / f"{n}.safetensors").tables["y"].cdf for n in ("own", "fitted"))
    assert own.shape == fitted.shape and not np.array_equal(own, fitted)
    picture = image.read(pictures / "0.png")
    codecs = [Codec.load(tmp_path / f"{n}.safetensors") for n in ("own", "fitted")]
    even = RoiMask(np.ones(picture.shape[:2], np.bool_), 1.0, "")
    files = [pipeline.encode(picture, even, codec, quality=60) for codec in codecs]
    assert len(files[1]) < len(files[0])
    assert np.array_equal(*(pipeline.decode(*pair) for pair in zip(files, codecs, strict=True)))
