"""Questions to several people over days, and with everything going wrong that the drawer offers."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.running import Demo, running
from tests.browser.steps import ANA, BEN, CHLOE, DAN, ask, be, button, drawer, message, note, open_thread, press, say

pytestmark = pytest.mark.browser

FLOWS = Path(__file__).parent / "flows"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo with workflows of this folder."""
    with running(tmp_path_factory.mktemp("demo"), FLOWS) as found:
        yield found


def vote(page: Page, person: str, asked: Locator, choice: str = "Approve") -> None:
    be(page, person)
    press(button(asked, choice))


# --- several people --------------------------------------------------------------------------------


def test_two_of_three_people_must_agree_and_one_person_counts_once(page: Page) -> None:
    asked = ask(page, "/vote Two must agree")
    expect(asked).to_contain_text("2 people must agree")

    vote(page, BEN, asked)
    expect(asked).to_contain_text("1 of 2 so far: @Ben Okoye")
    press(button(asked, "Approve"))
    expect(asked).to_contain_text("1 of 2 so far: @Ben Okoye")
    vote(page, CHLOE, asked)

    expect(asked).to_contain_text("Votes: @Ben Okoye")
    expect(button(asked, "Approve")).to_have_count(0)
    expect(asked).to_contain_text("Approved by @Chloe Roy")


def test_one_rejection_ends_a_vote(page: Page) -> None:
    asked = ask(page, "/vote One says no")
    vote(page, BEN, asked)

    vote(page, CHLOE, asked, "Reject")

    expect(asked).to_contain_text("Rejected by @Chloe Roy")


def test_an_outsider_is_told_alone_whom_to_ask(page: Page) -> None:
    asked = ask(page, "/vote Not for outsiders")

    vote(page, DAN, asked)

    refusal = note(page, "This question is not yours to answer. Please ask @Ana Ito, @Ben Okoye or @Chloe Roy")
    expect(refusal).to_be_visible()
    expect(asked).to_contain_text("2 people must agree")
    be(page, ANA)
    expect(refusal).to_have_count(0)


# --- time ------------------------------------------------------------------------------------------


def test_an_hour_later_people_are_reminded_and_two_days_later_it_is_too_late(own_flows: Demo, page_of: Page) -> None:
    page = page_of
    asked = ask(page, "/vote Nobody answers")

    button(drawer(page), "One hour later").click()
    expect(asked).to_contain_text("Still waiting: asked")
    for _ in range(2):
        button(drawer(page), "One day later").click()

    expect(asked).to_contain_text("Expired without an answer")
    expect(button(asked, "Approve")).to_have_count(0)


@pytest.fixture
def own_flows(tmp_path: Path) -> Iterator[Demo]:
    """A demo whose clock may be moved."""
    with running(tmp_path, FLOWS) as found:
        yield found


@pytest.fixture
def page_of(own_flows: Demo, page: Page) -> Page:
    page.goto(own_flows.url)
    return page


# --- the drawer ------------------------------------------------------------------------------------


def test_a_bot_restarted_from_the_drawer_still_knows_who_has_voted(page: Page) -> None:
    asked = ask(page, "/vote A restart between")
    vote(page, BEN, asked)
    expect(asked).to_contain_text("1 of 2 so far")

    button(drawer(page), "Restart the bot").click()
    expect(page.get_by_test_id("status")).to_contain_text("is restarting")
    expect(page.get_by_test_id("status")).to_contain_text("is connected")
    vote(page, CHLOE, asked)

    expect(asked).to_contain_text("Approved by @Chloe Roy")


def test_a_vote_delivered_twice_counts_once(page: Page) -> None:
    asked = ask(page, "/vote Everything twice")
    twice = drawer(page).get_by_label("Deliver twice")
    with page.expect_response("**/control/faults"):
        twice.check()

    vote(page, BEN, asked)

    expect(asked).to_contain_text("1 of 2 so far: @Ben Okoye")
    with page.expect_response("**/control/faults"):
        twice.uncheck()
    vote(page, CHLOE, asked)
    expect(asked).to_contain_text("Approved by @Chloe Roy")


def test_calls_that_slack_puts_off_are_made_again(page: Page) -> None:
    asked = ask(page, "/vote Too many requests for a while")
    field = drawer(page).get_by_label("Too many requests")
    with page.expect_response("**/control/faults"):
        field.fill("2")
        field.press("Enter")

    vote(page, BEN, asked, "Reject")

    expect(asked).to_contain_text("Rejected by @Ben Okoye")
    expect(field).to_have_value("0")


def test_whoever_cannot_be_looked_up_is_told_and_counts_the_second_time(page: Page) -> None:
    asked = ask(page, "/vote A server error")
    field = drawer(page).get_by_label("Server error")
    with page.expect_response("**/control/faults"):
        field.fill("1")
        field.press("Enter")

    vote(page, BEN, asked, "Reject")
    expect(page.get_by_text("could not be checked just now").last).to_be_visible()
    vote(page, BEN, asked, "Reject")

    expect(asked).to_contain_text("Rejected by @Ben Okoye")
    expect(field).to_have_value("0")


