"""How a click, a modal or words in a thread become one `Reply`, or why they are none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from bot.prompts import NO, YES, Question

_LEADING_MENTION = re.compile(r"^\s*(?:<@[UW][A-Z0-9]+(?:\|[^>]*)?>[\s,:]*)+")
_SKIN_TONE = re.compile(r":skin-tone-\d:|[\U0001F3FB-\U0001F3FF\uFE0F]")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, ready to be sent. *response* is what the workflow gets, *choice* what was decided."""

    choice: str
    response: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """No answer yet, and why; the person is asked back privately.

    ``words``: it maps to nothing. ``needs_text``: the choice wants words. ``confirm``: only the
    button will do. ``unknown``: there is no such choice.
    """

    why: Literal["words", "needs_text", "confirm", "unknown"]


@dataclass(frozen=True, slots=True)
class NotTaken:
    """No answer, whatever it says, and why; nothing was recorded of it as an answer.

    ``nothing_open``: no question is open. ``lost``: the question is one that was forgotten. ``unchecked``: Slack did
    not say in time whether this person may answer. The rest is who they are: ``guest``, ``stranger`` (of another
    workspace), ``deactivated``, ``bot``.
    """

    why: Literal["nothing_open", "lost", "unchecked", "guest", "stranger", "deactivated", "bot"]


def respond(question: Question, value: str, comment: str = "") -> Reply | NotUnderstood:
    """Answer with the choice *value*, as a button or a modal does."""
    choice = question.choice(value)
    if choice is None:
        return NotUnderstood("unknown")
    comment = comment.strip()
    if question.needs_text(choice):
        if not comment:
            return NotUnderstood("needs_text")
        return Reply(value, comment if question.text_is_response else value, comment)
    return Reply(value, value, comment)


def read_reply(question: Question, text: str) -> Reply | NotUnderstood:
    """Read what somebody wrote below the question.

    Words for a choice, its label or value, "yes" and "no" and their like become that choice;
    other text is feedback where the question takes any, and else is not understood.
    """
    said = _LEADING_MENTION.sub("", text).strip()
    if not said:
        return NotUnderstood("words")
    value = _named(question, _plain_words(said))
    if value is not None:
        choice = question.choice(value)
        if choice is not None and choice.confirm is not None:
            return NotUnderstood("confirm")
        return respond(question, value)
    if (reasoned := _rejected_because(question, said)) is not None:
        return reasoned
    if question.takes_text is not None:
        return respond(question, question.takes_text, said)
    return NotUnderstood("words")


def _plain_words(text: str) -> str:
    words = " ".join(_SKIN_TONE.sub("", text).casefold().replace("\u2019", "'").split())
    return words.strip("*_`\"'“” ").rstrip(".!,").strip("*_`\"'“” ")


def _named(question: Question, words: str) -> str | None:
    """Return the value of the choice these words stand for."""
    for choice in question.choices:
        if words in (choice.value.casefold(), choice.shown.casefold()):
            return choice.value
    if words in YES:
        return question.yes
    if words in NO:
        return question.no
    return None


def _rejected_because(question: Question, said: str) -> Reply | NotUnderstood | None:
    """Read "reject: too expensive". Only refusals may carry words: "approve, but" approves nothing."""
    head, colon, reason = said.partition(":")
    if not colon or not head or not reason.strip() or question.no is None:
        return None
    if _named(question, _plain_words(head)) != question.no:
        return None
    choice = question.choice(question.no)
    if choice is not None and choice.confirm is not None:
        return NotUnderstood("confirm")
    return respond(question, question.no, reason)
