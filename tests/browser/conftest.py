"""A runtime with an endpoint of each kind, and a browser that looks at its console."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.deployed import SPEED, Deployed
from tests.browser.visitor import PATIENCE_MS, Visitor
from tests.e2e.conftest import Runtime
from tools.chromium import NODE_MODULES, launch

Visit = Callable[..., Visitor]

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def chromium() -> None:
    """Tests that need a browser are skipped where none starts."""
    with sync_playwright() as playwright:
        started = launch(playwright)
        if isinstance(started, str):
            pytest.skip(started)
        started.close()


@pytest.fixture(scope="module")
def browser(chromium: None) -> Iterator[Browser]:
    """A Chromium without a window.

    No longer than a module: while Playwright is there, an event loop counts as running, and tests
    of others could not run theirs.
    """
    with sync_playwright() as playwright:
        started = launch(playwright)
        assert not isinstance(started, str), started
        yield started
        started.close()


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory, chromium: None) -> Iterator[Deployed]:
    """The runtime, and what is deployed to it. Without a browser nothing is started."""
    folder = tmp_path_factory.mktemp("runtime")
    runtime = Runtime(folder, keeps_state=False, arguments=["--speed", str(SPEED)])
    try:
        yield Deployed(runtime)
    finally:
        runtime.stop()


@pytest.fixture
def visit(browser: Browser, deployed: Deployed) -> Iterator[Visit]:
    """Open pages of the console; at the end, none of them has complained."""
    visitors: list[Visitor] = []

    def open_page(path: str = "", *, width: int = 1440, scheme: str = "light") -> Visitor:
        visitors.append(Visitor(browser, deployed.runtime.url, width=width, scheme=scheme))
        visitors[-1].go(path)
        return visitors[-1]

    yield open_page
    complaints = [complaint for visitor in visitors for complaint in visitor.complaints]
    for visitor in visitors:
        visitor.close()
    assert complaints == []


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    source = NODE_MODULES / "axe-core" / "axe.min.js"
    if not source.is_file():
        pytest.skip("axe-core is not installed: npm ci --prefix tests/browser")
    return Path(source).read_text()
