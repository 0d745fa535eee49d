"""onnxruntime, with errors that have types."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from vcm.errors import ModelError

Arrays = Mapping[str, NDArray[Any]]
CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"


class Session:
    """A network, ready to run.

    Args:
        model: an ONNX file, or its bytes.
        what: names the network in messages.
        threads: that it may take; 0: as many as there are cores.
        weights: values of initializers that the model has none for.
        spin: whether its threads wait in a loop for work, which is faster where nothing else runs.
        keep: whether it keeps the memory of a run for the next one.
        gpu: number of the GPU that it runs on, see `vcm.device.gpu_of`; None: the processor.

    Raises:
        ModelError: if it is not a network that can be run, or the GPU cannot be used.
    """

    def __init__(
        self,
        model: Path | bytes,
        what: str,
        *,
        threads: int = 0,
        weights: Arrays | None = None,
        spin: bool = True,
        keep: bool = True,
        gpu: int | None = None,
    ):
        self._what = what
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # it warns of each weight that is listed among the inputs
        options.intra_op_num_threads = threads
        options.enable_cpu_mem_arena = keep
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
        source = model if isinstance(model, bytes) else str(model)
        try:  # its errors have no common base
            if weights:
                values = map(onnxruntime.OrtValue.ortvalue_from_numpy, weights.values())
                options.add_external_initializers(list(weights), list(values))
            self._session = onnxruntime.InferenceSession(source, options, providers=_providers(gpu))
        except Exception as error:
            raise ModelError(f"{what}: not a network that can be run: {_reason(error)}") from error
        if gpu is not None and self._session.get_providers()[0] != CUDA:  # it does not raise
            raise ModelError(f"{what}: onnxruntime cannot use GPU {gpu}; run it on the processor")
        self.inputs = {i.name: tuple(i.shape) for i in self._session.get_inputs()}
        self.card: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self.outputs = {o.name: tuple(o.shape) for o in self._session.get_outputs()}

    def run(self, inputs: Arrays, outputs: Sequence[str] | None = None) -> list[NDArray[Any]]:
        """Its results, all of them or the named ones.

        Raises:
            MemoryError: if it needs more than there is.
            ModelError: if it fails for another reason.
        """
        feed = {name: np.ascontiguousarray(value) for name, value in inputs.items()}
        with typed(self._what):
            results: list[NDArray[Any]] = self._session.run(outputs, feed)
        return results


def _providers(gpu: int | None) -> list[Any]:
    """What onnxruntime computes with, the first that it can use of each part of a network."""
    if gpu is None:
        return [CPU]
    # pictures have many sizes, and an exhaustive search is made again for each
    return [(CUDA, {"device_id": gpu, "cudnn_conv_algo_search": "HEURISTIC"}), CPU]


@contextmanager
def typed(what: str) -> Iterator[None]:
    """What onnxruntime raises while it runs, as errors that have types.

    Raises:
        MemoryError: if it needs more than there is.
        ModelError: if it fails for another reason.
    """
    try:
        yield
    except Exception as error:  # its errors have no common base
        if "allocate" in str(error):
            raise MemoryError(f"{what}: {_reason(error)}") from error
        raise ModelError(f"{what}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
