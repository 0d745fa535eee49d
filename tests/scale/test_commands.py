"""The commands on sets: shards to shards to pictures, and what they refuse."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from vcm import container, image, pipeline, weightfile
from vcm.cli import cli
from vcm.codec.api import Codec
from vcm.codec.runtime.weights import load, save_encoder
from vcm.commands import encode
from vcm.roi import embedded, session
from vcm.scale.tars import ShardSource

pytestmark = pytest.mark.slow  # worker processes

OTHERS = {"box": ("8,8,40,41",), "sigma": 0.2, "quality": 49.0, "bpp": 1.0, "size": 9, "effort": 1}
OF_WORDS = {"text": "dog", "tau": 0.2, "dilation": 3, "detail": 2,
            "on_empty": "background", "store_text": True}  # fmt: skip


@pytest.fixture
def run(tiny_weights, tmp_path, monkeypatch):
    """Runs a command that must end with this code; what it printed."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments, code=0):
        arguments += ("--weights", str(tiny_weights))
        result = CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result.stdout if code == 0 else result.stderr

    return call


def test_shards_to_shards_to_pictures(run, shards, folder, tiny, tmp_path):
    command = ("encode", shards, "-o", "out/x-%05d.tar", "--per-shard", 4, "--workers", 1, "--json")
    report = json.loads(run(*command, "--box", "8,8,40,40"))
    assert (report["done"], report["failures"]) == (9, 0)
    coded = list(ShardSource("out/x-*.tar", lambda name: name.endswith(".vcm")))
    assert len(coded) == 9 and sum(len(c.load()) for c in coded) == report["bytes"]
    again = json.loads(run(*command, "--box", "8,8,40,40", "--quality", 50))
    assert (again["done"], again["done_before"]) == (0, 9)  # 50 is what it was
    run("decode", "out/x-{00000..00002}.tar", "-o", "pictures", "--workers", 1)
    for file in coded:
        path = tmp_path / "pictures" / file.name.replace(".vcm", ".png")
        assert np.array_equal(image.read(path), pipeline.decode(file.load(), tiny))


def test_what_a_file_depends_on_is_in_its_key(tiny):
    options = encode.Options(box=("8,8,40,40",))
    same = replace(options, quality=50.0, as_json=True, overwrite=True)
    others = [replace(options, **{name: value}) for name, value in OTHERS.items()]
    assert encode.key(options, tiny) == encode.key(same, tiny)
    assert len({encode.key(o, tiny) for o in (options, *others)}) == 1 + len(OTHERS)
    cat = encode.Options(text="cat")
    tasks = [encode.Options(task=name) for name in ("coco-person", "coco-vehicles")]
    others = [replace(cat, **{name: value}) for name, value in OF_WORDS.items()] + tasks
    assert len({encode.key(o, tiny) for o in (cat, *others)}) == 1 + len(others)


def test_other_networks_and_classes_are_other_options(tiny_weights, tmp_path, monkeypatch):
    base = load(tiny_weights)
    tuned, roi, mine = (tmp_path / name for name in ("a.safetensors", "b.safetensors", "mine.py"))
    base.model.encoder.gain.log_gain.data += 0.25
    save_encoder(tuned, base.model, base, {})
    (tmp_path / tiny_weights.name).symlink_to(tiny_weights)  # its decoder lies beside it
    weightfile.write(roi, session.KIND, {}, {})
    mine.write_text("a = 1")
    options = encode.Options(text="cat", roi_backend=f"{mine}:A")
    first, second = Codec.load(tiny_weights), Codec.load(tuned)
    assert first.fingerprint == second.fingerprint
    keys = [encode.key(options, first), encode.key(options, second)]
    mine.write_text("a = 2")
    keys.append(encode.key(options, second))
    monkeypatch.setattr(embedded, "DEFAULT", roi)
    keys.append(encode.key(options, second))
    assert len(set(keys)) == 4 and encode.key(options, Codec.load(tuned)) == keys[-1]


def test_a_model_of_the_callers_own_is_told_by_what_it_holds(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "model"
    (model / "inner").mkdir(parents=True)
    (model / "inner" / "weights").write_bytes(b"a")
    options = encode.Options(text="cat", roi_backend="clipseg", roi_weights="model")
    keys = [encode.key(options, tiny)]
    (model / ".cache").mkdir()
    (model / ".cache" / "weights").write_bytes(b"when it was downloaded")
    model.rename(tmp_path / "moved")
    assert encode.key(replace(options, roi_weights="moved"), tiny) == keys[0]
    (tmp_path / "moved" / "inner" / "weights").write_bytes(b"b")
    keys.append(encode.key(replace(options, roi_weights="moved"), tiny))
    (tmp_path / "moved" / "inner" / "weights").rename(tmp_path / "moved" / "weights")
    keys.append(encode.key(replace(options, roi_weights="moved"), tiny))
    keys.append(encode.key(replace(options, roi_weights="a name"), tiny))
    assert len(set(keys)) == 4


def test_the_version_of_a_backend_counts_and_files_of_its_name_do_not(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = [encode.Options(text="cat", roi_backend=b) for b in ("embedded", "clipseg")]
    keys = [encode.key(o, tiny) for o in options]
    for name in ("embedded", "clipseg"):
        (tmp_path / name).write_bytes(b"a file")
    assert [encode.key(o, tiny) for o in options] == keys
    monkeypatch.setattr(encode, "version", lambda package: f"{package} 99")
    embedded, clipseg = (encode.key(o, tiny) for o in options)
    monkeypatch.setattr(encode, "version", {"vcm": "vcm 99", "transformers": "100"}.__getitem__)
    assert encode.key(options[0], tiny) == embedded and encode.key(options[1], tiny) != clipseg


def test_a_coco_file_with_a_broken_picture(run, folder, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "bad.png").write_bytes(b"none")
    (tmp_path / "images" / "good.png").write_bytes((folder / "a0.png").read_bytes())
    names = ("bad.png", "good.png", "gone.png")
    entries = [{"id": n, "file_name": name} for n, name in enumerate(names)]
    (tmp_path / "some.json").write_text(json.dumps({"images": entries}))
    run("encode", "some.json", "-o", "out", "--ordered", "--workers", 1, code=2)
    lines = [json.loads(t) for t in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert {line["file"]: line["error"] is None for line in lines} == {
        "bad.vcm": False, "good.vcm": True, "gone.vcm": False,
    }  # fmt: skip
    data = (tmp_path / "out" / "good.vcm").read_bytes()
    (good,) = (line for line in lines if line["error"] is None)
    assert good["bytes"] == len(data) and good["bpp"] == container.describe(data)["bpp"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("one.png", "-o", "x.vcm", "--workers", "2"), "leave them out for one file"),
        (("in", "-o", "x.tar"), "out-%05d.tar"),
        (("in", "-o", "out", "--workers", "0"), "workers: expected"),
        (
            ("in", "-o", "out", "--ray", "auto", "--workers", "2"),
            "none for a cluster that is already running",
        ),
        (("x-{000..002}.tar", "-o", "out"), "no shard 'x-000.tar'"),
        (("some.json", "-o", "out"), "images[1]: id: expected an id, got None"),
    ],
)
def test_sets_and_ways_that_cannot_be(arguments, words, run, folder, tmp_path):
    (tmp_path / "in").symlink_to(folder)
    (tmp_path / "one.png").symlink_to(folder / "a0.png")
    entries = [{"id": number, "file_name": f"{number}.png"} for number in (1, None)]
    (tmp_path / "some.json").write_text(json.dumps({"images": entries}))
    assert words in run("encode", *arguments, code=2)
