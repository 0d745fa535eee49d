"""The decoder without torch under the name that it had first: its place is `runtime.onnx`."""

from vcm.codec.runtime.onnx import OnnxDecoder

__all__ = ["OnnxDecoder"]
