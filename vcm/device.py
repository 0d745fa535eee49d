"""What networks compute on: what the name of a device means, for torch and for onnxruntime."""

from typing import TYPE_CHECKING, Final

from vcm.errors import SpecError

if TYPE_CHECKING:
    import torch

CUDA: Final = "CUDAExecutionProvider"  # as onnxruntime calls it


def device_of(name: str) -> "torch.device":
    """The device of "cpu", "cuda", "cuda:1", or "auto": a GPU if there is one.

    Raises:
        SpecError: if it is none of these, or there is no such device.
    """
    import torch  # here: whoever only asks for `elsewhere` does not wait for it

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise SpecError(f"device: expected auto, cpu or cuda, got {name!r}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SpecError(f"device {name}: there are {torch.cuda.device_count()} CUDA devices here")
    return device


def gpu_of(name: str) -> int | None:
    """The number of the GPU that onnxruntime uses for a device of this name; None: the processor.

    "auto" is a GPU only where onnxruntime can use one: the package that vcm requires cannot.

    Raises:
        SpecError: as `device_of` does, or if it is a GPU that onnxruntime cannot use.
    """
    device = device_of(name)
    if device.type == "cpu":
        return None
    import onnxruntime  # torch alone is enough for whoever only codes

    if CUDA in onnxruntime.get_available_providers():
        return device.index or 0
    if name == "auto":
        return None
    raise SpecError(
        f"device {name}: this onnxruntime has no CUDA; install onnxruntime-gpu instead, or use auto"
    )


def computer(name: str) -> str:
    """What computes for a device of this name: "cpu", or "cuda" and which GPU.

    Raises:
        SpecError: as `device_of` does.
    """
    device = device_of(name)
    return "cpu" if device.type == "cpu" else f"cuda, {torch.cuda.get_device_name(device)}"


def elsewhere(device: str) -> dict[str, str]:
    """The device as an option of a class that need not have one, unless it is asked for."""
    return {} if device == "cpu" else {"device": device}
