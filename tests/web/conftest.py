"""The server of `vcm serve` that the tests of its page share."""

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

TRIES = 120  # of a second each


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """Of a server; it must end well, and leave nothing of what was uploaded."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("serve")
    command = [sys.executable, "-m", "vcm", "serve", "--port", str(port), "--no-browser"]
    command += ["--upload", "1"]
    environment = os.environ | {"TMPDIR": str(folder)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout.readline().startswith(f"http://127.0.0.1:{port}")
            _wait_for(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            code = server.wait(60)
    assert code == 0
    assert not list(folder.glob("vcm-serve-*"))


def _wait_for(port, server):
    for _ in range(TRIES):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=10):
                return
        except urllib.error.URLError:
            with pytest.raises(subprocess.TimeoutExpired):  # it must still run
                server.wait(1)
    raise AssertionError("the server does not answer")
