"""`vcm serve`: the page in a browser."""

import logging
import os
import signal
import socket
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from vcm.errors import MissingExtra, SpecError

_log = logging.getLogger(__name__)
LOOPBACK: Final = ("127.0.0.1", "localhost")


def run(
    host: str,
    port: int,
    model: str,
    weights: str,
    upload: int,
    browser: bool,
    say: Callable[[str], None],
    roi_backend: str = "embedded",
    roi_weights: str | None = None,
    device: str = "cpu",
) -> None:
    """Serve the page until it is stopped; uploads and results go with it.

    Args:
        model: task model that looks at the pictures.
        upload: largest file that is taken, in MiB.
        browser: whether to open one.
        say: is told the address.
        roi_backend, roi_weights: what turns words into a mask.
        device: of all networks, as `vcm.device.device_of` takes it.

    Raises:
        MissingExtra: if gradio is not installed.
        SpecError: if nothing can listen there, or a network cannot run on such a device.
        ModelError: if a model cannot be loaded.
    """
    if find_spec("gradio") is None:
        raise MissingExtra("gradio", "web")
    _free(host, port)
    if host not in LOOPBACK:
        _log.warning("anyone who can reach %s:%d can use this page, and this machine", host, port)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it cleans up as after Ctrl-C
    with tempfile.TemporaryDirectory(prefix="vcm-serve-") as folder:
        # gradio's default is one folder for all users of the machine, which stays
        os.environ["GRADIO_TEMP_DIR"] = folder
        from vcm.web.page import launch
        from vcm.web.studio import Studio

        studio = Studio(weights, model, roi_backend, roi_weights, device)
        say(f"http://{host}:{port} (Ctrl-C stops)")
        launch(studio, Path(folder), host, port, upload * 2**20, browser)


def _free(host: str, port: int) -> None:
    """Raise SpecError if nothing can listen there."""
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        raise SpecError(f"cannot listen on {host}:{port}: {error}", hint="port") from error
