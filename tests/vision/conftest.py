"""Checkpoints of transformers that the tests of `vcm.vision` share: real classes, small, random."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

# "aeroplane" is VOC's spelling; the gaps are those of COCO's 91 numbers.
OBJECTS = {0: "N/A", 1: "person", 2: "aeroplane", 3: "N/A", 4: "traffic light"}
ROOM = {0: "wall", 1: "building", 2: "sky", 3: "sofa", 4: "tree"}
SHORT = {"shortest_edge": 64, "longest_edge": 128}
SQUARE = {"height": 64, "width": 64}
Save = Callable[[str, Any, Any], Path]


@pytest.fixture(scope="session")
def transformers() -> Any:
    return pytest.importorskip("transformers", reason="needs: pip install 'vcm[clipseg]'")


@pytest.fixture(scope="session")
def save(tmp_path_factory: pytest.TempPathFactory, transformers: Any) -> Save:
    """Writes an image processor and a model of random weights, and says where."""
    import torch

    def write(kind: str, config: Any, processor: Any) -> Path:
        folder = tmp_path_factory.mktemp(kind)
        processor.save_pretrained(folder)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            getattr(transformers, kind)(config).save_pretrained(folder)
        return folder

    return write


@pytest.fixture(scope="session")
def detr_folder(transformers: Any, save: Save) -> Path:
    """A DETR: softmax over the classes and "no object", normalised input of any shape."""
    backbone = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1] * 4, layer_type="basic",
        out_features=["stage3", "stage4"],
    )  # fmt: skip
    config = transformers.DetrConfig(
        use_timm_backbone=False, backbone_config=backbone, d_model=32, encoder_layers=1,
        decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=32, decoder_ffn_dim=32, num_queries=10, id2label=OBJECTS,
    )  # fmt: skip
    return save("DetrForObjectDetection", config, transformers.DetrImageProcessor(size=SHORT))


@pytest.fixture(scope="session")
def rt_detr_folder(transformers: Any, save: Save) -> Path:
    """An RT-DETR: sigmoids, square input in [0, 1]."""
    backbone = transformers.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 16, 32], depths=[1] * 4, layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = transformers.RTDetrConfig(
        backbone_config=backbone, encoder_hidden_dim=32, encoder_in_channels=[16, 16, 32],
        encoder_ffn_dim=32, encoder_attention_heads=2, d_model=32,
        decoder_in_channels=[32, 32, 32], decoder_ffn_dim=32, decoder_layers=2,
        decoder_attention_heads=2, num_queries=10, num_denoising=0, id2label=OBJECTS,
    )  # fmt: skip
    return save("RTDetrForObjectDetection", config, transformers.RTDetrImageProcessor(size=SQUARE))


@pytest.fixture(scope="session")
def yolos_folder(transformers: Any, save: Save) -> Path:
    """A YOLOS: tokens instead of maps."""
    config = transformers.YolosConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        image_size=[64, 96], num_detection_tokens=10, id2label=OBJECTS,
    )  # fmt: skip
    return save("YolosForObjectDetection", config, transformers.YolosImageProcessor(size=SHORT))


@pytest.fixture(scope="session")
def segformer_folder(transformers: Any, save: Save) -> Path:
    """A SegFormer of classes without a background."""
    config = transformers.SegformerConfig(
        depths=[1] * 4, hidden_sizes=[8, 8, 16, 16], num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16, id2label=ROOM,
    )  # fmt: skip
    processor = transformers.SegformerImageProcessor(size=SQUARE)
    return save("SegformerForSemanticSegmentation", config, processor)


@pytest.fixture(scope="session")
def mask2former_folder(transformers: Any, save: Save) -> Path:
    """A Mask2Former of classes without a background."""
    backbone = transformers.SwinConfig(
        embed_dim=8, depths=[1] * 4, num_heads=[1, 1, 2, 2], window_size=2, image_size=64,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = transformers.Mask2FormerConfig(
        backbone_config=backbone, feature_size=32, mask_feature_size=32, hidden_dim=32,
        encoder_feedforward_dim=16, encoder_layers=1, decoder_layers=2, num_attention_heads=2,
        dim_feedforward=16, num_queries=10, id2label=ROOM,
    )  # fmt: skip
    processor = transformers.Mask2FormerImageProcessor(size=SHORT)
    return save("Mask2FormerForUniversalSegmentation", config, processor)


@pytest.fixture(scope="session")
def picture() -> NDArray[np.uint8]:
    """Coloured shapes: (60, 100, 3) uint8 RGB."""
    rng = np.random.default_rng(5)
    image = np.kron(rng.integers(0, 256, (6, 10, 3)), np.ones((10, 10, 1))).astype(np.uint8)
    image[15:40, 20:70, 0] = 250
    return image


@pytest.fixture
def slope_error(seed: int) -> Callable[[Callable[[Any], list[Any]], Any], float]:
    """Of features at (B, 3, H, W) float64: relative error of their gradient along a direction."""
    import torch

    def error(features: Callable[[Any], list[Any]], x: Any) -> float:
        weights = [torch.randn_like(f) for f in features(x)]

        def value(x: Any) -> Any:  # linear: squares behind a layer normalisation are constant
            return sum((f * w).sum() for f, w in zip(features(x), weights, strict=True))

        x = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(value(x), x)
        direction = torch.randn_like(x)
        step = 1e-8 * direction  # small: behind a kink the slope is another one
        with torch.no_grad():
            expected = (value(x + step) - value(x - step)) / 2e-8
        return float(abs((slope * direction).sum() / expected - 1))

    return error
