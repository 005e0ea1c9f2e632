"""Where else than in a channel people meet the bot: direct messages, App Home, the menu of a message."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.gallery import call
from tests.browser.running import Demo
from tests.browser.steps import ANA, CHLOE, be, message

pytestmark = pytest.mark.browser


def test_news_is_counted_where_it_is_for_one_alone(page: Page, demo: Demo) -> None:
    direct, general = page.get_by_test_id("channel-D1"), page.get_by_test_id("channel-C1")
    expect(page.get_by_test_id("composer")).to_be_focused()

    for text in ("One for Ana", "Two for Ana"):
        call(page.request, demo.url, "chat.postMessage", channel="D1", text=text)
    call(page.request, demo.url, "chat.postMessage", channel="C1", text="For all")
    call(page.request, demo.url, "chat.postMessage", channel="C1", text=f"For <@{ANA}>")

    expect(direct).to_have_accessible_name("Signoff 2 new messages")
    expect(general).to_have_accessible_name("general 1 new message")
    direct.click()
    expect(message(page, "Two for Ana")).to_be_visible()
    expect(direct).to_have_accessible_name("Signoff")


def test_the_switch_of_people_shows_who_was_written_to(page: Page, demo: Demo) -> None:
    chloe = page.get_by_test_id(f"person-{CHLOE}")
    expect(chloe).not_to_contain_text("has new messages")

    call(page.request, demo.url, "chat.postMessage", channel="D3", text="Chloe, please look")

    expect(chloe).to_contain_text("has new messages")
    be(page, CHLOE)
    page.get_by_test_id("channel-D3").click()
    expect(message(page, "Chloe, please look")).to_be_visible()
    be(page, ANA)
    expect(chloe).not_to_contain_text("has new messages")


def test_a_link_to_a_message_leads_there(page: Page, demo: Demo) -> None:
    question = call(page.request, demo.url, "chat.postMessage", channel="C1", text="The question itself")
    answer = call(page.request, demo.url, "chat.postMessage", channel="C1", text="Its reply", thread_ts=question["ts"])
    for name, ts in (("question", question["ts"]), ("reply", answer["ts"])):
        link = call(page.request, demo.url, "chat.getPermalink", channel="C1", message_ts=ts)["permalink"]
        call(page.request, demo.url, "chat.postMessage", channel="C2", text=f"<{link}|See the {name}>")

    page.get_by_role("link", name="See the question").click()
    expect(message(page, "The question itself")).to_be_focused()
    page.get_by_test_id("channel-C2").click()
    page.get_by_role("link", name="See the reply").click()
    expect(page.get_by_test_id("thread-pane").get_by_test_id("message").filter(has_text="Its reply")).to_be_focused()