def test_at_slacks_own_pace_every_question_still_comes(page: Page) -> None:
    pace = drawer(page).get_by_label("Slack's own pace")
    with page.expect_response("**/control/faults"):
        pace.check()

    for number in range(5):
        page.get_by_test_id("composer").fill(f"/vote At a pace {number}")
        page.get_by_test_id("composer").press("Enter")
        expect(page.get_by_test_id("composer")).to_have_value("")

    for number in range(5):
        expect(message(page, f"At a pace {number}")).to_be_visible()
    with page.expect_response("**/control/faults"):
        pace.uncheck()


def test_the_inspector_shows_what_passed_in_both_directions(page: Page) -> None:
    ask(page, "/vote Seen from behind")
    drawer(page)
    inspector = page.get_by_test_id("inspector")
    expect(inspector).to_contain_text("Slack → bot")
    command = inspector.get_by_role("listitem").filter(has_text="/vote").last
    call = inspector.get_by_role("listitem").filter(has_text="chat.postMessage").last

    command.get_by_text("/vote").first.click()
    call.get_by_text("chat.postMessage").first.click()

    expect(command.get_by_label("Request")).to_contain_text("Seen from behind")
    expect(call.get_by_label("Request")).to_contain_text("Vote: Seen from behind")
    expect(call.get_by_label("Response")).to_contain_text(re.compile('"ok": true'))


# --- in private ------------------------------------------------------------------------------------


def test_a_question_asked_in_private_is_answered_there_and_closes_for_the_other(page: Page) -> None:
    say(page, "/in-private Pay rise")
    be(page, CHLOE)
    direct = page.get_by_test_id("channel-D3")
    expect(direct).to_have_accessible_name(re.compile(r"^Signoff \d+ new message"))
    direct.click()
    hers = message(page, "Between us: Pay rise")
    expect(button(hers, "Approve")).to_be_visible()

    be(page, BEN)
    press(button(message(page, "Between us: Pay rise"), "Approve"))

    be(page, CHLOE)
    expect(hers).to_contain_text("Approved by @Ben Okoye")
    expect(button(hers, "Approve")).to_have_count(0)
    page.get_by_test_id("channel-C2").click()
    expect(page.get_by_text("Between us")).to_have_count(0)


# --- forms -----------------------------------------------------------------------------------------


def test_what_a_form_may_not_say_stands_under_its_field_and_is_put_right_there(page: Page) -> None:
    asked = ask(page, "/release the engine", "Fill in")
    be(page, BEN)
    button(asked, "Fill in").click()
    modal = page.get_by_test_id("modal")
    name = modal.get_by_label("Name")
    expect(name).to_be_focused()
    name.fill("Release 1")
    modal.get_by_label("Day").fill("2027-03-01")
    modal.get_by_role("radio", name="Low").check()
    modal.get_by_label("Owner").select_option("Chloe Roy")

    button(modal, "Send").click()
    expect(name).to_have_accessible_description("There is a release of this name")
    expect(name).to_be_focused()
    name.fill("Release 2")
    page.keyboard.press("Control+Enter")

    expect(modal).to_have_count(0)
    expect(asked).to_contain_text("Filled in by @Ben Okoye")
    expect(open_thread(asked)).to_contain_text("Release 2 on 01.03.2027, risk low, 1 times")


# --- App Home --------------------------------------------------------------------------------------


def test_app_home_shows_what_waits_for_somebody_and_takes_their_answer(page: Page) -> None:
    asked = ask(page, "/vote At home")
    home = page.get_by_role("main")
    be(page, BEN)
    page.get_by_test_id("home-link").click()
    waits = home.locator(".block").filter(has_text="Vote: At home")
    expect(home.get_by_role("heading", name="Waiting for you")).to_be_visible()

    press(button(waits.locator("xpath=following-sibling::*[1]"), "Approve"))

    notice = page.get_by_test_id("modal")
    expect(notice).to_contain_text("Your answer is recorded: 1 of 2 so far")
    page.keyboard.press("Escape")
    expect(waits).to_have_count(0)
    be(page, ANA)
    expect(home.get_by_role("heading", name="What you have started")).to_be_visible()
    expect(waits.last).to_be_visible()
    page.get_by_test_id("channel-C2").click()
    expect(asked).to_contain_text("1 of 2 so far: @Ben Okoye")


def test_app_home_begins_at_its_top_and_a_channel_at_its_end(page: Page) -> None:
    """Also after a channel that was read to its end, and while Home is still being prepared."""
    page.set_viewport_size({"width": 1280, "height": 360})
    asked = ask(page, "/vote At the top")
    heading = page.get_by_role("main").get_by_role("heading", name="Waiting for you")

    page.get_by_test_id("home-link").click()

    expect(page.get_by_text("Vote: At the top").first).to_be_attached()
    expect(heading).to_be_in_viewport()
    be(page, BEN)
    expect(heading).to_be_in_viewport()
    page.get_by_test_id("channel-C2").click()
    expect(button(asked, "Approve")).to_be_in_viewport()


def test_on_a_narrow_page_escape_closes_the_menu_of_channels_and_people(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    menu = page.get_by_role("button", name="Channels and people")
    menu.press("Enter")
    expect(menu).to_have_attribute("aria-expanded", "true")
    be(page, BEN)

    page.keyboard.press("Escape")

    expect(page.get_by_test_id(f"person-{BEN}")).to_be_hidden()
    expect(menu).to_be_focused()
    expect(menu).to_have_attribute("aria-expanded", "false")
