"""This package's codec in an evaluation: one model for all rates, or one model a rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vcm import codec as codec_package
from vcm import container, pipeline
from vcm import roi as roi_package
from vcm.codec.api import Codec, Mechanism
from vcm.device import computer
from vcm.errors import SpecError
from vcm.evaluate.digest import digest_of
from vcm.evaluate.rated import Image, Settings
from vcm.evaluate.weighed import Weigh, alone, identity, weighing
from vcm.provenance import processor, versions
from vcm.roi.mask import RoiMask

QUALITIES: Final[Settings] = (0, 12, 25, 40, 55, 70, 85)
JOIN: Final = "+"  # between the weights of a curve


@dataclass(frozen=True)
class Usage:
    """How our codec is used.

    Attributes:
        sigma: mask value outside the ROI.
        effort: steps of a search for a better latent.
        mechanism: what obeys masks, see `Codec.load`; None: all that the model has.
        importance: that masks are weighed by, see `vcm.importance`; None: they are left alone.
    """

    sigma: float
    effort: int = 0
    mechanism: Mechanism | None = None
    importance: str | None = None

    def told(self, between: str) -> str:
        """In words: what is not as usual behind sigma."""
        given = {
            "sigma": f"{self.sigma:g}",
            "effort": self.effort,
            "mechanism": self.mechanism,
            "importance": self.importance,
        }
        return between.join(f"{name} {value}" for name, value in given.items() if value)


@dataclass(frozen=True)
class Ours:
    """One model, used in one way; its settings are qualities.

    Attributes:
        made_by: weights, code and machine, as they were when it was built: they may change.
    """

    codec: Codec
    made_by: str
    way: Usage
    label: str
    settings: Settings = QUALITIES
    weigh: Weigh = alone
    uses_roi: bool = True

    @property
    def name(self) -> str:
        return f"{self.label}, {self.way.told(', ')}"

    @property
    def key(self) -> str:
        return f"{self.made_by} {self.way.told(' ')}"

    def encode(self, image: Image, mask: RoiMask, setting: float) -> bytes:
        own, effort = self.weigh(image, mask.at(self.way.sigma)), self.way.effort
        return pipeline.encode(image, own, self.codec, quality=setting, effort=effort)

    def clipped(self, image: Image, mask: RoiMask, setting: float) -> float:
        return 0.0

    def decode(self, data: bytes, height: int, width: int) -> Image:
        return pipeline.decode(data, self.codec)


@dataclass(frozen=True)
class Ladder:
    """Models of one rate each, as one curve; a setting is a model's place: 1, 2, ...

    Args:
        codecs: in the order of their rates, few bits first.
        made_by: as `Ours`.
    """

    codecs: tuple[Codec, ...]
    made_by: str
    sigma: float
    label: str
    settings: Settings
    uses_roi: bool = True

    @property
    def name(self) -> str:
        return f"{self.label}, sigma {self.sigma:g}"

    @property
    def key(self) -> str:
        return f"{self.made_by} sigma {self.sigma:g}"

    def encode(self, image: Image, mask: RoiMask, setting: float) -> bytes:
        own = mask.at(self.sigma)
        return pipeline.encode(image, own, self.codecs[int(setting) - 1], quality=0)

    def clipped(self, image: Image, mask: RoiMask, setting: float) -> float:
        return 0.0

    def decode(self, data: bytes, height: int, width: int) -> Image:
        made_with = container.unpack(data).header.fingerprint
        return pipeline.decode(data, next(c for c in self.codecs if c.fingerprint == made_with))


def ours(weights: str, way: Usage, at: Settings | None, device: str = "cpu") -> Ours | Ladder:
    """The codec of a name or file of weights, or of several files joined by "+".

    Args:
        device: as `vcm.device.device_of` takes it.

    Raises:
        ModelError: if weights cannot be loaded.
        SpecError: if several of them are not of one rate each, a setting is none of theirs, a
            model has no such mechanism, or there is no such device.
    """
    parts = [weights] if Path(weights).is_file() else weights.split(JOIN)
    codecs = tuple(Codec.load(p, device=device, mechanism=way.mechanism) for p in parts)
    label = "vcm" if weights == "base" else f"vcm {JOIN.join(Path(p).stem for p in parts)}"
    made_by = _made_by(codecs, device)
    if codecs[0].any_rate and len(codecs) == 1:
        made_by, weigh = made_by + identity(way.importance), weighing(way.importance, device)
        return Ours(codecs[0], made_by, way, label, at or QUALITIES, weigh)
    if any(codec.any_rate for codec in codecs):
        raise SpecError(f"weights={weights}: expected one model, or models of one rate each")
    if way.effort or way.importance:
        raise SpecError(f"weights={weights}: models of one rate have no search and no importance")
    places = tuple(float(i) for i in range(1, len(codecs) + 1))
    if at and not set(at) <= set(places):
        raise SpecError(f"weights={weights}: settings are the places of its files, 1, 2, ...")
    return Ladder(codecs, made_by, way.sigma, label, at or places)


def _made_by(codecs: Sequence[Codec], device: str) -> str:
    """All that decides on the bytes of a file: another torch, processor or GPU rounds otherwise."""
    code = digest_of(codec_package, pipeline, container, roi_package)
    weights = " ".join(codec.card["sha256"] for codec in codecs)
    on = processor() if computer(device) == "cpu" else computer(device)
    machine = versions().get("compressai", ""), versions()["torch"], on
    return f"vcm {container.VERSION} {code} {weights} {' '.join(machine)}"
