"""What `vcm serve` refuses before it serves."""

import socket
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from vcm.cli import cli
from vcm.errors import MissingExtra, SpecError
from vcm.web import serve

ASKED = {"model": "embedded", "weights": "base", "upload": 1, "browser": False, "say": print}


def test_a_port_in_use_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SpecError, match=f"127.0.0.1:{port}") as caught:
            serve.run("127.0.0.1", port, **ASKED)
    assert caught.value.hint == "port"


def test_a_host_that_cannot_be_is_an_error():
    with pytest.raises(SpecError, match="cannot listen"):
        serve.run("no such host", 7860, **ASKED)


@pytest.mark.parametrize("option", ["--port=99999", "--upload=0"])
def test_an_option_out_of_range_is_an_error(option):
    assert CliRunner().invoke(cli, ["serve", option]).exit_code == 2


def test_without_gradio_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(MissingExtra, match=r"vcm\[web\]"):
        serve.run("127.0.0.1", 7860, **ASKED)


def test_its_extra_has_what_the_task_tab_needs():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert "vcm[eval]" in project["optional-dependencies"]["web"]


def test_it_listens_on_loopback_unless_told():
    (host,) = (p for p in cli.commands["serve"].params if p.name == "host")
    assert host.default == "127.0.0.1" in serve.LOOPBACK
