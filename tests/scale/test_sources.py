"""Where many pictures come from: shards as WebDataset has them, COCO files, the hub's format."""

import json
import pickle
import tarfile

import pytest

from vcm import image
from vcm.commands import decode
from vcm.dataset import load, pictures
from vcm.errors import ImageError, MissingExtra, SpecError
from vcm.scale.sources import distinct, files, read, stem
from vcm.scale.tars import ShardSource, expanded


def test_shards_give_the_photos_and_nothing_else(shards, folder):
    found = list(pictures(shards))
    assert [s.name for s in found[:2]] == ["in-000/a0.png", "in-000/a1.png"]
    assert [stem(s) for s in found[-2:]] == ["in-001/c1", "in-001/c2"]
    originals = sorted(folder.iterdir())
    assert [s.load() for s in found] == [path.read_bytes() for path in originals]
    assert [pickle.loads(pickle.dumps(s)) for s in found] == found
    assert found[0].where.endswith("in-000.tar/a0.png")


def test_what_webdataset_writes_is_read(tmp_path, folder):
    webdataset = pytest.importorskip("webdataset", reason="needs: pip install 'vcm[dev]'")
    with webdataset.TarWriter(str(tmp_path / "x.tar")) as writer:
        for path in sorted(folder.iterdir()):
            writer.write({"__key__": path.stem, "png": path.read_bytes(), "cls": b"1"})
    found = list(ShardSource(str(tmp_path / "x.tar")))
    assert {stem(s): s.load() for s in found} == {
        f"x/{path.stem}": path.read_bytes() for path in folder.iterdir()
    }


def test_names_of_shards(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in (8, 9, 10):
        (tmp_path / f"x-{number:02d}.tar").touch()
    assert expanded("x-{08..10}.tar") == ["x-08.tar", "x-09.tar", "x-10.tar"]
    assert expanded("x-0*.tar") == ["x-08.tar", "x-09.tar"]
    assert expanded(f"{tmp_path}/x-1*.tar") == [f"{tmp_path}/x-10.tar"]
    for text in ("x-{08..11}.tar", "y*.tar", "y.tar"):
        with pytest.raises(SpecError, match="there is no shard"):
            ShardSource(text)


def test_names_stay_in_their_folder_and_tell_files_apart(tmp_path, folder):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in ("../../up.png", "/etc/root.png", "deep/a0.png"):
            info = tarfile.TarInfo(name)
            tar.addfile(info)
    found = list(ShardSource(str(tmp_path / "x.tar")))
    assert [stem(s) for s in found] == ["x/up", "x/etc/root", "x/deep/a0"]
    with pytest.raises(SpecError, match=r"a\.jpg and a\.png would both become a"):
        files([tmp_path / "a.jpg", tmp_path / "b.png", tmp_path / "a.png"])
    listed = {"images": [{"id": 1, "file_name": "../x/a0.png"}]}
    (tmp_path / "y").mkdir()
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a0.png").touch()
    (tmp_path / "y" / "coco.json").write_text(json.dumps(listed))
    assert [stem(s) for s in distinct(pictures(tmp_path / "y" / "coco.json"))] == ["x/a0"]


def test_damaged_shards(tmp_path, shards, folder):
    (tmp_path / "x.tar").write_bytes(b"no tar file at all" * 100)
    with pytest.raises(SpecError, match="not an uncompressed tar file"):
        list(ShardSource(str(tmp_path / "x.tar")))
    with tarfile.open(tmp_path / "none.tar", "w") as tar:
        tar.add(folder / "a0.png", "a.b.png")  # not the picture of its sample
    with pytest.raises(SpecError, match=r"none\.tar holds no usable file"):
        list(ShardSource(str(tmp_path / "none.tar")))
    with tarfile.open(tmp_path / "cut.tar", "w") as tar:
        tar.add(folder / "a0.png", "a0.png")
    (member,) = ShardSource(str(tmp_path / "cut.tar"))
    (tmp_path / "cut.tar").write_bytes((tmp_path / "cut.tar").read_bytes()[: member.offset + 188])
    with pytest.raises(ImageError, match=r"cut\.tar/a0\.png: expected \d+ bytes, got 188"):
        member.load()


def test_an_evaluation_takes_shards_as_well(shards, folder):
    data = load(shards)
    assert len(data.photos) == 9 and data.annotations is None
    assert (read(data.photos[0]) == image.read(folder / "a0.png")).all()
    with pytest.raises(SpecError, match="no COCO file"):
        load(shards, "split=val")


@pytest.mark.filterwarnings("ignore")  # of datasets and what it imports
def test_the_hub_gives_bytes_as_they_lie(folder):
    pytest.importorskip("datasets", reason="needs: pip install 'vcm[hub]'")
    found = pictures(f"hf:{folder}")
    assert len(found) == 9
    assert sorted(s.load() for s in found) == sorted(p.read_bytes() for p in folder.iterdir())
    row = pickle.loads(pickle.dumps(next(iter(found))))
    assert row.where == f"hf:{folder}:train/0" and row.load()


def test_a_missing_extra_comes_home_from_a_worker():
    error = pickle.loads(pickle.dumps(MissingExtra("ray", "scale")))
    assert str(error) == str(MissingExtra("ray", "scale"))


def test_the_first_picture_of_a_key_counts_and_lost_ones_are_named(tmp_path, folder, caplog):
    photo = next(iter(sorted(folder.iterdir())))
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in ("0.png", "0.jpg", "0.mask.png", "v1.2.png"):
            tar.add(photo, name)
    found = [member.name for member in ShardSource(str(tmp_path / "a.tar"))]
    assert (
        found == ["a/0.png"]
        and "left out (links, unsupported formats, names with two dots): 1: v1.2.png" in caplog.text
    )


def test_files_of_two_folders_in_a_shard_are_told_apart(tmp_path, folder):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in ("a/0.png", "b/0.png", "./c.png"):
            tar.add(folder / "a0.png", name)
    found = [member.where for member in ShardSource(str(tmp_path / "x.tar"))]
    assert found == [f"{tmp_path}/x.tar/{name}" for name in ("a/0.png", "b/0.png", "c.png")]


def test_what_macos_puts_beside_a_file_is_none(tmp_path, folder):
    names = ("._0.vcm", "0.vcm", "deep/._1.vcm", "deep/.vcm")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in names:
            tar.add(folder / "a0.png", name)
            (tmp_path / "all" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "all" / name).touch()
    assert [s.name for s in decode._files(tmp_path / "x.tar")] == ["x/0.vcm"]
    assert [s.name for s in decode._files(tmp_path / "all")] == ["0.vcm"]
