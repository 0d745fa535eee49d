"""The same job for many tasks: few are in memory at a time, and a worker may be lost."""

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
    """What is done with every task. Hashable and picklable: it is sent along with each task."""

    def load(self) -> Callable[[T_contra], R_co]:
        """A function that does one task, with its models loaded; called once in each process."""


class Pool(Protocol):
    """A context manager for worker processes."""

    def __enter__(self) -> Submit:
        """A function that submits a function and its arguments to them."""

    def __exit__(self, kind: Any, error: Any, trace: Any, /) -> None:
        """Tasks that are not done are cancelled."""

    @property
    def room(self) -> int:
        """How many tasks may be running or waiting at a time."""


class Here:
    """No other process: each task is done here when it is submitted."""

    room = 1

    def __enter__(self) -> Submit:
        return _called

    def __exit__(self, kind: Any, error: Any, trace: Any, /) -> None:
        pass


class Entered:
    """The processes of an entered pool, kept for the next round of tasks."""

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
    """Every task with its result, or with the error why it failed.

    The results do not depend on the pool. Tasks are taken when there is room for them.

    Args:
        ordered: whether results come in the order of the tasks, not as they are done.

    Raises:
        VcmError: if the job cannot be loaded, so that every task would fail.
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
    """In a worker: load the job; returns the error if that fails."""
    try:
        _loaded(job)
    except VcmError as error:
        return error
    return None


def worked(job: Job[T, R], task: T) -> R | VcmError:
    """In a worker: do one task. Errors are returned, as pools differ in how they pass exceptions.

    A task that needs more memory than there is must not stop the others.
    """
    try:
        result: R = _loaded(job)(task)
    except VcmError as error:
        return error
    except (MemoryError, RuntimeError, cv2.error) as error:  # from Python, torch and OpenCV
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        return WorkerError("not enough memory for this one")
    return result


@lru_cache(maxsize=1)  # so that the models of an earlier job are freed
def _loaded(job: Job[Any, Any]) -> Callable[[Any], Any]:
    return job.load()


def _called(function: Callable[..., R], *arguments: Any) -> "Future[R]":
    future: Future[R] = Future()
    future.set_result(function(*arguments))
    return future
