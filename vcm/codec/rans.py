"""The rANS coder (CompressAI's, in C++), reading integer tables."""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from vcm.codec.tables import Tables
from vcm.errors import ModelError


def _extension() -> ModuleType:
    """CompressAI's coder alone: importing the whole package takes longer than decoding a picture."""
    name = "compressai.ans"
    if name not in sys.modules:
        package = importlib.util.find_spec("compressai")
        folders = (package and package.submodule_search_locations) or []
        names = [f"ans{suffix}" for suffix in importlib.machinery.EXTENSION_SUFFIXES]
        found = [Path(f) / n for f in folders for n in names if (Path(f) / n).is_file()]
        if not found:
            raise ModelError("compressai's coder is missing; get it with: pip install compressai")
        spec = importlib.util.spec_from_file_location(name, found[0])
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module  # a later `import compressai` finds it there
    return sys.modules[name]


class Coder:
    """rANS over fixed tables. Symbols go in and come out in the same order."""

    def __init__(self, tables: Tables):
        # The C++ coder takes lists: built once here, not at each call.
        self.length: list[int] = tables.length.tolist()
        self.offset: list[int] = tables.offset.tolist()
        rows = zip(tables.cdf.tolist(), self.length, strict=True)
        self.cdf: list[list[int]] = [row[:n] for row, n in rows]

    def encode(self, parts: list[tuple[NDArray[np.int32], NDArray[np.int32]]]) -> bytes:
        """The string of (symbols, table rows) pairs, each (n,) int32, in order."""
        encoder = _extension().BufferedRansEncoder()
        for symbols, rows in parts:
            encoder.encode_with_indexes(
                symbols.tolist(), rows.tolist(), self.cdf, self.length, self.offset
            )
        data: bytes = encoder.flush()
        return data

    def reader(self, data: bytes, most: int) -> "Reader":
        """A reader of what `encode` wrote; `most`: the largest number of symbols to be read."""
        return Reader(self, data, most)


class Reader:
    """Gives symbols back, part by part."""

    def __init__(self, coder: Coder, data: bytes, most: int):
        self._coder = coder
        self._decoder = _extension().RansDecoder()
        # The C++ decoder does not know where its data end. A forged string can make it ask for
        # more; a zero word ends every escape, so this much padding is never passed.
        self._decoder.set_stream(data + bytes(8 * most + 64))

    def read(self, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """The next symbols, one for each table row: (n,) int32."""
        c = self._coder
        symbols = self._decoder.decode_stream(rows.tolist(), c.cdf, c.length, c.offset)
        return np.asarray(symbols, np.int32)
