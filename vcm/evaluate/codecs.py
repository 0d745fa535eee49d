"""Codecs of an evaluation by their texts: "vcm:sigma=0.3", "x265+roi:offset=-12", "vvenc+blur"."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from vcm import plugin
from vcm.errors import SpecError
from vcm.evaluate.modes import VALUES, Defaults
from vcm.evaluate.rated import Rated, RatedCodec
from vcm.evaluate.table import CODECS, CodecRow, Spec, row_of

OPTIONS: Final[dict[str, Callable[[str], Any]]] = {  # name -> what reads its value
    "sigma": float,
    "effort": int,
    "weights": str,
    "preset": str,
    "offset": lambda text: text if text == VALUES else int(text),
    "mechanism": str,
    "importance": str,
    "blur": float,
    "coarser": int,
    "at": lambda text: tuple(float(v) for v in text.split("/")),
}


def parse(text: str) -> Spec:
    """The parts of "BASE+MODE:option=value:...".

    Raises:
        SpecError: if a part is not known; what is known is listed.
    """
    return _parsed(text)[0]


def build(text: str, sigma: float, weights: str, device: str = "cpu") -> RatedCodec:
    """The codec of a text.

    Args:
        sigma, weights: of ours, where the text does not say.
        device: of ours, as `vcm.device.device_of` takes it.

    Raises:
        SpecError: if the text is not a codec's, or there is no such device.
        ModelError: if its weights cannot be loaded.
    """
    spec, row = _parsed(text)
    at = spec.options.get("at", ())
    if len({f"{s:g}" for s in at}) < len(at):
        raise SpecError(f"codec {text!r}: each setting once, got {at}")
    return row.build(spec, Defaults(sigma, weights, device))


def is_ours(text: str) -> bool:
    """Whether a text is one of this package's codec."""
    row = row_of(text.partition("+")[0].partition(":")[0])  # of a clip's codecs too
    return row is not None and row.ours


def labels(codecs: Mapping[str, Rated]) -> dict[str, str]:
    """A name for each codec of an evaluation, with its text where two have the same name."""
    counts = Counter(codec.name for codec in codecs.values())
    return {
        text: codec.name if counts[codec.name] == 1 else f"{codec.name} ({text})"
        for text, codec in codecs.items()
    }


def _parsed(text: str) -> tuple[Spec, CodecRow]:
    head, *pairs = text.strip().split(":")
    if plugin.is_plugin(text) and pairs:
        head = f"{head}:{pairs.pop(0)}"
    base, plus, mode = head.partition("+")
    row = row_of(base)
    if row is None:
        raise SpecError(f"codec {text!r}: expected one of {', '.join(CODECS)}")
    if plus and mode not in row.modes:
        modes = ", ".join(f"{base}+{m}" for m in row.modes) or f"{base} alone"
        raise SpecError(f"codec {text!r}: expected {modes}")
    allowed = (*row.options, *(row.modes[mode].options if mode else ()), "at")
    return Spec(base, mode, dict(_option(text, p, allowed) for p in pairs), text), row


def _option(text: str, pair: str, allowed: tuple[str, ...]) -> tuple[str, Any]:
    """Name and value of "name=value"."""
    name, _, value = pair.partition("=")
    if name not in allowed:
        raise SpecError(f"codec {text!r}: option {name!r}; expected one of {', '.join(allowed)}")
    try:
        return name, OPTIONS[name](value)
    except ValueError as error:
        raise SpecError(f"codec {text!r}: {name} cannot be {value!r}") from error
