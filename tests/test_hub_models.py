"""Models of the Hugging Face hub; local folders are laid out alike."""

import shutil
import sys
from pathlib import Path

import pytest

import vcm
from vcm import hub, weightfile
from vcm.codec.api import Codec
from vcm.errors import MissingExtra, ModelError


@pytest.fixture
def repository(tiny_weights: Path, tmp_path: Path) -> str:
    shutil.copy(tiny_weights, tmp_path / hub.MODEL)
    (tmp_path / "README.md").write_text("a card")
    return f"hf:{tmp_path}"


def test_a_folder_is_a_model(repository: str, tiny: Codec) -> None:
    assert Codec.load(repository).fingerprint == tiny.fingerprint


def test_an_encoder_takes_its_decoder_from_beside_it(
    tmp_path: Path, base: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    built_in = weightfile.codecs()
    shutil.copy(built_in["yolo11n"], tmp_path / hub.MODEL)
    shutil.copy(built_in["base"], tmp_path / "decoder.safetensors")
    monkeypatch.setattr(weightfile, "BUILT_IN", tmp_path / "none")
    assert Codec.load(f"hf:{tmp_path}").fingerprint == base.fingerprint


def test_a_folder_without_a_model_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="it has no file model.safetensors"):
        Codec.load(f"hf:{tmp_path}")


def test_what_cannot_be_had_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="hf:no one/no: no such folder, and the repository cannot"):
        vcm.Codec.load("hf:no one/no")  # not a name of the hub's, so it asks no server
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra, match=r"pip install 'vcm\[hub\]'"):
        vcm.Codec.load("hf:someone/something")
