"""Each of Block Kit's elements in the page: filled in, refused, and reported as Slack reports it."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.gallery import FORM, Json, call, heard, put_up, show, words
from tests.browser.running import Demo
from tests.browser.steps import button, message, press

pytestmark = pytest.mark.browser


def form(page: Page, demo: Demo, text: str) -> Locator:
    """Open the form with one of every field, by the button of a message of its own."""
    put_up(page.request, demo.url, text)
    press(button(message(page, text), "Plan"))
    show(page.request, demo.url, "views.open", FORM)
    modal = page.get_by_test_id("modal")
    expect(modal.get_by_label("Title")).to_be_focused()
    return modal


def pick(modal: Locator, label: str, *names: str) -> None:
    modal.get_by_label(label).click()
    for name in names:
        modal.get_by_role("listbox").get_by_role("option", name=name, exact=True).click()
    modal.page.keyboard.press("Escape")


def fill_in(modal: Locator) -> None:
    modal.get_by_label("Title").fill("Release 12")
    modal.get_by_label("Notes").fill("First line\nSecond line")
    modal.get_by_label("Copies").fill("3")
    modal.get_by_label("Colour").select_option("Green")
    pick(modal, "Extras", "Red", "Blue")
    modal.get_by_role("radio", name="Small").check()
    modal.get_by_role("checkbox", name="Docs read").check()
    modal.get_by_label("Day").fill("2027-02-01")
    modal.get_by_label("Hour").fill("09:30")
    modal.get_by_label("Freeze from").fill("2027-02-01T10:00")
    modal.get_by_label("Owner").select_option("Ben Okoye")
    pick(modal, "Helpers", "Chloe Roy")


def test_long_text_is_folded_until_somebody_wants_it(page: Page, demo: Demo) -> None:
    text = {"type": "mrkdwn", "text": "word " * 300 + "in the end"}
    call(page.request, demo.url, "chat.postMessage", channel="C2", text="-", blocks=[{"type": "section", "text": text}])
    posted = message(page, "in the end")
    expect(button(posted, "See more")).to_be_visible()
    low = posted.bounding_box()

    button(posted, "See more").click()

    expect(button(posted, "See more")).to_have_count(0)
    high = posted.bounding_box()
    assert low is not None
    assert high is not None
    assert high["height"] > 2 * low["height"]


SHRINK_AND_GROW = """async (scroller) => {
  const last = [...scroller.querySelectorAll("[data-testid=message]")].at(-1);
  scroller.scrollTop -= 10;  // as a browser does when what is below takes less room
  last.style.paddingBottom = "300px";
  for (let n = 0; n < 3; n += 1) await new Promise(requestAnimationFrame);
  return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
}"""


def test_one_stays_at_the_end_when_a_message_shrinks_and_grows_at_once(page: Page, demo: Demo) -> None:
    for n in range(12):
        put_up(page.request, demo.url, f"One of many, {n}")
    expect(message(page, "One of many, 11")).to_be_visible()

    assert page.locator("#scroller").evaluate(SHRINK_AND_GROW) < 2


def test_each_field_is_reported_as_slack_reports_it(page: Page, demo: Demo) -> None:
    modal = form(page, demo, "Fill in everything")
    fill_in(modal)

    with page.expect_response("**/control/submit"):
        button(modal, "Send").click()

    values = heard(page.request, demo.url, "view_submission")["view"]["state"]["values"]
    chosen = {name: value for fields in values.values() for name, value in fields.items()}
    assert {name: reported(value) for name, value in chosen.items()} == {
        "title": "Release 12",
        "notes": "First line\nSecond line",
        "copies": "3",
        "colour": "green",
        "extras": ["red", "blue"],
        "size": "small",
        "checks": ["docs-read"],
        "day": "2027-02-01",
        "hour": "09:30",
        "moment": 1801476000,
        "owner": "U2",
        "helpers": ["U3"],
    }
    button(modal, "Close").last.click()


def reported(value: Json) -> object:
    """What was chosen, with an option's value for the option."""
    (found,) = (inner for name, inner in value.items() if name != "type")
    if isinstance(found, list):
        return [item["value"] if isinstance(item, dict) else item for item in found]
    return found["value"] if isinstance(found, dict) else found


