"""A bundle that the tests share, beside `edge`."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def toy(mapped_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the toy codec with a map, for two words, as the command writes it."""
    for module in ("onnxruntime", "onnxscript"):
        pytest.importorskip(module, reason="needs: pip install 'vcm[onnx]'")
    folder = tmp_path_factory.mktemp("bundle") / "toy"
    command = [sys.executable, "-m", "vcm", "export", "--bundle", "-o", str(folder)]
    command += ["--weights", str(mapped_weights), "--words", "person, car"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "networks/analysis.onnx" in done.stdout
    return folder
