"""Worker processes: the same results in any number, errors as results, bounded memory."""

import os
import signal

import pytest
from jobs import Broken, Doubling, Hungry

from vcm.errors import ImageError, ModelError, SpecError, WorkerError
from vcm.scale.local import Processes
from vcm.scale.pools import pool_of
from vcm.scale.work import Here, kept, mapped


@pytest.fixture(scope="module")
def two():
    """Two worker processes that stay for the next test: each takes seconds to start."""
    with kept(Processes(2)) as pool:
        yield pool


@pytest.fixture(params=["here", "two"])
def pool(request, two):
    return Here() if request.param == "here" else two


def test_every_task_has_its_result_and_few_are_taken_ahead(pool, tmp_path):
    taken = []

    def tasks():
        for number in (3, -1, 4, 1, 5, 9, 2, 6):
            taken.append(number)
            yield number

    results = {}
    for task, result in mapped(Doubling(tmp_path / "log"), tasks(), pool):
        results[task] = result
        assert len(taken) <= len(results) + pool.room
    assert isinstance(results.pop(-1), ImageError)
    assert results == {n: 2 * n for n in (3, 4, 1, 5, 9, 2, 6)}


def test_in_order_if_wanted(pool, tmp_path):
    done = mapped(Doubling(tmp_path / "log"), range(20), pool, ordered=True)
    assert list(done) == [(n, 2 * n) for n in range(20)]


def test_a_job_that_cannot_be_loaded_stops_at_once(two):
    with pytest.raises(ModelError, match="no such weights"):
        list(mapped(Broken(), range(3), two))


def test_a_worker_that_dies_is_said(tmp_path):
    log = tmp_path / "log"
    with pytest.raises(WorkerError, match="a worker process died"):
        for count, _ in enumerate(mapped(Doubling(log, 0.3), range(20), Processes(1))):
            if count == 0:
                os.kill(int(log.read_text().split()[-1]), signal.SIGKILL)


def test_numbers_of_workers_that_cannot_be():
    for workers, ray in (
        (0, None),
        (2, "auto"),
        (0, "local"),
        (None, "nowhere"),
        (None, "h:99999"),
    ):
        with (
            pytest.raises(SpecError, match="workers: expected 1|Ray cluster"),
            pool_of(workers, ray),
        ):
            pass


def test_what_needs_too_much_memory_stops_nothing(two):
    results = dict(mapped(Hungry(), ("numpy", "torch", "cv2", "little"), two))
    assert results.pop("little") == "little"
    assert all(isinstance(error, WorkerError) for error in results.values())
