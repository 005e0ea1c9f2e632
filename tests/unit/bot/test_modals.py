"""What is asked in modals stays within Slack's limits, and what comes back is read for what it is."""

import json
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model

from bot.asking.choices import Choice
from bot.asking.forms import form_of
from bot.asking.legible import has_ink
from bot.asking.prompts import question_of
from bot.asking.replies import EDITED
from bot.asking.triggers import SlashCommand
from bot.languages import GERMAN
from bot.payloads.tokens import AskToken
from bot.playground.limits import problems_with_view
from bot.views.escaping import safe
from bot.views.modals import ANSWER, COMMENT, answer_modal, field_errors, notice_modal, replaced_by, text_modal
from engine.events import InputRequiredEvent
from tests.unit.bot.drawn import MARKUP, models
from tests.unit.bot.questions import Trip, asked
from tests.unit.bot.slack_limits import MOST, check_block, check_text

TOKEN = AskToken("r1", "a1", 1, "feedback")


def check_modal(view: dict[str, Any]) -> None:
    assert view["type"] == "modal"
    for name in ("title", "submit", "close"):
        if name in view:
            check_text(view[name], MOST["title"])
    assert len(view.get("private_metadata", "")) <= 3000
    assert 1 <= len(view["blocks"]) <= 100
    for block in view["blocks"]:
        if not block.get("block_id", "").startswith("form."):
            check_block(block)
    assert problems_with_view(view) == [], "our fake Slack would refuse it"


def test_feedback_must_be_given_and_a_reason_may() -> None:
    question = asked(
        choices=["approve", Choice("reject", asks_comment=True), Choice("stop", asks_comment="required")],
        takes_text="feedback",
    )

    views = [answer_modal(TOKEN, question, choice) for choice in question.choices[1:]]

    for view in views:
        check_modal(view)
        assert AskToken.decode(view["private_metadata"]) == TOKEN
    assert [view["blocks"][-1]["optional"] for view in views] == [True, False, False]
    assert [view["title"]["text"] for view in views] == ["Reject", "Stop", "Give feedback"]
    assert [view["blocks"][-1]["label"]["text"] for view in views][:2] == ["Why?", "What would you like to say?"]


def test_the_field_of_a_modal_is_found_by_its_block_id() -> None:
    [choice] = question_of(InputRequiredEvent(prefix="Name?")).choices

    view = answer_modal(TOKEN, asked(), choice)

    assert view["callback_id"] == ANSWER
    assert view["blocks"][-1]["block_id"] == COMMENT


def test_a_choice_may_ask_for_a_form_and_a_comment_together() -> None:
    choice = Choice("book", asks_form=True, asks_comment=True)
    question = asked("Off we go?", choices=[choice, "stay"], form=Trip)

    view = answer_modal(TOKEN, question, choice, note="Look *here*", words=GERMAN)

    check_modal(view)
    assert view["callback_id"] == f"{ANSWER}.{form_of(Trip).digest}"
    assert [block.get("block_id") for block in view["blocks"]] == [None, None, "form.where", "form.days", COMMENT]
    assert view["blocks"][0]["elements"][0]["text"] == "Look *here*"
    assert sum("focus_on_load" in block.get("element", {}) for block in view["blocks"]) == 0


def test_a_text_to_be_approved_opens_whole_and_sending_it_approves_it() -> None:
    question = asked("Send?", editable="One\r\ntwo" + "x" * 2_900, choices=["send", Choice("keep", style="danger")])

    view = answer_modal(TOKEN, question, question.choices[0], edit=True)

    check_modal(view)
    assert view["title"]["text"] == "Edit and send"
    assert view["submit"]["text"] == "Send"
    assert [block.get("block_id") for block in view["blocks"]] == [None, EDITED]
    assert view["blocks"][1]["element"]["initial_value"] == "One\ntwo" + "x" * 2_900


@given(st.text().filter(has_ink), MARKUP)
def test_any_text_fits_into_its_field(text: str, prefix: str) -> None:
    question = asked(prefix, editable=text)
    assume(question.edits)

    check_modal(answer_modal(TOKEN, question, question.choices[0], edit=True))


@given(MARKUP, st.text(min_size=1, max_size=200), MARKUP)
def test_any_modal_fits(prefix: str, label: str, note: str) -> None:
    assume(has_ink(label))

    check_modal(answer_modal(TOKEN, asked(prefix), Choice("feedback", label=label), note=safe(note)))


@given(models(), MARKUP)
@settings(max_examples=40)
def test_any_form_fits_into_its_modal(form: type[BaseModel], prefix: str) -> None:
    question = asked(prefix, choices=[], form=form)

    view = answer_modal(TOKEN, question, question.choices[0])

    check_modal(view)
    assert len(json.dumps(view).encode()) <= 250_000


def test_the_largest_form_fits_into_its_modal() -> None:
    fields: dict[str, Any] = {
        f"f{n}": (str, Field("x" * 500, title="y" * 500, description="z" * 500, max_length=500)) for n in range(98)
    }
    choice = Choice("send", asks_form=True, asks_comment=True)
    question = asked("x" * 5_000, choices=[choice], form=create_model("Large", **fields))

    view = answer_modal(AskToken("r" * 250, "a" * 250, 1, "send", "d" * 16), question, choice)

    check_modal(view)
    assert len(view["blocks"]) == 100
    assert len(json.dumps(view).encode()) <= 250_000


@given(st.from_regex(r"/[a-z0-9_-]{1,31}", fullmatch=True), st.text(max_size=2_000), st.text(max_size=1_000))
@settings(max_examples=40)
def test_any_command_can_ask_for_its_text(name: str, summary: str, usage: str) -> None:
    for most in (1, 3_000):
        view = text_modal(SlashCommand(name, summary.strip(), usage.strip(), max_chars=most), "{}")

        check_modal(view)
        assert view["blocks"][-1]["element"]["max_length"] == most


def test_a_modal_may_tell_and_show_what_is_to_be_put_right() -> None:
    notice = notice_modal("word " * 2_000)

    check_modal(notice)
    assert replaced_by(notice) == {"response_action": "update", "view": notice}
    assert field_errors({COMMENT: "Please"}) == {"response_action": "errors", "errors": {COMMENT: "Please"}}
