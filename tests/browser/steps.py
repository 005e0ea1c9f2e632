"""What people do in the playground and what they look for, in the page's own terms."""

from playwright.sync_api import Locator, Page, expect

ANA, BEN, CHLOE, DAN, MIA = "U1", "U2", "U3", "U4", "U5"


def say(page: Page, line: str) -> None:
    """Type a message or a command into the channel and send it with Enter."""
    composer = page.get_by_test_id("composer")
    composer.press_sequentially(line)
    composer.press("Enter")


def ask(page: Page, line: str, answer: str = "Approve") -> Locator:
    """Send a command and return the question it leads to, which has a button called *answer*."""
    say(page, line)
    asked = message(page, line.partition(" ")[2])
    expect(button(asked, answer)).to_be_visible()
    return asked


def open_thread(asked: Locator) -> Locator:
    asked.hover()
    button(asked, "Reply in thread").click()
    return asked.page.get_by_test_id("thread-pane")


def say_in_thread(page: Page, text: str) -> None:
    composer = page.get_by_test_id("thread-composer")
    composer.press_sequentially(text)
    composer.press("Enter")


def be(page: Page, person: str) -> None:
    page.get_by_test_id(f"person-{person}").click()
    expect(page.get_by_test_id(f"person-{person}")).to_be_checked()


def drawer(page: Page) -> Locator:
    """What can be made to go wrong, behind the scenes."""
    if page.get_by_test_id("faults").is_hidden():
        page.get_by_test_id("behind-toggle").click()
    return page.get_by_test_id("faults")


def lose_calls(page: Page, count: int) -> None:
    """Have Slack refuse that many of the bot's next calls."""
    field = drawer(page).get_by_label("Too many requests")
    with page.expect_response("**/control/faults"):
        field.fill(str(count))
        field.press("Enter")


def press(control: Locator) -> None:
    """Click, and wait until the bot has heard of it."""
    with control.page.expect_response("**/control/action"):
        control.click()


def message(where: Page | Locator, text: str) -> Locator:
    """The message in the channel, or in a thread, that has *text*."""
    inside = where.get_by_role("list", name="Messages") if isinstance(where, Page) else where
    return inside.get_by_test_id("message").filter(has_text=text)


def note(where: Page | Locator, text: str) -> Locator:
    """What only this person was told."""
    return where.get_by_test_id("message").filter(has_text="Only visible to you").filter(has_text=text)


def button(where: Locator, name: str) -> Locator:
    return where.get_by_role("button", name=name, exact=True)
