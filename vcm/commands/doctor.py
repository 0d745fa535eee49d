"""`vcm doctor`: what is there, what is not, and how to get it."""

import contextlib
import os
import platform
import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Final

from vcm import weightfile
from vcm.codec.api import KINDS, load_codec
from vcm.errors import MissingExtra, ModelError
from vcm.provenance import processor, versions

Report = dict[str, Any]
# backend -> the hub's name of its default weights; they are downloaded when it is first used
HUB: Final = {
    "clipseg": "CIDAS/clipseg-rd64-refined",
    "grounding": "google/owlv2-base-patch16-ensemble",
}
ENCODERS: Final = {  # codec of `vcm eval` -> ffmpeg's name
    "x265": "libx265", "svt-av1": "libsvtav1", "vvenc": "libvvenc", "kvazaar": "libkvazaar",
}  # fmt: skip
FOR: Final = {  # extra -> what it is for
    "yolo": "task models of ultralytics", "clipseg": "models of transformers",
    "anchors": "video codecs and plots", "video": "clips", "wandb": "logs to Weights & Biases",
    "dashboard": "workspaces of Weights & Biases",
    "train": "training on several devices", "hub": "data sets and models of the hub",
    "eval": "vcm eval", "onnx": "vcm export",
    "perceptual": "ST-LPIPS, LPIPS and DISTS",
    "demo": "vcm demo", "train-roi": "vcm train-roi", "tflite": "DeepLab",
    "faces": "the word face", "ocr": "the words text and license plate",
    "tasks": "task accuracy", "all": "all that a user may need",
    "web": "vcm serve", "scale": "many machines", "docs": "the site", "dev": "make test",
}  # fmt: skip
REQUIREMENT: Final = re.compile(
    r"""(?P<name>[\w.-]+)(?:\[(?P<extras>[\w,-]+)\])?.*?(?:extra\s*==\s*["'](?P<of>[\w-]+)["'])?$"""
)


def run() -> Report:
    """The report; "missing" holds a sentence for each thing that could be had."""
    extras, models, encoders = _extras(), list(_models()), _encoders()
    report = {
        "versions": {"python": platform.python_version()} | versions(),
        "devices": _devices(),
        "extras": extras,
        "models": models,
        "downloads": {name: _is_cached(hub) for name, hub in HUB.items()},
        "encoders": encoders,
    }
    return report | {"missing": list(missing(report))}


def _devices() -> Report:
    import torch

    from vcm.codec.nets.int8 import is_exact
    from vcm.codec.runtime.precision import has_bf16

    cuda = torch.cuda.is_available()
    return {
        "processor": processor(),
        "threads": f"{torch.get_num_threads()} of {os.cpu_count()}",
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cuda": torch.cuda.get_device_name() if cuda else None,
        "bfloat16": has_bf16(),
        "exact_bytes": is_exact(),
    }


def _extras() -> dict[str, list[str]]:
    """The packages that each extra lacks, by its name, in the order of pyproject.toml."""
    wanted: dict[str, list[tuple[str, str]]] = {}
    for text in requires("vcm") or []:
        found = REQUIREMENT.match(text)
        if found and found["of"]:
            wanted.setdefault(found["of"], []).append((found["name"], found["extras"] or ""))

    def lacking(extra: str) -> Iterator[str]:
        for name, inner in wanted.get(extra, []):
            if name == "vcm":
                yield from lacking(inner)
            elif not _is_installed(name):
                yield name

    return {extra: list(lacking(extra)) for extra in wanted}


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _models() -> Iterator[Report]:
    """The built-in weight files, each value of them checked against its SHA-256."""
    for path in sorted(weightfile.BUILT_IN.glob("*.safetensors")):
        kind = weightfile.kind_of(path)
        row: Report = {"name": path.stem, "kind": kind, "fingerprint": None, "error": None}
        try:
            yield row | {"fingerprint": _fingerprint(path, kind)}
        except ModelError as error:
            yield row | {"error": str(error)}


