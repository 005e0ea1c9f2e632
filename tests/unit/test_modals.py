"""What is asked in modals stays within Slack's limits, and what comes back is read for what it is."""

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bot.modals import COMMENT, feedback_modal, field_errors, loading_modal, notice_modal, replaced_by
from bot.playground.limits import problems_with_view
from bot.prompts import AskToken, Choice, question_of
from bot.triggers import has_ink
from engine.events import InputRequiredEvent
from tests.unit.test_blocks import MARKUP, MOST, asked, check_block, check_text

TOKEN = AskToken("r1", "a1", 1, "feedback")


def check_modal(view: dict[str, Any]) -> None:
    assert view["type"] == "modal"
    for name in ("title", "submit", "close"):
        if name in view:
            check_text(view[name], MOST["title"])
    assert len(view.get("private_metadata", "")) <= 3000
    assert 1 <= len(view["blocks"]) <= 100
    for block in view["blocks"]:
        check_block(block)
    assert problems_with_view(view) == [], "our fake Slack would refuse it"


def test_feedback_must_be_given_and_a_reason_may() -> None:
    question = asked(choices=["approve", Choice("reject", asks_comment=True)], takes_text="feedback")

    views = [feedback_modal(TOKEN, question, choice, initial="x" * 9_000) for choice in question.choices[1:]]

    for view in views:
        check_modal(view)
        assert AskToken.decode(view["private_metadata"]) == TOKEN
    assert [view["blocks"][-1]["optional"] for view in views] == [True, False]
    assert [view["title"]["text"] for view in views] == ["Reject", "Give feedback"]


def test_the_field_of_a_modal_is_found_by_its_block_id() -> None:
    [choice] = question_of(InputRequiredEvent(prefix="Name?")).choices

    view = feedback_modal(TOKEN, asked(), choice, initial="Ann")

    assert view["callback_id"] == COMMENT
    assert view["blocks"][-1]["block_id"] == COMMENT
    assert view["blocks"][-1]["element"]["initial_value"] == "Ann"


@given(MARKUP, st.text(min_size=1, max_size=200), st.text(max_size=100))
@settings(deadline=None)
def test_any_modal_fits(prefix: str, label: str, initial: str) -> None:
    assume(has_ink(label))

    check_modal(feedback_modal(TOKEN, asked(prefix), Choice("feedback", label=label), initial=initial))


def test_a_modal_may_wait_and_then_tell() -> None:
    check_modal(loading_modal())
    check_modal(notice_modal("word " * 2_000))
    assert replaced_by(loading_modal())["response_action"] == "update"
    assert field_errors({COMMENT: "Please"}) == {"response_action": "errors", "errors": {COMMENT: "Please"}}