def test_what_is_missing_or_wrong_is_said_under_its_field(page: Page, demo: Demo) -> None:
    modal = form(page, demo, "Fill in nothing")

    page.keyboard.press("Control+Enter")

    title = modal.get_by_label("Title")
    expect(modal.get_by_text("Please complete this required field.")).to_have_count(9)
    expect(title).to_be_focused()
    expect(title).to_have_attribute("aria-invalid", "true")
    expect(title).to_have_accessible_description("Please complete this required field.")
    fill_in(modal)
    modal.get_by_label("Copies").fill("12")
    button(modal, "Send").click()
    expect(modal.get_by_label("Copies")).to_have_accessible_description("Please enter 9 or less.")
    expect(modal.get_by_label("Copies")).to_be_focused()
    button(modal, "Cancel").click()
    expect(modal).to_have_count(0)


def test_no_more_can_be_chosen_than_are_allowed(page: Page, demo: Demo) -> None:
    modal = form(page, demo, "Choose two of three")

    modal.get_by_label("Extras").click()
    options = modal.get_by_role("listbox").get_by_role("option")
    options.filter(has_text="Red").click()
    options.filter(has_text="Green").click()

    blue = options.filter(has_text="Blue")
    expect(blue).to_be_disabled()
    page.keyboard.press("End")
    page.keyboard.press("Space")
    expect(blue).to_have_attribute("aria-selected", "false")
    page.keyboard.press("Escape")
    expect(modal.get_by_label("Extras")).to_have_text("Red, Green")
    button(modal, "Cancel").click()


def test_a_view_that_is_updated_keeps_what_was_typed(page: Page, demo: Demo) -> None:
    modal = form(page, demo, "An update meanwhile")
    modal.get_by_label("Title").press_sequentially("Half a ti")
    view = page.request.get(f"{demo.url}/control/state?user=U1").json()["view"]

    changed = {**FORM, "title": words("Still planning"), "blocks": FORM["blocks"][1:]}
    show(page.request, demo.url, "views.update", changed, view_id=view["id"])

    expect(modal.get_by_role("heading", name="Still planning")).to_be_visible()
    expect(modal.get_by_label("Title")).to_have_value("Half a ti")
    expect(modal.get_by_label("Title")).to_be_focused()
    page.keyboard.press("Escape")
    expect(modal).to_have_count(0)


def test_a_view_that_is_pushed_leads_back_to_the_one_below(page: Page, demo: Demo) -> None:
    modal = form(page, demo, "One above the other")
    modal.get_by_label("Title").fill("Release 13")
    press(button(modal, "Preview"))
    note = {"type": "section", "text": {"type": "mrkdwn", "text": "*Release 13*, as it will look"}}
    preview = {"type": "modal", "title": words("Preview"), "close": words("Back"), "blocks": [note]}

    show(page.request, demo.url, "views.push", preview)

    expect(modal).to_contain_text("as it will look")
    button(modal, "Back").click()
    expect(modal.get_by_label("Title")).to_have_value("Release 13")
    button(modal, "Cancel").click()
    expect(modal).to_have_count(0)


def test_a_menu_of_a_message_works_by_keyboard(page: Page, demo: Demo) -> None:
    put_up(page.request, demo.url, "A menu by keyboard")
    menu = button(message(page, "A menu by keyboard"), "More choices")
    menu.focus()

    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Reassign")).to_be_focused()
    page.keyboard.press("ArrowDown")
    with page.expect_response("**/control/action"):
        page.keyboard.press("Enter")

    expect(menu).to_be_focused()
    action = heard(page.request, demo.url, "block_actions")["actions"][0]
    assert (action["type"], action["selected_option"]["value"]) == ("overflow", "ask-for-more")
