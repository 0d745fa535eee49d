"""Codecs behind one interface: what a codec can do, how one is loaded, and the table of kinds."""

from abc import abstractmethod
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol

from vcm import weightfile
from vcm.errors import SpecError

if TYPE_CHECKING:
    from torch import Tensor

    from vcm.codec.format.strings import Strings
    from vcm.codec.nets.lma import TwoValues


EFFORT_MAX: Final = 10_000  # steps
Mechanism = Literal["both", "map", "lma"]
MECHANISMS: Final = ("both", "map", "lma")


class PictureCodec(Protocol):
    """A trained codec, whatever its kind.

    Attributes:
        fingerprint: 8 bytes that identify the weights that a decoder needs; files carry them.
        card: what the weight file says about itself.
        any_rate: whether one can choose a quality or a size, and see in a file where its bits went.
    """

    fingerprint: bytes
    card: dict[str, str]
    any_rate: bool

    @abstractmethod
    def compress(
        self, x: "Tensor", m: "Tensor | TwoValues", quality: float, effort: int = 0
    ) -> "Strings":
        """The strings of a picture.

        Args:
            x: (1, 3, H, W) uint8, or floating point in [0, 1]; RGB, any size.
            m: (1, 1, H, W) floating point in (0, 1], mask values: 1 inside, sigma outside. As
                `TwoValues` they need less memory.
            quality: 0 (fewest bits) to 100; two decimals are kept. A codec of one rate ignores it.
            effort: steps of a search for a latent that needs fewer bits at the same quality. Each
                step takes about as long as eight encodings.

        Raises:
            SpecError: if a shape or a value is not as above, or `effort` is not 0 for an encoder
                that was tuned on its own or a codec of one rate.
        """

    @abstractmethod
    def compress_to(
        self,
        x: "Tensor",
        m: "Tensor | TwoValues",
        size: int,
        header: int = 0,
        effort: int = 0,
    ) -> "tuple[float, Strings]":
        """The quality at which strings and header take about `size` bytes, and these strings.

        Args:
            x, m, effort: as for `compress`.
            header: bytes that the file has besides the strings.

        Raises:
            SpecError: as `compress`, or if no quality gives that size.
        """

    @abstractmethod
    def decompress(
        self,
        strings: "Strings",
        height: int,
        width: int,
        quality: float,
        side: int | None = None,
    ) -> "Tensor":
        """x_hat: (1, 3, height, width) uint8 on the CPU, RGB.

        Args:
            side: of the tiles in latents, from the file's header; None: what `compress` uses.

        Raises:
            BitstreamError: if the strings cannot be of such a picture.
        """

    @abstractmethod
    def side_of(self, height: int, width: int) -> int:
        """Side, in latents, of the tiles that a picture of this size is coded in; 0: no tiles.

        Raises:
            SpecError: if `load` was given a side that does not work for this size.
        """

    @abstractmethod
    def bits_at(
        self, strings: "Strings", height: int, width: int, quality: float, side: int
    ) -> "Tensor":
        """Bits spent on each block of 16x16 pixels: (h, w) float32.

        Raises:
            BitstreamError: as `decompress`.
            SpecError: if the codec has one rate: its files do not tell.
        """