def _fingerprint(path: Path, kind: str) -> str:
    """What files name a codec by; of other networks the begin of their SHA-256."""
    if any(kind in known.formats for known in KINDS.values()):
        return load_codec(path).fingerprint.hex()
    return weightfile.read(path, kind)[1]["sha256"][:16]


def _is_cached(hub_name: str) -> bool:
    """Whether the hub's cache holds a model."""
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface"))
    with contextlib.suppress(RuntimeError):  # no home folder: nothing is there
        home = home.expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    return any(cache.glob(f"models--{hub_name.replace('/', '--')}/snapshots/*/*.*"))


def _encoders() -> list[str] | None:
    """Codecs that ffmpeg encodes here; None: there is no ffmpeg."""
    from vcm.anchors.ffmpeg import program

    try:
        command = [program(), "-hide_banner", "-encoders"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (MissingExtra, OSError, RuntimeError, subprocess.SubprocessError):
        return None
    known = {line.split()[1] for line in done.stdout.splitlines() if len(line.split()) > 1}
    return [codec for codec, name in ENCODERS.items() if name in known]


def missing(report: Report) -> Iterator[str]:
    """One sentence for each thing that is not there: what it is for, and how to get it."""
    for extra, lacks in report["extras"].items():
        if lacks:
            use = f" ({FOR[extra]})" if extra in FOR else ""
            yield f"Extra {extra}{use} lacks {', '.join(lacks)}: pip install 'vcm[{extra}]'."
    for model in report["models"]:
        if model["error"] is not None:
            yield f"Model {model['name']} cannot be used: {model['error']}."
    if not report["models"]:
        yield "There are no built-in models: install vcm again, from a whole checkout."
    for backend, cached in report["downloads"].items():
        if not cached:
            yield (
                f"The weights of --roi-backend {backend} ({HUB[backend]}) are downloaded when it "
                f"is first used; --roi-weights FOLDER takes a copy."
            )
    if report["encoders"] is None:
        yield "There is no ffmpeg for video codecs in vcm eval: pip install 'vcm[anchors]'."
    for codec in ENCODERS:
        if report["encoders"] is not None and codec not in report["encoders"]:
            yield (
                f"This ffmpeg has no encoder for {codec}: pip install -U imageio-ffmpeg, and unset "
                f"IMAGEIO_FFMPEG_EXE."
            )
    if report["devices"]["cuda"] is None:
        yield "There is no CUDA device: training would be faster with one."
    if not report["devices"]["exact_bytes"]:
        yield (
            "This processor or torch has no exact byte convolutions: coding is slower, files are "
            "the same."
        )


def lines(report: Report) -> list[str]:
    """The report for people."""
    devices = report["devices"]
    width = max(map(len, (*report["versions"], *devices, *report["extras"])))
    text = ["versions", *(f"  {k:<{width}}  {v}" for k, v in report["versions"].items())]
    text += ["devices", *(f"  {k:<{width}}  {_plain(v)}" for k, v in devices.items())]
    extras = ((k, f"lacks {', '.join(v)}" if v else "found") for k, v in report["extras"].items())
    text += ["extras", *(f"  {k:<{width}}  {v}" for k, v in extras)]
    text += ["models"]
    text += [
        f"  {m['name']:<{width}}  {m['kind']}  {m['error'] or m['fingerprint'] + '  SHA-256 right'}"
        for m in report["models"]
    ]
    text += [
        f"  {name:<{width}}  {'found' if cached else 'not downloaded'}"
        for name, cached in report["downloads"].items()
    ]
    encoders = report["encoders"]
    text += ["encoders", f"  {'none' if not encoders else ', '.join(encoders)}"]
    text += ["missing", *(f"  {sentence}" for sentence in report["missing"] or ["nothing"])]
    return text


def _plain(value: Any) -> str:
    return {True: "yes", False: "no", None: "none"}.get(value, str(value))
