"""The codec's networks as ONNX, encoder and decoder separately; they do not include entropy coding.

    x, m, values, quality ──[analysis]── y ──[hyper]── z          encoder
    z_hat ──[features]──┬──[pass_0 ... pass_3]── rows, means of y, a quarter each
                 known ─┘
    y_hat ──[synthesis]── x_hat                  decoder

Height and width are free. Each latent has its own quality: a number in [-1.4, 1] for the
transforms, and an integer level for the networks that choose coding tables. `values` are the mask
values of latents that these qualities come from. The networks that choose coding tables compute
with integers held in float32, as in torch: every runtime whose float32 convolutions are plain sums
gets the same results. `vcm.codec.runtime.onnx` decodes with these files and `onnx_encoder` encodes,
both without torch.
"""

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.export import Dim

from vcm.codec.format.constants import PASSES, STRIDE
from vcm.codec.format.cva import MARGIN
from vcm.codec.format.tables import Tables
from vcm.codec.models.cva import relative
from vcm.codec.models.roi import RoiHyperprior
from vcm.codec.nets.control import Controls
from vcm.codec.nets.lma import grown, mask_level
from vcm.codec.nets.transforms import from_blocks, to_blocks
from vcm.codec.runtime.exported import FACTS, FORMAT
from vcm.codec.runtime.weights import Weights, load
from vcm.errors import MissingExtra
from vcm.files import make_folder, write_atomic
from vcm.weightfile import DEFAULT

ENCODER: Final = ("analysis", "hyper")
TALKATIVE: Final = (
    "torch.onnx", "torch.fx.experimental.symbolic_shapes", "onnxscript", "onnx_ir",
)  # fmt: skip
DECODER: Final = ("features", *(f"pass_{number}" for number in range(PASSES)), "synthesis")


class Graph(NamedTuple):
    """A network to be exported.

    Attributes:
        module: takes the inputs in this order.
        inputs: an example of each, by name.
        units: by input: its height and width are multiples of this. Inputs not named here have a
            fixed shape.
        outputs: names.
    """

    module: nn.Module
    inputs: dict[str, Tensor]
    units: dict[str, int]
    outputs: tuple[str, ...]


class _Part(nn.Module):
    """A part of the model as a module of its own."""

    def __init__(self, model: RoiHyperprior):
        super().__init__()
        self.model = model


class _Analysis(_Part):
    def forward(self, x: Tensor, m: Tensor, values: Tensor, quality: Tensor) -> Tensor:
        encoder = self.model.encoder
        y0, features = encoder.g_a(to_blocks(x))
        seen = mask_level(relative(grown(m, MARGIN), values))
        return encoder.modulate(y0, features, seen, _controls(quality))


class _Hyper(_Part):
    def forward(self, y: Tensor) -> Tensor:
        return self.model.encoder.hyper(y)


class _Features(_Part):
    def forward(self, z_hat: Tensor, level: Tensor) -> Tensor:
        h, w = z_hat.shape[2:]
        networks = self.model.decoder.parameters_y
        return networks.features(z_hat, _controls(level), (4 * h, 4 * w))


