"""A demo to try, a browser to try it with, and a watch on what goes wrong in it.

Playwright's synchronous API keeps an event loop running for as long as it is open: here that is one module, whose
tests are none of them asynchronous, so that no other test notices.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.running import LIMIT_S, VIEWPORT, Demo, chromium, running


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One demo for all tests; each asks about a topic of its own."""
    with running(tmp_path_factory.mktemp("demo")) as found:
        yield found


@pytest.fixture
def own_demo(tmp_path: Path) -> Iterator[Demo]:
    """A demo for one test, to be stopped or upset."""
    with running(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def expected() -> list[str]:
    """Words from complaints in the browser's console that a test provokes on purpose."""
    return []


@pytest.fixture
def context(browser: Browser, expected: list[str]) -> Iterator[BrowserContext]:
    """A browser nobody used before, in which nothing goes wrong."""
    console: list[str] = []
    context = browser.new_context(viewport=VIEWPORT, locale="en-US", timezone_id="UTC", reduced_motion="reduce")
    context.set_default_timeout(LIMIT_S * 1000)
    context.on("console", lambda said: console.append(said.text) if said.type in ("error", "warning") else None)
    context.on("weberror", lambda raised: console.append(str(raised.error)))
    yield context
    context.close()
    assert [line for line in console if not any(words in line for words in expected)] == []


@pytest.fixture
def page(context: BrowserContext, demo: Demo) -> Page:
    """The page as it opens for the first time."""
    page = context.new_page()
    page.goto(demo.url)
    return page


@pytest.fixture
def own_page(own_demo: Demo, context: BrowserContext) -> Page:
    """The same, before the test's own demo; it is closed before the demo stops."""
    page = context.new_page()
    page.goto(own_demo.url)
    return page
