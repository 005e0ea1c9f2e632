"""App Home fits into a view of Slack's, whatever is asked, and offers no decision on what it does not show whole."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.asking.choices import Choice
from bot.asking.prompts import Prompt, question_of
from bot.languages import CATALOGUES, ENGLISH
from bot.playground.limits import problems_with_view, view_is_too_large
from bot.views.home_view import RECENT, STARTED_PAGE, WAITING_PAGE, Pages, Part, home_view
from bot.views.listing import LAST_PAGE, Row, Waiting
from tests.unit.bot.records import ASK, RUN

LINK = "https://x.slack.com/archives/C1/p175"


def row(prefix: str = "Ship it?", text: str = "v2", **prompt: Any) -> Row:
    question = question_of(Prompt(prefix=prefix, **{"choices": ["yes", "no"], **prompt}))
    return Row(RUN, "/deploy", text, LINK, (Waiting(ASK, question),))


def view(*asked: Row, more: bool = False, pages: Pages | None = None) -> dict[str, Any]:
    return home_view(Part(asked, more), Part(), [], pages or Pages())


def labels(found: dict[str, Any]) -> list[str]:
    blocks = [block for block in found["blocks"] if block["type"] == "actions"]
    return [button["text"]["text"] for block in blocks for button in block["elements"]]


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=3000), st.text(min_size=1, max_size=3000), st.sampled_from(sorted(CATALOGUES)))
def test_slack_takes_a_full_home_of_anything(text: str, prefix: str, language: str) -> None:
    wide = [Choice(f"c{n}", label=f"{n} {text[:60]}", confirm=f"Sure? {prefix}") for n in range(10)]
    for choices in (["yes", "no"], wide):
        one = row(prefix, text, choices=choices)
        over = replace(one, run=replace(RUN, status="done"), waits=())
        shown = home_view(
            Part([one] * WAITING_PAGE, more=True),
            Part([one] * STARTED_PAGE, more=True),
            [over] * RECENT,
            Pages(1, 1),
            words=CATALOGUES[language],
        )

        assert problems_with_view(shown, ("home",)) == []
        assert not view_is_too_large(shown)


def test_a_question_is_answered_below_itself() -> None:
    shown = view(row("Ship it?"), row("And that?"))

    kinds = [block["type"] for block in shown["blocks"][:7]]
    assert kinds == ["header", "section", "actions", "context", "section", "actions", "context"]
    assert labels(shown) == ["Yes", "No", "Yes", "No"]


def test_a_question_that_is_answered_here_says_whom_it_is_about() -> None:
    assert "About <@U7>" in json.dumps(view(row("Give access?", concerns=["U7"])))


@pytest.mark.parametrize("more", [{"prefix": "x" * 1501}, {"prefix": "Good?", "details": "And that, too."}])
def test_what_is_not_shown_whole_cannot_be_decided_here(more: dict[str, str]) -> None:
    shown = view(row(**more))

    assert labels(shown) == []
    assert ENGLISH.home_too_long in str(shown)
    assert LINK in str(shown)


def test_what_people_typed_stands_where_nothing_is_markup() -> None:
    shown = home_view(Part(), Part([row("<!here>?", "*bold* <!channel>")]), [], Pages())

    texts = [block["text"]["text"] for block in shown["blocks"] if block.get("text", {}).get("type") == "plain_text"]
    assert "/deploy *bold* <!channel>" in texts


def test_nothing_is_told_as_nothing() -> None:
    assert ENGLISH.home_nothing_waiting in str(view())
    assert ENGLISH.home_nothing_started in str(view())


def test_pages_lead_to_those_beside_them_and_keep_the_others() -> None:
    shown = view(row(), more=True, pages=Pages(2, 3))

    pressed = {
        (button["text"]["text"], button["value"])
        for block in shown["blocks"]
        if block.get("block_id", "").startswith("home.page")
        for button in block["elements"]
    }
    assert pressed == {("Newer", "1-3"), ("Older", "3-3"), ("Newer", "2-2")}


@pytest.mark.parametrize(
    ("text", "pages"),
    [("3-1", Pages(3, 1)), ("999-0", Pages(LAST_PAGE, 0)), ("", Pages()), ("-1-2", Pages()), ("1-2-3", Pages())],
)
def test_pages_are_read_from_what_was_written(text: str, pages: Pages) -> None:
    assert Pages.decode(text) == pages
    assert Pages.decode(pages.encode()) == pages
