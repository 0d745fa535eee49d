"""A browser of the system, without a window, for tests of pages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
QUIET: Final = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE: Final = 60_000  # milliseconds; a machine may be busy


@contextmanager
def launched() -> Iterator[Any]:
    """The browser as playwright drives it; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs: pip install playwright")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"needs a browser: one of {', '.join(BROWSERS)}")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=QUIET)
        playwright.expect.set_options(timeout=PATIENCE)
        yield browser
        browser.close()


def carried(page: Any, name: str, data: bytes) -> Any:
    """A file in the hand of a mouse, for the event "drop"."""
    return page.evaluate_handle(
        """([name, bytes]) => {
            const carried = new DataTransfer();
            carried.items.add(new File([new Uint8Array(bytes)], name));
            return carried;
        }""",
        [name, list(data)],
    )
