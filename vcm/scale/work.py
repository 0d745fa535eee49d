"""The same work on many tasks: few at a time are in memory, and whoever does them may be lost."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import lru_cache
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

import cv2

from vcm.errors import VcmError, WorkerError

T = TypeVar("T")
R = TypeVar("R")
T_contra = TypeVar("T_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)
Submit = Callable[..., "Future[Any]"]  # of a function and its arguments


class Job(Hashable, Protocol[T_contra, R_co]):
    """What is done with every task. Hashable and picklable: it is sent along with each of them."""

    def load(self) -> Callable[[T_contra], R_co]:
        """The work, with every model that it needs; once for each process."""


class Pool(Protocol):
    """Processes that work, while it is entered."""

    def __enter__(self) -> Submit:
        """What gives them a function to call."""

    def __exit__(self, kind: Any, error: Any, trace: Any, /) -> None:
        """Whatever is not done by now is not done at all."""

    @property
    def room(self) -> int:
        """How many tasks may be under way or wait for their turn."""


class Here:
    """No process but this one: each task is done when it is submitted."""

    room = 1

    def __enter__(self) -> Submit:
        return _called

    def __exit__(self, kind: Any, error: Any, trace: Any, /) -> None:
        pass


class Entered:
    """Processes that stay after a round of tasks, for the next one."""

    def __init__(self, submit: Submit, room: int):
        self._submit, self.room = submit, room

    def __enter__(self) -> Submit:
        return self._submit

    def __exit__(self, kind: Any, error: Any, trace: Any, /) -> None:
        pass


@contextmanager
def kept(pool: Pool) -> Iterator[Pool]:
    """The pool, started once for several rounds of `mapped`."""
    with pool as submit:
        yield Entered(submit, pool.room)


def mapped(
    job: Job[T, R], tasks: Iterable[T], pool: Pool, ordered: bool = False
) -> Iterator[tuple[T, R | VcmError]]:
    """Every task with its result, or with why it failed.

    The results are the same whatever the pool. Tasks are taken as there is room for them.

    Args:
        ordered: as they come in, rather than as they get done.

    Raises:
        VcmError: if the job cannot be loaded: every task would fail alike.
    """
    with pool as submit:
        failure = submit(prepared, job).result()
        if failure is not None:
            raise failure
        waiting: dict[Future[Any], T] = {}
        done: SimpleQueue[Future[Any]] = SimpleQueue()

        def through() -> tuple[T, R | VcmError]:
            future = next(iter(waiting)) if ordered else done.get()
            return waiting.pop(future), future.result()

        for task in tasks:
            future = submit(worked, job, task)
            waiting[future] = task
            if not ordered:
                future.add_done_callback(done.put)
            while len(waiting) >= pool.room:
                yield through()
        while waiting:
            yield through()


def prepared(job: Job[T, R]) -> VcmError | None:
    """In a worker: load the job; the error if that fails."""
    try:
        _loaded(job)
    except VcmError as error:
        return error
    return None


def worked(job: Job[T, R], task: T) -> R | VcmError:
    """In a worker: do one task. An error is a result: pools differ in how they pass exceptions.

    One that needs more memory than there is must not stop the others.
    """
    try:
        result: R = _loaded(job)(task)
    except VcmError as error:
        return error
    except (MemoryError, RuntimeError, cv2.error) as error:  # by Python, torch and OpenCV
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        return WorkerError("not enough memory for this one")
    return result


@lru_cache(maxsize=1)  # the models of a job that is over take no memory
def _loaded(job: Job[Any, Any]) -> Callable[[Any], Any]:
    return job.load()


def _called(function: Callable[..., R], *arguments: Any) -> "Future[R]":
    future: Future[R] = Future()
    future.set_result(function(*arguments))
    return future
