"""Image compression for machines, steered by words.

Example:
    >>> import vcm
    >>> from vcm import image
    >>> photo = image.read("photo.jpg")                     # (H, W, 3) uint8 RGB
    >>> codec = vcm.Codec.load()
    >>> roi = vcm.acquire(photo, vcm.parse("person, dog"), vcm.load_backend("embedded"), sigma=0.1)
    >>> data = vcm.encode(photo, roi, codec, quality=50)    # bytes of a .vcm file
    >>> picture = vcm.decode(data, codec)                   # needs no words and no mask
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vcm.codec.api import Codec
    from vcm.errors import VcmError
    from vcm.evaluate.api import evaluate
    from vcm.pipeline import decode, encode, find_roi
    from vcm.rd import RDPoint
    from vcm.roi import load_backend
    from vcm.roi.acquire import acquire
    from vcm.roi.mask import RoiMask
    from vcm.roi.text import parse
    from vcm.task import TaskSpec, find_task

__version__ = "0.1.0"

# Each is imported when it is first used: `import vcm` costs nothing and loads no torch.
_HOME = {
    "Codec": "vcm.codec.api",
    "RDPoint": "vcm.rd",
    "RoiMask": "vcm.roi.mask",
    "TaskSpec": "vcm.task",
    "VcmError": "vcm.errors",
    "acquire": "vcm.roi.acquire",
    "decode": "vcm.pipeline",
    "encode": "vcm.pipeline",
    "evaluate": "vcm.evaluate",
    "find_roi": "vcm.pipeline",
    "find_task": "vcm.task",
    "load_backend": "vcm.roi",
    "parse": "vcm.roi.text",
}

__all__ = [
    "Codec",
    "RDPoint",
    "RoiMask",
    "TaskSpec",
    "VcmError",
    "acquire",
    "decode",
    "encode",
    "evaluate",
    "find_roi",
    "find_task",
    "load_backend",
    "parse",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'vcm' has no attribute {name!r}")
    home = import_module(_HOME[name])  # vcm.evaluate itself can be called
    return home if _HOME[name] == f"vcm.{name}" else getattr(home, name)
