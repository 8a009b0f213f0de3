"""Pages in a headless Chromium: they may neither fail, nor say anything, nor ask for anything.

Playwright for Python drives it (`pip install playwright`); the browser is the system's, or Playwright's own.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

try:
    from playwright import sync_api
except ImportError:
    sync_api = None  # type: ignore[assignment]

NAMES = ("chromium", "chromium-browser", "google-chrome")
Show = Callable[[Path], Any]


def executable(play: Any) -> str | None:
    """The browser, if there is one."""
    found = next(filter(None, map(shutil.which, NAMES)), None) or play.chromium.executable_path
    return found if Path(found).exists() else None


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser, or None."""
    if sync_api is None:
        yield None
        return
    with sync_api.sync_playwright() as play:
        if (path := executable(play)) is None:
            yield None
            return
        short = {**os.environ, "TMPDIR": "/tmp"}  # the path of its socket may have 107 bytes
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"], env=short)
        yield browser
        browser.close()


@contextmanager
def quiet(browser: Any) -> Iterator[Show]:
    """Opens pages, and fails where one failed, said or asked for something."""
    trouble: list[str] = []

    def show(path: Path) -> Any:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("console", lambda message: trouble.append(message.text))
        page.on("dialog", lambda dialog: trouble.append("dialog"))
        page.on("request", lambda request: trouble.append(request.url) if request.url != path.as_uri() else None)
        page.goto(path.as_uri())
        return page

    yield show
    assert trouble == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The browser; a test that asks for it is skipped where there is none."""
    with chromium() as found:
        if found is None:
            pytest.skip("no Playwright, or no Chromium")
        yield found
