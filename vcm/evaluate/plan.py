"""What an evaluation is told, whole: a worker process needs no more to do its part."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from vcm import plugin
from vcm import roi as roi_package
from vcm.dataset import DataSet
from vcm.device import computer
from vcm.evaluate.digest import digest_of
from vcm.evaluate.footage import Footage
from vcm.image import AS_USUAL, Reading
from vcm.provenance import versions
from vcm.roi.embedded import built_in
from vcm.roi.mask import OnEmpty
from vcm.task import TaskSpec

WEIGHTS: Final = (".pth", ".pkl", ".pt")
TRUTH: Final = "truth"  # instead of a words-to-mask backend: the masks that people drew


@dataclass(frozen=True)
class Plan:
    """One evaluation.

    Attributes:
        task: words, sigma, tau, classes and metric.
        model: "adapter:weights", or a file; see `vcm.models`.
        data: pictures and ground truth.
        codecs: texts as for `--codecs`: "vcm:sigma=0.3", "x265+roi".
        roi: words-to-mask backend, or "truth".
        roi_weights: of the backend; None: its own.
        on_empty: what pictures become in which the words find nothing, see `acquire`.
        weights: of our codec, where a codec's text does not say.
        cache: folder of coded files, or None.
        perceptual: names of metrics besides PSNR and MS-SSIM.
        left_out: a line for each of these that cannot be had, and why.
        reading: how picture files are read.
        notes: a line each on what was joined or left out of the labels.
        reference: text of the codec that BD-rates are against; None: the first that is not ours.
        unchecked: whether an uncompressed score that the task does not expect is taken.
        device: of our codec, the words' networks and the task model: "cpu", "cuda", "cuda:1", or
            "auto", a GPU if there is one. All other codecs and metrics run on the processor.
        footage: the clip whose frames are measured instead of photos, or None.
    """

    task: TaskSpec
    model: str
    data: DataSet
    codecs: tuple[str, ...]
    roi: str = "embedded"
    roi_weights: str | None = None
    on_empty: OnEmpty = "whole"
    weights: str = "base"
    cache: Path | None = None
    perceptual: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    reading: Reading = AS_USUAL
    notes: tuple[str, ...] = ()
    reference: str | None = None
    unchecked: bool = False
    device: str = "cpu"
    footage: Footage | None = None

    def without_codecs(self) -> "Plan":
        """The part that only looks at the uncompressed pictures."""
        return replace(self, codecs=())

    def bare(self) -> "Plan":
        """Without the list of pictures: what a worker is sent with each of them."""
        return replace(self, data=replace(self.data, photos=()))

    @property
    def key(self) -> str:
        """Names everything that a picture's record depends on, codecs apart."""
        task = asdict(self.task)
        keys = ("phrases", "exclude", "tau", "dilation", "detail", "classes")
        words = {k: task[k] for k in keys} | ({"values": task["values"]} if task["values"] else {})
        data = [str(self.data.folder), str(self.data.annotations), str(self.data.masks)]
        if self.data.annotations is not None:
            data.append(_stamp(self.data.annotations))
        models = [_identity(m) for m in (self.model, self.roi, self.roi_weights) if m]
        finder = [built_in(), digest_of(roi_package)]  # masks depend on both
        parts = [words, *finder, *models, data, self.on_empty, self.perceptual, versions()]
        parts += [asdict(self.reading), computer(self.device)]
        parts += [] if self.footage is None else [self.footage.key]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _identity(model: str) -> str:
    """The name of a model; of files with sizes and times, as they may be replaced."""
    if plugin.is_plugin(model):
        return f"{model} {_stamp(plugin.file_of(model))}"
    last = model.partition(":")[2] or model
    places = (Path(last), Path(last.partition("=")[2] or last))  # torchvision:NAME=FILE
    files = [f for p in places for f in ([p] if p.is_file() else sorted(p.glob("*")))]
    # a detectron2 config names weights, which are beside it as a rule
    configs = [f for f in files if f.suffix in (".yaml", ".yml")]
    files += [f for c in configs for f in sorted(c.parent.glob("*.p*")) if f.suffix in WEIGHTS]
    return " ".join([model, *(_stamp(f) for f in dict.fromkeys(files))])


def _stamp(path: Path) -> str:
    stat = path.stat()
    return f"{path.name} {stat.st_size} {stat.st_mtime_ns}"