class Codec(PictureCodec):
    """A trained model, for any text, mask, sigma and quality. `load` gives one.

    Example:
        >>> import torch
        >>> codec = vcm.Codec.load()
        >>> x = torch.rand(1, 3, 40, 50)
        >>> strings = codec.compress(x, torch.ones(1, 1, 40, 50), quality=50)
        >>> codec.decompress(strings, 40, 50, quality=50).shape
        torch.Size([1, 3, 40, 50])
    """

    @staticmethod
    def load(
        name_or_path: str | Path = weightfile.DEFAULT,
        *,
        device: str = "cpu",
        bf16: bool | None = None,
        side: int | None = None,
        mechanism: Mechanism | None = None,
    ) -> "Codec":
        """The codec of a built-in model's name or of a weight file.

        Args:
            device: "cpu", "cuda", "cuda:1", or "auto": a GPU if there is one.
            bf16: whether the transforms run in bfloat16; None: if the device has instructions for
                it. On photos the values are within 1 of 255 of those in float32 (where sigma is
                small, two in ten thousand are 2 away).
            side: of the tiles in latents, 0 for none; None: by the picture's size. It changes
                memory and the order of symbols in the file, but not pictures and latents.
            mechanism: how masks take effect when files are made. "map": the file has a quality for
                each latent; "lma": in the encoder alone; "both": a map, and LMA for what varies
                within a latent. None: both, or LMA if the model has no map.

        Raises:
            ModelError: if there is no such model or its file is damaged.
            SpecError: if there is no such device or mechanism, or the model does not support
                tiles, bfloat16 or a map, and one was asked for.
        """
        return load_codec(name_or_path, device=device, bf16=bf16, side=side, mechanism=mechanism)


class Kind(NamedTuple):
    """A kind of codec. Fields written "module:name" are imported when they are used.

    Attributes:
        bases: values of `[published] base` in a training config that choose it; "": not given.
        formats: of its weight files.
        net: makes its networks from the config's table for them.
        load: reads a `Codec` from a weight file's path; takes `device`, `bf16`, `side` and
            `mechanism`.
        step: the class that computes one step of its training.
        release: writes its weight file from a training checkpoint.
    """

    bases: tuple[str, ...]
    formats: tuple[str, ...]
    net: str
    load: str
    step: str
    release: str

    def imported(self, what: str) -> Any:
        """The object that the field `what` names."""
        module, _, name = getattr(self, what).partition(":")
        return attrgetter(name)(import_module(module))


KINDS: Final = {
    "roi": Kind(
        bases=("",),
        formats=("vcm-codec-1", "vcm-encoder-1"),
        net="vcm.codec.models.roi:RoiHyperprior",
        load="vcm.codec.runtime.any_rate:AnyRate.read",
        step="vcm.train.kinds:RoiStep",
        release="vcm.train.release:write_roi",
    ),
    "tic": Kind(
        bases=("tic",),
        formats=("vcm-published-1",),
        net="vcm.codec.models.tic:of_preset",
        load="vcm.codec.runtime.one_rate:OneRate.read",
        step="vcm.train.kinds:PublishedStep",
        release="vcm.train.release:write_published",
    ),
    "published": Kind(
        bases=("bmshj2018-hyperprior", "mbt2018-mean", "cheng2020-anchor"),
        formats=("vcm-published-1",),
        net="vcm.codec.models.published:of_zoo",
        load="vcm.codec.runtime.one_rate:OneRate.read",
        step="vcm.train.kinds:PublishedStep",
        release="vcm.train.release:write_published",
    ),
}


def kind_of(base: str) -> Kind:
    """The kind that a `[published] base` chooses; "" stands for no base.

    Raises:
        SpecError: if there is no such base.
    """
    for kind in KINDS.values():
        if base in kind.bases:
            return kind
    known = ", ".join(base for kind in KINDS.values() for base in kind.bases if base)
    raise SpecError(f"base: expected one of {known}, got {base!r}")


def load_codec(
    name_or_path: str | Path = weightfile.DEFAULT,
    *,
    device: str = "cpu",
    bf16: bool | None = None,
    side: int | None = None,
    mechanism: Mechanism | None = None,
) -> Codec:
    """The codec of a built-in model's name or of a weight file; see `Codec.load`."""
    path = weightfile.find(name_or_path)
    wanted = weightfile.kind_of(path)
    kinds = (kind for kind in KINDS.values() if wanted in kind.formats)
    # For an unknown format, the reader of `roi` says what is wrong.
    read = next(kinds, KINDS["roi"]).imported("load")
    codec: Codec = read(path, device=device, bf16=bf16, side=side, mechanism=mechanism)
    return codec
