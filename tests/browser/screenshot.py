"""Draws docs/playground.png, the picture in the README: ``CHROMIUM=... python -m tests.browser.screenshot``."""

from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import expect

from tests.browser.running import ROOT, VIEWPORT, Demo, chromium
from tests.browser.steps import BEN, CHLOE, ask, be, button, message, open_thread, say_in_thread

PICTURE = ROOT / "docs" / "playground.png"


def main() -> None:
    with TemporaryDirectory() as folder, chromium() as browser:
        demo = Demo(Path(folder))
        demo.start()
        try:
            page = browser.new_page(viewport=VIEWPORT, locale="en-US", reduced_motion="reduce", color_scheme="light")
            page.goto(demo.url)
            thread = open_thread(ask(page, "/approve-draft AI safety"))
            be(page, BEN)
            say_in_thread(page, "Name an owner for each rule")
            expect(button(message(thread, "Version 2 of 3"), "Approve")).to_be_visible()
            be(page, CHLOE)
            page.get_by_test_id("thread-composer").focus()
            page.mouse.move(0, 0)
            PICTURE.parent.mkdir(exist_ok=True)
            page.screenshot(path=PICTURE, caret="hide", animations="disabled")
        finally:
            demo.stop()


if __name__ == "__main__":
    main()
