"""Backends that the tests of `vcm.roi` share: the real thing, at times with tiny weights."""

from pathlib import Path

import pytest

from vcm.roi import load_backend
from vcm.roi.base import Backend


@pytest.fixture(scope="session")
def clipseg_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIPSeg checkpoint and processor of the real classes, small and with random weights."""
    transformers = pytest.importorskip("transformers", reason="needs: pip install 'vcm[clipseg]'")
    import torch
    from tokenizers.pre_tokenizers import ByteLevel

    folder = tmp_path_factory.mktemp("clipseg")
    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = transformers.CLIPTokenizer(
        {token: i for i, token in enumerate(tokens)}, [], model_max_length=77
    )
    processor = transformers.ViTImageProcessor(size={"height": 64, "width": 64})
    transformers.CLIPSegProcessor(processor, tokenizer).save_pretrained(folder)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
    config = transformers.CLIPSegConfig(
        text_config=small
        | {"vocab_size": len(tokens), "num_hidden_layers": 2, "eos_token_id": len(tokens) - 1},
        vision_config=small | {"image_size": 64, "patch_size": 16, "num_hidden_layers": 4},
        projection_dim=32,
        extract_layers=[1, 2, 3],
        reduce_dim=16,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=32,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        transformers.CLIPSegForImageSegmentation(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def yolo_seg(shared: Path) -> Path:
    """A pretrained YOLO segmenter of the COCO classes."""
    pytest.importorskip("ultralytics", reason="needs: pip install 'vcm[yolo]'")
    return shared / "weights" / "yolov8n-seg.pt"


@pytest.fixture(scope="session")
def embedded() -> Backend:
    return load_backend("embedded")


@pytest.fixture(scope="session")
def clipseg(clipseg_folder: Path) -> Backend:
    return load_backend("clipseg", weights=str(clipseg_folder))


@pytest.fixture(scope="session")
def segmenter(yolo_seg: Path) -> Backend:
    return load_backend("segmenter", weights=str(yolo_seg))
