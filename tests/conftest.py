"""Fixtures that several test modules share. Nothing happens at import."""

import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray
from once import once

if TYPE_CHECKING:
    from vcm.codec.api import Codec
    from vcm.roi.base import Backend

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """The same examples on every run, and none that fails because a machine is slow.

    Ctrl-C reaches the processes that tests start, even if a shell started pytest in the background.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile(
        "vcm", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("vcm")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs exported networks is slow: they take half a minute to make."""
    for item in items:
        if {"exported", "edge", "toy"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the evaluation pictures and task models, which are not ours to ship."""
    path = Path(os.environ.get("VCM_SHARED", REPOSITORY.parent / "shared"))
    if not (path / "data").is_dir():
        pytest.skip("needs the data folder described in the README: set VCM_SHARED to where it is")
    return path


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """The command line writes the log to the standard error of its test, and of no other."""
    logger = logging.getLogger("vcm")
    handlers, propagate = logger.handlers[:], logger.propagate
    yield
    logger.handlers[:], logger.propagate = handlers, propagate


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed, fresh for every test."""
    return np.random.default_rng(20250707)


@pytest.fixture
def seed() -> Iterator[int]:
    """Torch's generator at a fixed seed for the test, and as it was after it."""
    import torch  # only the tests that ask for it pay for it

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(20250707)
        yield 20250707


@pytest.fixture
def wandb_offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """W&B without network. It reads its settings once for the process, and may not keep these."""
    wandb = pytest.importorskip("wandb", reason="needs: pip install 'vcm[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    wandb.teardown()
    yield
    wandb.teardown()


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weight file of a toy codec: the real classes, untrained, a few channels wide."""
    import torch

    from vcm.codec.models.rate import Rate
    from vcm.codec.models.roi import RoiHyperprior
    from vcm.codec.models.sizes import Sizes
    from vcm.codec.nets.transforms import Widths
    from vcm.codec.runtime.weights import save

    sizes = Sizes(12, 4, Widths(12, 20, 1, 1), Widths(8, 16, 1, 1), 16, 16, 16, 16)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = RoiHyperprior(sizes)
        for gain in (model.encoder.gain, model.decoder.inverse_gain):
            torch.nn.init.normal_(gain.log_gain, 0.0, 0.5)
        path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
        save(path, model, Rate(sizes.Z).tables(), {"licence": "Apache-2.0"})
    return path


@pytest.fixture(scope="session")
def mapped_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weight file of a toy codec with a map, none of whose parts is idle."""
    import torch

    from vcm.codec.models.rate import Rate
    from vcm.codec.models.roi import RoiHyperprior
    from vcm.codec.models.sizes import Sizes
    from vcm.codec.nets.transforms import Widths
    from vcm.codec.runtime.weights import save

    sizes = Sizes(12, 4, Widths(12, 20, 1, 1), Widths(8, 16, 1, 1), 16, 16, 16, 16, below=10)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = RoiHyperprior(sizes)
        for parameter in model.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.03)
        torch.nn.init.normal_(model.encoder.g_a.linear.weight, std=0.2)
        torch.nn.init.normal_(model.encoder.lma.mask_out.weight, std=0.5)
        tables = Rate(sizes.Z).tables()

    def make(folder: Path) -> None:
        save(folder / "map.safetensors", model, tables, {"licence": "Apache-2.0"})

    return once(tmp_path_factory, "mapped", make) / "map.safetensors"


@pytest.fixture(scope="session")
def tiny(tiny_weights: Path) -> "Codec":
    """The toy codec."""
    from vcm.codec.api import Codec

    return Codec.load(tiny_weights)


@pytest.fixture(scope="session")
def base() -> "Codec":
    """The released codec."""
    from vcm.codec.api import Codec

    return Codec.load()


@pytest.fixture(scope="session")
def embedded() -> "Backend":
    """The built-in network for words."""
    from vcm.roi import load_backend

    return load_backend("embedded")


@pytest.fixture(scope="session")
def photos() -> dict[str, NDArray[np.uint8]]:
    """Photos that come by pip with scikit-image: (H, W, 3) uint8 RGB by name, 200 to 300 rows."""
    data = pytest.importorskip("skimage.data", reason="needs: pip install 'vcm[demo]'")
    photos = {
        "cat": data.chelsea(),  # 300 x 451
        "person": data.astronaut()[:288, 64:352],  # 288 x 288
        "cup": data.coffee()[::2, ::2],  # 200 x 300
    }
    return {name: np.ascontiguousarray(photo) for name, photo in photos.items()}


@pytest.fixture(scope="session")
def exported(
    photos: dict[str, NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What `vcm export -o onnx --check photo.jpg` wrote; it takes half a minute, so once."""
    for module in ("onnxruntime", "onnxscript"):
        pytest.importorskip(module, reason="needs: pip install 'vcm[onnx]'")
    from vcm import image

    def make(folder: Path) -> None:
        image.write(folder / "photo.jpg", photos["person"])
        command = [sys.executable, "-m", "vcm", "export", "-o", "onnx", "--check", "photo.jpg"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "the same latent as torch; the pictures differ by at most 1 of 255" in done.stdout

    return once(tmp_path_factory, "exported", make) / "onnx"


@pytest.fixture(scope="session")
def edge(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the built-in model, for all words, as `vcm export --bundle` writes it."""
    from vcm import bundle

    def make(folder: Path) -> None:
        bundle.program(folder)
        shutil.copytree(exported, folder / bundle.NETWORKS, dirs_exist_ok=True)

    return once(tmp_path_factory, "edge", make)


@pytest.fixture(scope="session")
def toy(mapped_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the toy codec with a map, for two words, as the command writes it."""
    for module in ("onnxruntime", "onnxscript"):
        pytest.importorskip(module, reason="needs: pip install 'vcm[onnx]'")

    def make(folder: Path) -> None:
        command = [sys.executable, "-m", "vcm", "export", "--bundle", "-o", str(folder)]
        command += ["--weights", str(mapped_weights), "--words", "person, car"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "networks/analysis.onnx" in done.stdout

    return once(tmp_path_factory, "toy", make)


@pytest.fixture(scope="session")
def cat(photos: dict[str, NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """A photo of a cat: (300, 451, 3) uint8 RGB."""
    return photos["cat"]
