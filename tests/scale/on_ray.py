"""The same work on a real Ray cluster: two workers of this machine, one of them killed.

Run by test_ray.py.
"""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from jobs import Doubling

from vcm.cli import main
from vcm.commands import eval as evaluation
from vcm.evaluate import run
from vcm.evaluate.record import to_json
from vcm.scale.cluster import LOOPBACK, SILENT
from vcm.scale.local import Processes
from vcm.scale.pools import pool_of
from vcm.scale.work import mapped

RAY = Path(sys.executable).with_name("ray")
CODECS = "vcm:at=30,jpeg:at=20"


@pytest.fixture(scope="module")
def environment():
    """A cluster that listens on the loopback interface, with a password; workers find our jobs."""
    own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    own |= {"PYTHONPATH": str(Path(__file__).parent)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (SILENT | LOOPBACK | own).items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def head(environment, tmp_path_factory):
    """The first process of a cluster of two processors, and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = tmp_path_factory.mktemp("r")  # short: sockets have short paths
    command = [RAY, "start", "--head", "--block", "--num-cpus", "2", "--port", str(port)]
    command += ["--include-dashboard", "false", "--temp-dir", place]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    yield process, _waited(process, f"127.0.0.1:{port}")
    process.terminate()
    process.wait()


def _waited(process, address):
    host, _, port = address.partition(":")
    while process.poll() is None:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return address
        except OSError:
            time.sleep(0.1)
    pytest.fail("ray start ended at once")


def test_what_a_killed_worker_had_is_done_again(head, tmp_path):
    log = tmp_path / "log"
    killed, results = [], {}
    for task, result in mapped(Doubling(log, 0.5), range(16), pool_of(None, head[1])):
        results[task] = result
        if not killed:
            begun = len(log.read_text().splitlines())
            while len(log.read_text().splitlines()) == begun:
                time.sleep(0.01)
            killed = log.read_text().splitlines()[begun].split()  # it has only just begun
            os.kill(int(killed[1]), signal.SIGKILL)
    assert results == {n: 2 * n for n in range(16)}
    asked = [line.split() for line in log.read_text().splitlines()]
    again = [pid for number, pid in asked if number == killed[0]]
    assert len(again) == 2 and again[1] != killed[1]
    assert len({pid for _, pid in asked}) >= 2


def test_a_command_that_lost_a_worker_writes_what_this_machine_writes(
    head, folder, tiny_weights, tmp_path
):
    common = ["encode", str(folder), "--effort", "2", "--ordered", "--weights", str(tiny_weights)]
    ours, rays = tmp_path / "ours", tmp_path / "rays"
    command = [sys.executable, "-m", "vcm", *common, "-o", str(rays), "--ray", head[1]]
    with subprocess.Popen(command) as child:
        while not list(rays.glob("*.vcm")):
            assert child.poll() is None
            time.sleep(0.01)
        workers = psutil.Process(head[0].pid).children(recursive=True)
        next(p for p in workers if p.name().startswith("ray::_in_worker")).kill()
        assert len(list(rays.glob("*.vcm"))) < 9
    assert child.returncode == 0
    with pytest.raises(SystemExit) as ended:
        main([*common, "-o", str(ours), "--workers", "1"])
    assert ended.value.code == 0
    files = [{p.name: p.read_bytes() for p in out.iterdir()} for out in (ours, rays)]
    assert len(files[0]) == 10 and files[0] == files[1]  # nine files, and the lines about them


def test_an_evaluation_is_the_same(head, folder, tiny_weights, tmp_path):
    options = evaluation.EvalOptions(
        task=None, text="cat", model="embedded", data=folder, only=None, photos=2, codecs=CODECS,
        roi="embedded", roi_weights=None, on_empty="whole", weights=str(tiny_weights),
        reference=None, workers=None, cache=None, no_cache=True, unchecked=True, wandb=None,
        perceptual=False, ray=head[1],
    )  # fmt: skip
    plan = evaluation.planned(options, lambda line: None)
    records = []
    for name, pool in (("local", Processes(1)), ("ray", pool_of(None, options.ray))):
        assert [d.error for d in run.measured(plan, tmp_path / name, pool)] == [None] * 2
        found = run.records(plan, tmp_path / name)
        assert len(found) == 2
        records.append(json.dumps({name: to_json(one) for name, one in found.items()}))
    assert records[0] == records[1]
    assert run.records(replace(plan, model="yolo:none"), tmp_path / "ray") == {}


def test_a_cluster_of_our_own(environment):
    pool = pool_of(1, "local")
    with pool as submit:
        assert pool.room == 3
        pid = submit(os.getpid).result()
        assert pid != os.getpid()
        ours = psutil.Process().children(recursive=True)
        for process in ours:
            for connection in process.net_connections("inet"):
                assert connection.laddr.ip in ("127.0.0.1", "::1", "::ffff:127.0.0.1"), process
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
