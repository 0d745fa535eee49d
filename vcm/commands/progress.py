"""How far long work is: a bar for people at a terminal, else a line a minute."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from threading import Event, Thread
from typing import Any, Final, TypeVar

import click

T = TypeVar("T")
EVERY: Final = 60.0  # seconds


def shown(items: Iterable[T], length: int | None, label: str) -> Iterator[T]:
    """The same items; standard error tells how many of them are through.

    Args:
        length: how many there are, if that is known.
    """
    if sys.stderr.isatty():
        with click.progressbar(items, length=length, label=label, file=sys.stderr) as bar:
            yield from bar
        return
    click.echo(label, err=True)
    with Ticker(label, length) as ticker:
        for done, item in enumerate(items):
            ticker.at(done)
            yield item


class Ticker:
    """Says once a minute how far the work is and how long it will take, by its pace since then.

    Args:
        label: of the work.
        total: of its parts, None: unknown.
        say: is told the line.
        every: seconds between two lines.
        clock: seconds that have passed.
    """

    def __init__(
        self,
        label: str,
        total: int | None,
        say: Callable[[str], None] = lambda line: click.echo(line, err=True),
        every: float = EVERY,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._label, self._total, self._say = label, total, say
        self._every, self._clock, self._stop = every, clock, Event()
        self._done: int | None = None
        self._last = (clock(), 0)
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Ticker":
        self._thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stop.set()
        self._thread.join()

    def at(self, done: int) -> None:
        """So many parts are done."""
        if self._done is None:  # what an earlier run did says nothing of the pace
            self._last = (self._clock(), done)
        self._done = done

    def line(self) -> str:
        """How far it is now."""
        done, now, (then, before) = self._done or 0, self._clock(), self._last
        self._last = (now, done)
        if self._total is None:
            return f"{self._label}: {done} so far"
        text = f"{self._label}: {done} of {self._total}"
        if done <= before:
            return text
        return f"{text}, {_duration((self._total - done) * (now - then) / (done - before))} left"

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self._say(self.line())


def _duration(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"
