"""What a newcomer does in the playground, with real clicks and keys."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.running import Demo
from tests.browser.steps import BEN, CHLOE, ask, be, button, lose_calls, message, note, open_thread, say, say_in_thread

pytestmark = pytest.mark.browser


# --- from the command to the result ------------------------------------------------------------


def test_a_draft_gets_feedback_in_its_thread_and_somebody_else_approves_version_two(page: Page) -> None:
    thread = open_thread(ask(page, "/approve-draft AI safety"))

    say_in_thread(page, "Name an owner for each rule")
    second = message(thread, "Version 2 of 3: AI safety")
    expect(second).to_contain_text("Name an owner for each rule")
    be(page, BEN)
    button(second, "Approve").click()

    expect(second).to_contain_text("Approved by @Ben Okoye")
    expect(button(second, "Approve")).to_have_count(0)
    expect(thread).to_contain_text("Status: approved")
    expect(note(thread, "Thank you")).to_be_visible()


def test_feedback_through_the_modal_brings_version_two(page: Page) -> None:
    first = ask(page, "/approve-draft Modal feedback")
    be(page, CHLOE)
    button(first, "Give feedback").click()

    page.get_by_test_id("modal").get_by_role("textbox").fill("Shorter, please")
    button(page.get_by_test_id("modal"), "Send").click()

    expect(first).to_contain_text("Sent back with feedback by @Chloe Roy")
    expect(first.get_by_role("blockquote")).to_have_text("Shorter, please")
    expect(message(open_thread(first), "Version 2 of 3: Modal feedback")).to_contain_text("Shorter, please")


def test_a_draft_is_edited_before_it_is_approved(page: Page) -> None:
    first = ask(page, "/approve-draft Own words")
    button(first, "Edit and approve").click()
    modal = page.get_by_test_id("modal")
    text = modal.get_by_role("textbox")
    expect(text).to_have_value(re.compile("Own words: what this is"))

    text.fill(" ")
    page.keyboard.press("Control+Enter")
    expect(text).to_have_accessible_description(re.compile("Please complete this required field|Please fill this in"))
    text.fill("What we really mean.")
    page.keyboard.press("Control+Enter")

    expect(first).to_contain_text("Approved by @Ana Ito")
    expect(first).to_contain_text("What we really mean.")
    expect(open_thread(first)).to_contain_text("What we really mean.")


def test_escape_closes_a_modal_and_answers_nothing(page: Page) -> None:
    first = ask(page, "/approve-draft Second thoughts")
    button(first, "Give feedback").click()
    expect(page.get_by_test_id("modal").get_by_role("textbox")).to_be_focused()

    page.keyboard.press("Escape")

    expect(page.get_by_test_id("modal")).to_have_count(0)
    expect(button(first, "Give feedback")).to_be_focused()
    page.reload()
    expect(button(message(page, "Version 1 of 3: Second thoughts"), "Approve")).to_be_visible()


@pytest.mark.parametrize("reload", [False, True])
def test_after_a_modal_one_types_on_where_one_was(page: Page, reload: bool) -> None:
    say(page, "/approve-draft")
    expect(page.get_by_test_id("modal").get_by_role("textbox")).to_be_focused()
    if reload:  # the modal is open again, over a page in which nothing was focused
        page.reload()
        expect(page.get_by_test_id("modal").get_by_role("textbox")).to_be_focused()

    page.keyboard.press("Escape")

    expect(page.get_by_test_id("composer")).to_be_focused()
    page.keyboard.type("hello")
    expect(page.get_by_test_id("composer")).to_have_value("hello")


def test_whoever_clicks_second_is_told_privately_who_was_first(own_page: Page, own_demo: Demo) -> None:
    page = own_page
    first = ask(page, "/approve-draft Two at once")
    lose_calls(page, 99)  # the message keeps its buttons, since the bot's update does not get through
    button(first, "Approve").click()
    expect(note(page, "Thank you, this is now approved")).to_be_visible()
    late = page.context.new_page()
    late.goto(f"{own_demo.url}/#/{BEN}/C2")

    button(message(late, "Version 1 of 3: Two at once"), "Reject").click()

    expect(note(late, "already approved by @Ana Ito, today at")).to_be_visible()
    lose_calls(page, 0)
    expect(first).to_contain_text("Approved by @Ana Ito")
    expect(page.get_by_text("already approved")).to_have_count(0)


def test_a_message_is_sent_for_approval_from_its_menu(page: Page) -> None:
    say(page, "Let us paint the office green")
    written = message(page, "Let us paint the office green")
    written.hover()
    button(written, "More actions").click()

    page.get_by_role("menuitem", name="Send for approval").click()

    expect(button(message(page, "Version 1 of 3").filter(has_text="paint the office"), "Approve")).to_be_visible()


# --- the keyboard ------------------------------------------------------------------------------


def test_the_keyboard_alone_leads_from_the_first_load_to_an_approval(page: Page) -> None:
    expect(page.get_by_test_id("composer")).to_be_focused()
    page.keyboard.type("/approve-draft Keys only")
    page.keyboard.press("Enter")
    first = message(page, "Version 1 of 3: Keys only")
    expect(button(first, "Approve")).to_be_visible()

    page.keyboard.press("ArrowUp")
    expect(first).to_be_focused()
    page.keyboard.press("Tab")
    expect(button(first, "Approve")).to_be_focused()
    page.keyboard.press("Enter")

    expect(first).to_contain_text("Approved by @Ana Ito")


def test_slash_commands_complete_and_one_without_its_topic_asks_for_it(page: Page) -> None:
    composer = page.get_by_test_id("composer")
    composer.press_sequentially("/approve-dr")
    expect(page.get_by_role("option", name="/approve-draft")).to_be_visible()
    composer.press("Tab")
    expect(composer).to_have_value("/approve-draft ")

    composer.press("Enter")

    modal = page.get_by_test_id("modal")
    expect(modal.get_by_role("heading", name="/approve-draft")).to_be_visible()
    expect(modal.get_by_role("textbox")).to_be_focused()
    page.keyboard.type("A topic from a form")
    page.keyboard.press("Control+Enter")
    expect(button(message(page, "Version 1 of 3: A topic from a form"), "Approve")).to_be_visible()


def test_a_command_whose_modal_slack_does_not_open_is_refused_privately(page: Page) -> None:
    lose_calls(page, 1)
    page.get_by_test_id("composer").press_sequentially("/approve-draft ")

    page.get_by_test_id("composer").press("Enter")

    refused = note(page, "/approve-draft needs some text")
    expect(refused).to_be_visible()
    be(page, BEN)
    expect(refused).to_have_count(0)


# --- what breaks -------------------------------------------------------------------------------


def test_a_bot_killed_between_question_and_click_goes_on_with_the_answer(page: Page, demo: Demo) -> None:
    first = ask(page, "/approve-draft A crash")
    demo.kill_bot()

    button(first, "Approve").click()

    expect(first).to_contain_text("Approved by @Ana Ito")
    expect(open_thread(first)).to_contain_text("Status: approved")


def test_a_restarted_demo_still_has_its_messages_and_takes_the_answer(
    own_page: Page, own_demo: Demo, expected: list[str]
) -> None:
    page = own_page
    expected.append("net::ERR_")  # while nothing is there to answer
    thread = open_thread(ask(page, "/approve-draft A new day"))
    say_in_thread(page, "Not yet")
    second = message(thread, "Version 2 of 3: A new day")
    expect(button(second, "Approve")).to_be_visible()

    own_demo.stop()
    expect(page.get_by_test_id("status")).to_have_text(re.compile("Reconnecting"))
    own_demo.start()

    expect(page.get_by_test_id("status")).to_have_text(re.compile("is connected"))
    expect(message(thread, "Not yet").first).to_be_visible()
    button(second, "Approve").click()
    expect(second).to_contain_text("Approved by @Ana Ito")
    expect(thread).to_contain_text("Status: approved")
