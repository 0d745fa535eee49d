"""`vcm serve`: the page in a browser."""

import logging
import socket
from collections.abc import Callable
from typing import Final

from vcm.errors import MissingExtra, SpecError
from vcm.web.studio import Studio

_log = logging.getLogger(__name__)
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
WAITING: Final = 64  # requests in the queue; more are refused with a sentence


def run(
    host: str,
    port: int,
    model: str | None,
    weights: str,
    upload: int,
    browser: bool,
    say: Callable[[str], None],
) -> None:
    """Serve the page until it is stopped.

    Args:
        model: task model whose objects are drawn, or None.
        upload: largest file that is taken, in MiB.
        browser: whether to open one.
        say: is told the address.

    Raises:
        MissingExtra: if gradio is not installed.
        SpecError: if nothing can listen there.
        ModelError: if a model cannot be loaded.
    """
    try:
        from vcm.web.page import CSS, page, theme
    except ImportError as error:
        raise MissingExtra("gradio", "web") from error
    _free(host, port)
    if host not in LOOPBACK:
        _log.warning("whoever reaches %s:%d can use this page and this machine's time", host, port)
    blocks = page(Studio(weights, model), model).queue(max_size=WAITING)
    say(f"http://{host}:{port} (Ctrl-C stops)")
    blocks.launch(
        server_name=host,
        server_port=port,
        inbrowser=browser,
        max_file_size=f"{upload}mb",
        theme=theme(),
        css=CSS,
        footer_links=[],
        ssr_mode=False,  # it would need node
        show_error=True,
        quiet=True,
    )


def _free(host: str, port: int) -> None:
    """Raise SpecError if nothing can listen there."""
    try:
        with socket.create_server((host, port)):
            pass
    except (OSError, OverflowError) as error:
        raise SpecError(f"cannot listen on {host}:{port}: {error}; try another --port") from error
