"""What ``/runs`` shows: whatever was typed and asked, Slack takes it and nothing in it is markup."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.asking.prompts import Prompt, question_of
from bot.languages import CATALOGUES, ENGLISH, Catalogue
from bot.playground.limits import problems_with_blocks, too_long_together
from bot.views.listing import LAST_PAGE, PAGE, Row, Waiting, cancel_card, run_card, run_list
from tests.unit.bot.records import ASK, RUN


def row(text: str = "v2", *waits: Waiting, **run: Any) -> Row:
    return Row(replace(RUN, **run), "/deploy", text, "https://x.slack.com/archives/C1/p175", waits)


def waits(prefix: str = "Ship v2?") -> Waiting:
    return Waiting(ASK, question_of(Prompt(prefix=prefix, choices=["ship"])))


def check(blocks: list[dict[str, Any]]) -> None:
    assert problems_with_blocks(blocks) == []
    assert not too_long_together(blocks)


@given(st.text(max_size=4000), st.text(min_size=1, max_size=4000), st.sampled_from(sorted(CATALOGUES)))
def test_slack_takes_a_full_page_of_anything(text: str, prefix: str, language: str) -> None:
    words = CATALOGUES[language]
    rows = [row(text, waits(prefix), waits(prefix), waits(prefix), waits(prefix))] * PAGE

    check(run_list(rows, 3, more=True, headline="Cancelled: that", words=words).blocks)
    check(run_card(rows[0], words=words).blocks)
    check(cancel_card(rows[0], words=words).blocks)


def test_what_people_typed_stands_where_nothing_is_markup() -> None:
    shown = run_list([row("<!channel> *bold* `code`", waits("<!here> is it?"))], 0, more=False).blocks

    title = next(block for block in shown if "accessory" in block)
    question = shown[-1]["elements"][-1]
    assert title["text"] == {"type": "plain_text", "text": "1. /deploy <!channel> *bold* `code`", "emoji": True}
    assert question == {"type": "plain_text", "text": "<!here> is it?", "emoji": True}


def test_what_a_run_waits_for_names_people_votes_and_deadline() -> None:
    told = run_card(row("v2", waits())).blocks[2]["elements"][0]["text"]

    assert told.startswith("Waiting for <@U2> or <!subteam^S1> · 1 of 2 answers · Answer before <!date^1700000500^")


def test_what_a_run_waits_for_says_what_silence_comes_to() -> None:
    question = question_of(Prompt(prefix="Ship?", choices=["ship", "keep"], timeout=500, on_timeout="keep"))

    told = run_card(row("v2", Waiting(ASK, question))).blocks[2]["elements"][0]["text"]

    assert told.endswith(", or it counts as “Keep”")


def test_a_question_that_cannot_be_read_here_is_still_listed() -> None:
    shown = run_card(row("v2", Waiting(ASK, None))).blocks

    assert shown[2]["elements"][1]["text"] == ENGLISH.question_elsewhere


@pytest.mark.parametrize("status", ["done", "failed", "cancelled"])
def test_what_is_over_has_no_way_to_be_cancelled(status: str) -> None:
    assert "runs.cancel" not in str(run_list([row(status=status)], 0, more=False).blocks)


@pytest.mark.parametrize("status", ["ready", "waiting", "parked"])
def test_what_goes_on_can_be_cancelled_after_a_second_thought(status: str) -> None:
    shown = run_list([row(status=status)], 0, more=False).blocks

    button = next(block["accessory"] for block in shown if "accessory" in block)
    assert (button["action_id"], button["value"]) == ("runs.cancel.1", RUN.run_id)
    assert button["confirm"]["text"]["text"] == "“/deploy v2” ends, and its questions close at once."


@pytest.mark.parametrize(
    ("page", "more", "buttons"),
    [(0, False, []), (0, True, ["Older"]), (1, False, ["Newer"]), (1, True, ["Newer", "Older"])],
)
def test_a_page_leads_to_those_beside_it(page: int, more: bool, buttons: list[str]) -> None:
    shown = run_list([row()], page, more=more).blocks

    pagers = [block for block in shown if block["type"] == "actions"]
    assert [button["text"]["text"] for block in pagers for button in block["elements"]] == buttons


def test_there_is_a_last_page() -> None:
    assert "Older" not in str(run_list([row()], LAST_PAGE, more=True).blocks)


@pytest.mark.parametrize("words", CATALOGUES.values(), ids=CATALOGUES)
def test_somebody_who_started_nothing_is_told_so(words: Catalogue) -> None:
    assert run_list([], 0, more=False, words=words).text == words.runs_none
