"""What axe-core says about each part of the page, in light and in dark: nothing serious, nothing critical."""

from importlib.resources import files
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.browser.gallery import FORM, HOME, call, put_up, show
from tests.browser.running import Demo
from tests.browser.steps import ask, button, message, note, open_thread, press, say_in_thread

pytestmark = pytest.mark.browser

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
Scheme = Literal["light", "dark"]


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> Scheme:
    found: Scheme = request.param
    return found


@pytest.fixture
def look(scheme: Scheme, page: Page) -> Page:
    """The page in those colours."""
    page.emulate_media(color_scheme=scheme)
    expect(page.get_by_test_id("composer")).to_be_visible()
    return page


def complaints(page: Page) -> list[str]:
    """The rules that are broken seriously or worse, each with where."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    grave = [rule for rule in found if rule["impact"] in ("serious", "critical")]
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in grave for node in rule["nodes"]]


def test_a_channel_nobody_wrote_in(look: Page) -> None:
    look.get_by_test_id("channel-C1").click()
    expect(look.get_by_role("heading", name="A practice Slack")).to_be_visible()

    assert complaints(look) == []


def test_a_channel_with_an_answer_a_note_and_a_menu(look: Page, demo: Demo, scheme: Scheme) -> None:
    asked = ask(look, f"/approve-draft What axe sees in {scheme}")
    button(asked, "Approve").click()
    expect(note(look, "Thank you").last).to_be_visible()
    put_up(look.request, demo.url, f"Gallery in {scheme}")
    button(message(look, f"Gallery in {scheme}"), "More choices").click()
    expect(look.get_by_role("menuitem", name="Reassign")).to_be_visible()

    assert complaints(look) == []


def test_a_thread_with_a_reply(look: Page, scheme: Scheme) -> None:
    thread = open_thread(ask(look, f"/approve-draft A thread in {scheme}"))
    say_in_thread(look, "Shorter")
    expect(button(message(thread, "Version 2"), "Approve")).to_be_visible()

    assert complaints(look) == []


def test_a_form_with_every_field_and_its_errors(look: Page, demo: Demo, scheme: Scheme) -> None:
    put_up(look.request, demo.url, f"A form in {scheme}")
    press(button(message(look, f"A form in {scheme}"), "Plan"))
    show(look.request, demo.url, "views.open", FORM)
    modal = look.get_by_test_id("modal")
    button(modal, "Send").click()
    expect(modal.get_by_text("Please complete this required field.").first).to_be_visible()
    with_errors = complaints(look)
    modal.get_by_label("Extras").click()
    expect(look.get_by_role("option", name="Green").last).to_be_visible()
    with_a_list = complaints(look)
    look.keyboard.press("Escape")
    button(modal, "Cancel").click()
    expect(modal).to_have_count(0)

    assert with_errors == []
    assert with_a_list == []


def test_app_home(look: Page, demo: Demo, scheme: Scheme) -> None:
    ask(look, f"/approve-draft Home in {scheme}")
    look.get_by_test_id("home-link").click()
    expect(look.get_by_text(f"/approve-draft Home in {scheme}")).to_be_visible()  # no other one is on its way any more
    call(look.request, demo.url, "views.publish", user_id="U1", view=HOME)
    expect(look.get_by_role("heading", name="Waiting for you")).to_be_visible()

    assert complaints(look) == []


def test_behind_the_scenes(look: Page, scheme: Scheme) -> None:
    ask(look, f"/approve-draft What passes between them in {scheme}")
    look.get_by_test_id("behind-toggle").click()
    look.get_by_test_id("inspector").get_by_text("/approve-draft").last.click()
    expect(look.get_by_label("Request", exact=True).last).to_be_visible()

    assert complaints(look) == []
