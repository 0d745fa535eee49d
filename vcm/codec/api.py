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
        fingerprint: 8 bytes that name what a decoder needs; files carry them.
        card: what the weight file says about itself.
        any_rate: whether a quality or a size may be chosen, and a file tells where its bits went.
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
            quality: 0 (fewest bits) to 100; two decimals are kept. With one rate it means nothing.
            effort: steps of a search for a better latent: fewer bits for the same picture, for
                about eight times the time of an encoding each.

        Raises:
            SpecError: if a shape or a value is not as above, or effort is asked of an encoder that
                was tuned on its own, or of a codec of one rate.
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
        """A quality and its strings, which measure `size` bytes with a header, or nearly that.

        Args:
            x, m, effort: as for `compress`.
            header: bytes that the file has besides the strings.

        Raises:
            SpecError: as `compress`, or if no quality gives such a size.
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
        """x_hat: (1, 3, height, width) uint8 on the CPU, RGB, channels last in memory.

        Args:
            side: of the tiles in latents, from the file's header; None: as `compress` has it.

        Raises:
            BitstreamError: if the strings cannot be of such a picture.
        """

    @abstractmethod
    def side_of(self, height: int, width: int) -> int:
        """Side in latents of the tiles that such a picture is coded in, 0 for none.

        Raises:
            SpecError: if it was given and such a picture cannot be coded so.
        """

    @abstractmethod
    def bits_at(
        self, strings: "Strings", height: int, width: int, quality: float, side: int
    ) -> "Tensor":
        """Bits that went to each 16x16 pixels: (h, w) float32.

        Raises:
            BitstreamError: as `decompress`.
            SpecError: if the codec has one rate, whose files do not tell.
        """


class Codec(PictureCodec):
    """A trained model: every text, mask, sigma and quality. `load` gives one.

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
            bf16: whether the transforms run in bfloat16, on photos within one level of 255 of
                float32 (two for two values in ten thousand, where sigma is small); None: where the
                device has instructions for it.
            side: of the tiles in latents, 0 for none; None: by the picture's size. Pictures and
                latents do not depend on it, memory and the order of symbols in the file do.
            mechanism: what obeys masks when files are made: "map", a quality for each latent in the
                file; "lma", the encoder alone; "both", which is LMA inside of latents. None: both,
                or LMA where the model has no map.

        Raises:
            ModelError: if there is no such model or its file is damaged.
            SpecError: if there is no such device or mechanism, or the model has no tiles, no
                bfloat16 or no map.
        """
        return load_codec(name_or_path, device=device, bf16=bf16, side=side, mechanism=mechanism)


class Kind(NamedTuple):
    """A kind of codec. What is written "module:name" is imported when it is used.

    Attributes:
        bases: values of `[published] base` in a training config that choose it; "": none is given.
        formats: of its weight files.
        net: its networks, made from the config's table for them.
        load: a `Codec` from the path of a weight file, `device`, `bf16`, `side` and `mechanism`.
        step: what a step of its training computes.
        release: what writes its weight file from a training checkpoint.
    """

    bases: tuple[str, ...]
    formats: tuple[str, ...]
    net: str
    load: str
    step: str
    release: str

    def imported(self, what: str) -> Any:
        """What one of the fields names."""
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
    """The kind that a `[published] base` chooses, "" for none given.

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
    read = next(kinds, KINDS["roi"]).imported("load")  # whose reader says what is wrong
    codec: Codec = read(path, device=device, bf16=bf16, side=side, mechanism=mechanism)
    return codec
