"""Backends that the tests of `vcm.roi` share: the real thing, at times with tiny weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vcm import weightfile
from vcm.errors import MissingExtra
from vcm.roi import load_backend
from vcm.roi.base import Backend
from vcm.roi.embedded import DEFAULT
from vcm.roi.specialists import specialist


def _letters(transformers: Any) -> tuple[Any, int]:
    """A tokenizer whose tokens are letters, and how many it has."""
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    return transformers.CLIPTokenizer(vocabulary, [], model_max_length=77), len(tokens)


@pytest.fixture(scope="session")
def clipseg_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIPSeg checkpoint and processor of the real classes, small and with random weights."""
    transformers = pytest.importorskip("transformers", reason="needs: pip install 'vcm[clipseg]'")
    import torch

    folder = tmp_path_factory.mktemp("clipseg")
    tokenizer, tokens = _letters(transformers)
    processor = transformers.ViTImageProcessor(size={"height": 64, "width": 64})
    transformers.CLIPSegProcessor(processor, tokenizer).save_pretrained(folder)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
    config = transformers.CLIPSegConfig(
        text_config=small
        | {"vocab_size": tokens, "num_hidden_layers": 2, "eos_token_id": tokens - 1},
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
def owl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OWLv2 checkpoint and processor of the real classes, small and with random weights."""
    transformers = pytest.importorskip("transformers", reason="needs: pip install 'vcm[clipseg]'")
    import torch

    folder = tmp_path_factory.mktemp("owl")
    tokenizer, tokens = _letters(transformers)
    pictures = transformers.Owlv2ImageProcessor(size={"height": 64, "width": 64})
    transformers.Owlv2Processor(pictures, tokenizer).save_pretrained(folder)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
    small |= {"num_hidden_layers": 2}
    config = transformers.Owlv2Config(
        text_config=small
        | {"vocab_size": tokens, "max_position_embeddings": 77, "eos_token_id": tokens - 1},
        vision_config=small | {"image_size": 64, "patch_size": 16},
        projection_dim=32,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = transformers.Owlv2ForObjectDetection(config)
    with torch.no_grad():  # random heads give boxes without area and scores of 0 or 1
        for layer in (model.box_head.dense2, model.class_head.logit_scale):
            layer.weight *= 0.01
        model.box_head.dense2.bias.copy_(torch.tensor([0.0, 0.0, 1.0, 0.5]))
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def dino_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Grounding DINO checkpoint of the real classes, small and with random weights."""
    transformers = pytest.importorskip("transformers", reason="needs: pip install 'vcm[clipseg]'")
    import torch

    folder = tmp_path_factory.mktemp("dino")
    letters = [chr(c) for c in range(97, 123)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *letters]
    tokens += [f"##{c}" for c in letters]
    (folder / "vocab.txt").write_text("\n".join(tokens))
    tokenizer = transformers.BertTokenizer(str(folder / "vocab.txt"))
    pictures = transformers.GroundingDinoImageProcessor(
        size={"shortest_edge": 64, "longest_edge": 128}
    )
    transformers.GroundingDinoProcessor(pictures, tokenizer).save_pretrained(folder)
    config = transformers.GroundingDinoConfig(
        backbone_config=transformers.SwinConfig(
            embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2,
            out_features=["stage2", "stage3", "stage4"],
        ),
        text_config=transformers.BertConfig(
            vocab_size=len(tokens), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=32,
        ),
        d_model=64, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, num_queries=20,
        max_text_len=64,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        transformers.GroundingDinoForObjectDetection(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def yolo_seg(shared: Path) -> Path:
    """A pretrained YOLO segmenter of the COCO classes."""
    pytest.importorskip("ultralytics", reason="needs: pip install 'vcm[yolo]'")
    return shared / "weights" / "yolov8n-seg.pt"


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A segmenter with random weights and three classes that are not COCO's."""
    ultralytics = pytest.importorskip("ultralytics", reason="needs: pip install 'vcm[yolo]'")
    path = tmp_path_factory.mktemp("yolo") / "own.pt"
    model = ultralytics.YOLO("yolov8n-seg.yaml", task="segment")
    model.model.names = {0: "Gear", 1: "bolt", 2: "cat"}
    model.save(path)
    return path


@pytest.fixture(scope="session")
def embedded_closely() -> Backend:
    return load_backend("embedded", detail=2)


@pytest.fixture(scope="session")
def clipseg(clipseg_folder: Path) -> Backend:
    return load_backend("clipseg", weights=str(clipseg_folder))


@pytest.fixture(scope="session")
def grounding(owl_folder: Path) -> Backend:
    return load_backend("grounding", weights=str(owl_folder))


@pytest.fixture(scope="session")
def segmenter(yolo_seg: Path) -> Backend:
    return load_backend("segmenter", weights=str(yolo_seg))


@pytest.fixture(scope="session")
def auto(yolo_seg: Path) -> Backend:
    return load_backend("auto", weights=str(yolo_seg))


@pytest.fixture(scope="session")
def find() -> Callable[..., NDArray[np.float32]]:
    """The map (H, W) that a specialist makes of a picture; skips where its package is missing."""

    def found(name: str, picture: NDArray[np.uint8], phrase: str) -> NDArray[np.float32]:
        try:
            (plane,) = specialist(name).similarity(picture, [phrase])
        except MissingExtra as error:
            pytest.skip(str(error))
        return plane

    return found


@pytest.fixture
def with_recall(tmp_path: Path) -> Callable[[str], str]:
    """The file of the built-in weights under a card of another recall, a JSON object."""

    def written(table: str) -> str:
        path = tmp_path / "roi.safetensors"
        kind = weightfile.kind_of(DEFAULT)
        tensors, card = weightfile.read(DEFAULT, kind)
        weightfile.write(path, kind, tensors, card | {"recall": table})
        return str(path)

    return written
