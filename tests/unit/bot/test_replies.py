"""Answers as people give them: in their own words, by a button, in a modal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.asking.choices import Choice
from bot.asking.forms import Problem, form_of
from bot.asking.prompts import Prompt, question_of
from bot.asking.replies import EDITED, Amiss, Filled, NoReply, NotTaken, NotUnderstood, Reply, read_reply, respond
from engine.events import InputRequiredEvent
from tests.unit.bot.questions import REVIEW, SHIP, YES_NO, Trip

YES_LIKE = [
    "yes",
    "Yes.",
    " YES! ",
    "approve",
    "Approved",
    "ok",
    "LGTM",
    ":+1:",
    ":+1::skin-tone-3:",
    "👍",
    "👍🏽",
    "*yes*",
    "+1",
    "👍👍🏽",
    "yes, approve",
    "OK :+1:",
    "LGTM 👍",
    "Ja!",
]
NO_LIKE = ["no", "No!", "reject", "rejected", ":-1:", "👎", "_no_", "<@U0BOT> no", "don’t", "-1", "no, no", "nein"]


def replied(event: InputRequiredEvent, text: str) -> Reply | NoReply:
    return read_reply(question_of(event), text)


@pytest.mark.parametrize("text", YES_LIKE)
@pytest.mark.parametrize("event", [YES_NO, REVIEW, SHIP])
def test_words_of_agreement_mean_the_first_choice(event: InputRequiredEvent, text: str) -> None:
    reply = replied(event, text)

    assert isinstance(reply, Reply)
    assert reply.choice in ("yes", "approve", "ship")
    assert reply.comment == ""


@pytest.mark.parametrize("text", NO_LIKE)
@pytest.mark.parametrize("event", [YES_NO, REVIEW, SHIP])
def test_words_of_refusal_mean_the_refusing_choice(event: InputRequiredEvent, text: str) -> None:
    reply = replied(event, text)

    assert isinstance(reply, Reply)
    assert reply.choice in ("no", "reject", "keep back")


def test_labels_and_values_name_their_choice() -> None:
    event = Prompt(prefix="?", choices=[Choice("prod", label="To production"), Choice("later")])

    assert replied(event, "to PRODUCTION") == Reply("prod", "prod")
    assert replied(event, "Later.") == Reply("later", "later")


def test_other_text_is_feedback_where_feedback_is_taken() -> None:
    assert replied(REVIEW, "Shorter, please") == Reply("feedback", "feedback", "Shorter, please")


@pytest.mark.parametrize("text", ["yes", "👍", "OK :+1:", "👎", "yes no"])
def test_a_yes_that_stands_for_no_choice_is_no_feedback(text: str) -> None:
    event = Prompt(prefix="Hire them?", choices=["sign", "wait", "remark"], takes_text="remark")

    assert replied(event, text) == NotUnderstood("words")


def test_a_plain_event_gets_the_text_itself() -> None:
    event = InputRequiredEvent(prefix="Enter 'approve' or feedback: ")

    assert replied(event, "Shorter, please") == Reply("feedback", "Shorter, please", "Shorter, please")
    assert replied(InputRequiredEvent(prefix="Name?"), "yes") == Reply("answer", "yes", "yes")


@pytest.mark.parametrize(
    "text", ["maybe", "yes no", "👍👎", "yes but later", "approve?", "~yes~", "> yes", "not yes", "", "   "]
)
def test_other_text_to_a_yes_or_no_question_is_asked_back(text: str) -> None:
    assert replied(YES_NO, text) == NotUnderstood("words")


@pytest.mark.parametrize("text", ["reject: too expensive", "No: too expensive", "<@U0BOT> Reject:\ntoo expensive"])
@pytest.mark.parametrize("event", [REVIEW, Prompt(prefix="?", choices=["approve", "reject"])])
def test_a_refusal_may_say_why(event: Prompt, text: str) -> None:
    assert replied(event, text) == Reply("reject", "reject", "too expensive")


def test_an_approval_with_a_condition_is_no_approval() -> None:
    assert replied(YES_NO, "yes: but only after lunch") == NotUnderstood("words")
    assert replied(REVIEW, "approve: but shorter") == Reply("feedback", "feedback", "approve: but shorter")


def test_the_word_feedback_alone_is_no_feedback() -> None:
    assert replied(REVIEW, "feedback") == NotUnderstood("needs_text")


def test_what_wants_confirmation_is_not_done_by_a_reply() -> None:
    event = Prompt(prefix="?", choices=[Choice("approve", confirm="Really?"), Choice("reject")])

    assert replied(event, "yes") == NotUnderstood("confirm")
    assert replied(event, "approve") == NotUnderstood("confirm")
    assert replied(event, "no") == Reply("reject", "reject")


def test_no_never_means_to_destroy_something() -> None:
    event = Prompt(prefix="Delete it?", choices=[Choice("keep"), Choice("delete", style="danger")])

    assert replied(event, "no") == NotUnderstood("words")


def test_yes_is_not_guessed_among_several() -> None:
    event = Prompt(prefix="Where to?", choices=["staging", "production"])

    assert replied(event, "yes") == NotUnderstood("words")


def test_an_author_may_say_what_yes_means() -> None:
    event = Prompt(prefix="?", choices=[Choice("later", means="no"), Choice("delete", means="yes")])

    assert replied(event, "ok") == Reply("delete", "delete")
    assert question_of(event).is_final("later")


def test_one_rejection_is_final_and_nothing_else_is() -> None:
    question = question_of(SHIP)

    assert question.is_final("keep back")
    assert not question.is_final("ship")
    assert not question_of(Prompt(prefix="?", choices=["keep", Choice("delete", style="danger")])).is_final("delete")


def test_a_button_and_a_reply_answer_alike() -> None:
    question = question_of(REVIEW)

    assert respond(question, "approve") == read_reply(question, "approve")
    assert respond(question, "feedback", Filled(" shorter ")) == read_reply(question, "shorter")


def test_a_choice_that_was_never_offered_is_unknown() -> None:
    assert respond(question_of(YES_NO), "perhaps") == NotUnderstood("unknown")


@given(st.text())
def test_any_reply_is_read_without_an_error(text: str) -> None:
    for event in (YES_NO, REVIEW, SHIP, InputRequiredEvent(prefix="?")):
        reply = replied(event, text)

        assert isinstance(reply, NoReply) or question_of(event).choice(reply.choice)


# --- forms and texts to edit ---------------------------------------------------------------


def filled(**fields: str | None) -> Filled:
    return Filled(fields={f"form.{name}": value for name, value in fields.items()}, form_digest=form_of(Trip).digest)


def test_a_choice_with_a_form_counts_with_its_form_only() -> None:
    question = question_of(Prompt(prefix="Off?", form=Trip, choices=["stay"]))

    assert respond(question, "submit", filled(where="Rome", days="2")) == Reply(
        "submit", "submit", form=Trip(where="Rome", days=2)
    )
    assert respond(question, "submit", filled(where=None, days="2")) == Amiss({"form.where": Problem("missing")})
    assert respond(question, "submit") == read_reply(question, "fill in") == NotUnderstood("form")
    assert respond(question, "submit", Filled(fields={}, form_digest="older")) == NotTaken("form_changed")
    assert respond(question, "stay", filled(where="Rome")) == Reply("stay", "stay")


EDITABLE = Prompt(prefix="Send?", editable="One\r\ntwo \ud800", choices=["send", Choice("keep", style="danger")])


def test_what_was_approved_is_the_text_as_it_was_shown_unless_somebody_changed_it() -> None:
    question = question_of(EDITABLE)
    shown = Reply("send", "send", text="One\r\ntwo \ud800")

    assert respond(question, "send") == read_reply(question, "yes") == shown
    assert respond(question, "send", Filled(text="One\ntwo ?")) == shown
    assert respond(question, "send", Filled(text="Three")) == Reply("send", "send", text="Three", edited=True)
    assert respond(question, "keep", Filled(text="Three")) == Reply("keep", "keep")


def test_nothing_and_too_much_are_no_text_to_approve() -> None:
    question = question_of(EDITABLE)

    assert respond(question, "send", Filled(text=" \n\u200b")) == Amiss({EDITED: Problem("missing")})
    assert respond(question, "send", Filled(text="x" * 3_001)) == Amiss(
        {EDITED: Problem("string_too_long", limits={"max_length": 3_000})}
    )