class _Pass(_Part):
    def __init__(self, model: RoiHyperprior, number: int):
        super().__init__(model)
        self.number = number

    def forward(
        self, features: Tensor, level: Tensor, known: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        known = features if known is None else known  # the first pass does not use it
        networks = self.model.decoder.parameters_y
        rows, means = networks(self.number, features, _controls(level), known)
        return rows, means


class _Synthesis(_Part):
    def forward(self, y_hat: Tensor, quality: Tensor) -> Tensor:
        return from_blocks(self.model.decoder.synthesise(y_hat, _controls(quality))) + 0.5


def _controls(value: Tensor) -> Controls:
    """`Controls` for a network that sees only one of the two forms."""
    return Controls(real=value, level=value)


def graphs(model: RoiHyperprior) -> dict[str, Graph]:
    """The networks by name; docs/pages/guides/decode-without-torch.md has inputs and outputs.

    All are float32 with a batch of 1; h and w are the rows and columns of the latent.
    """
    s, h, w = model.sizes, 8, 12
    pixels = {"x": torch.rand(1, 3, STRIDE * h, STRIDE * w)}
    mask = {"m": torch.ones(1, 1, STRIDE * h, STRIDE * w)}
    y, features = torch.zeros(1, s.M, h, w), {"features": torch.zeros(1, s.width, h, w)}
    level, quality = ({name: torch.ones(1, 1, h, w)} for name in ("level", "quality"))
    latents = {"values": torch.ones(1, 1, h, w)}
    found = {
        "analysis": Graph(
            _Analysis(model),
            pixels | mask | latents | quality,
            {"x": STRIDE, "m": STRIDE, "values": 1, "quality": 1},
            ("y",),
        ),
        "hyper": Graph(_Hyper(model), {"y": y}, {"y": 4}, ("z",)),
        "features": Graph(
            _Features(model),
            {"z_hat": torch.zeros(1, s.Z, h // 4, w // 4)} | level,
            {"z_hat": 1, "level": 4},
            ("features",),
        ),
        "synthesis": Graph(
            _Synthesis(model), {"y_hat": y} | quality, {"y_hat": 1, "quality": 1}, ("x_hat",)
        ),
    }
    for number in range(PASSES):
        inputs = features | level | ({"known": y} if number else {})
        units = {"features": 2, "level": 2, "known": 2}
        found[f"pass_{number}"] = Graph(_Pass(model, number), inputs, units, ("rows", "means"))
    return found


def export(
    folder: Path, name_or_path: str | Path = DEFAULT, names: Sequence[str] = ENCODER + DECODER
) -> dict[str, int]:
    """Write networks of a weight file, and `codec.json`; returns file sizes in bytes by name.

    Args:
        folder: made if it is not there.
        name_or_path: a built-in codec's name or a weight file.
        names: of the networks.

    Raises:
        ModelError: if there is no such model, or it is not an `roi` model.
        MissingExtra: if onnxscript is not installed.
        OutputError: if the folder cannot be written.
    """
    weights = load(name_or_path)
    found = graphs(weights.model)
    files = {f"{name}.onnx": onnx(found[name]) for name in names}
    files[FACTS] = json.dumps(facts(weights)).encode()
    make_folder(folder)
    write_atomic(folder / FACTS, b"{}")  # invalid until all files are there: never two models' mix
    for name, data in files.items():
        write_atomic(folder / name, data)
    return {name: len(data) for name, data in files.items()}


def facts(weights: Weights) -> dict[str, Any]:
    """What an encoder or a decoder needs besides networks: fingerprint, sizes, coding tables."""
    sizes = weights.model.sizes
    return {
        "format": FORMAT,
        "fingerprint": weights.fingerprint.hex(),
        "below": sizes.below,
        "lmbda": weights.lmbda,
        "reach": {"analysis": sizes.analysis_reach, "synthesis": sizes.synthesis_reach},
        "channels": {"y": sizes.M, "z": sizes.Z},
        "networks": {"encoder": ENCODER, "decoder": DECODER},
        "tables": {name: _rows(tables) for name, tables in weights.tables.items()},
    }


def _rows(tables: Tables) -> dict[str, Any]:
    pairs = zip(tables.cdf.tolist(), tables.length.tolist(), strict=True)
    return {"cdf": [row[:length] for row, length in pairs], "offset": tables.offset.tolist()}


def onnx(graph: Graph) -> bytes:
    """The ONNX file of a network.

    Raises:
        MissingExtra: if onnxscript is not installed.
    """
    rows, columns = Dim("rows"), Dim("columns")
    shapes = {
        name: {2: _times(graph.units[name], rows), 3: _times(graph.units[name], columns)}
        if name in graph.units
        else None
        for name in graph.inputs
    }
    try:
        import_module("onnxscript")
    except ImportError as error:
        raise MissingExtra("onnxscript", "onnx") from error
    with _quiet():
        program = torch.onnx.export(
            graph.module.eval(),
            kwargs=graph.inputs,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=shapes,
            dynamo=True,
            optimize=False,  # the optimiser may drop a value in use; runtimes optimise anyway
            verbose=False,
        )
    assert program is not None
    data: bytes = program.model_proto.SerializeToString()
    return data


def _times(unit: int, dimension: Any) -> Any:
    return dimension if unit == 1 else unit * dimension


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides the exporter's warnings and log messages about its own internals."""
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
