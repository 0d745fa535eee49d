#!/usr/bin/env bash
# All that needs a GPU: the tests that skip without one (coding, training, the networks for words,
# task models), then a comparison of files, latents and pictures of CPU and GPU. PYTHON=... names
# another interpreter. Tests of what onnxruntime runs skip unless onnxruntime-gpu is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
"$python" -c 'import sys, torch; sys.exit(None if torch.cuda.is_available() else "no CUDA device")'
"$python" -m pytest -m gpu -rs
"$python" tests/gpu.py cpu cuda
