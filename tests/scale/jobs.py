"""Jobs for tests: what they do can be counted, and takes a while."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vcm.commands import batch
from vcm.errors import ImageError, ModelError


@dataclass(frozen=True)
class Doubling:
    """Twice the number; notes who was asked for what, takes its time, refuses negative numbers."""

    log: Path
    seconds: float = 0.0

    def load(self) -> Callable[[int], int]:
        def work(number: int) -> int:
            with self.log.open("a") as log:
                log.write(f"{number} {os.getpid()}\n")
            time.sleep(self.seconds)
            if number < 0:
                raise ImageError(f"{number} is negative")
            return 2 * number

        return work


@dataclass(frozen=True)
class Broken:
    """Cannot be loaded."""

    def load(self) -> Callable[[int], int]:
        raise ModelError("no such weights")


@dataclass(frozen=True)
class Copying:
    """The "file" of a picture is its bytes and the options; pictures that hold "bad" fail."""

    options: str

    def load(self) -> Callable[[batch.Item], batch.Made]:
        def work(item: batch.Item) -> batch.Made:
            if b"bad" in item.data:
                raise ImageError("bad")
            return batch.Made(item.data + self.options.encode(), {"bpp": 1.0, "roi": "none"})

        return work


@dataclass(frozen=True)
class Never:
    """A job that must not be given any work."""

    def load(self) -> Callable[[batch.Item], batch.Made]:
        def work(item: batch.Item) -> batch.Made:
            raise AssertionError(item.where)

        return work


@dataclass(frozen=True)
class Hungry:
    """A job that asks for more memory than there is."""

    def load(self):
        import cv2
        import numpy as np
        import torch

        ways = {
            "numpy": lambda: np.empty(2**60, np.uint8),
            "torch": lambda: torch.empty(2**60, dtype=torch.uint8),
            "cv2": lambda: cv2.resize(np.zeros((1, 1), np.uint8), (2**30, 2**30)),
        }

        def work(task):
            ways.get(task, str)()
            return task

        return work
