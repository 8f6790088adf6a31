"""Headless Chromium for tests of pages: WebGL in software, no network but this machine.

    from tests.browser import browser_page

    def test_page(tmp_path):
        with browser_page() as page:                     # skips where playwright or Chromium is not installed
            page.goto((tmp_path / "report.html").as_uri())
            assert page.title() == "..."

A test that must see every error of a page passes `errors=[]` and looks into the list afterwards.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

_PATIENCE = 120_000  # milliseconds
# No name but this machine's resolves, so a page that asks the network for something fails in tests.
_FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)


def chromium() -> str:
    """The path of Chromium (or Chrome); skips the test where there is none."""
    named = os.environ.get("VITRUVE_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not found or not os.path.exists(found):
        pytest.skip("no Chromium: apt install chromium, or set VITRUVE_CHROMIUM to its path")
    return found


@contextmanager
def browser_page(
    width: int = 1280, height: int = 800, dark: bool = False, errors: list[str] | None = None
) -> Iterator[Page]:
    """A page of a browser that lives as long as the block.

    Args:
        width, height: of the page in pixels.
        dark: say that the user prefers a dark page.
        errors: gets what the page prints as errors on its console, and its uncaught exceptions.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=list(_FLAGS), timeout=_PATIENCE)
        try:
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
            )
            # Software draws slowly where other tests run beside it; what is broken never comes.
            page.set_default_timeout(_PATIENCE)
            if errors is not None:
                page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
                page.on("pageerror", lambda error: errors.append(str(error)))
            yield page
        finally:
            browser.close()
