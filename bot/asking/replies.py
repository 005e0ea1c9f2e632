"""How a click, a modal or words in a thread become one `Reply`, or why they are none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel

from bot.asking.choices import NO, YES
from bot.asking.forms import Given, Problem, read_form
from bot.asking.legible import has_ink
from bot.asking.prompts import EDIT_CHARS, Question
from bot.languages import CATALOGUES
from bot.slack_ids import PERSON

_NEWLINE = re.compile(r"\r\n?")
_LEADING_MENTION = re.compile(rf"^\s*(?:<@{PERSON}(?:\|[^>]*)?>[\s,:]*)+")
_SIGN = re.compile(f"([{''.join(sorted(word for word in YES | NO if len(word) == 1 and not word.isalnum()))}])")
_SKIN_TONE = re.compile(r":skin-tone-\d:|[\U0001F3FB-\U0001F3FF\uFE0F]")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, ready to be sent. *response* is what the workflow gets, *choice* what was decided."""

    choice: str
    response: str
    comment: str = ""
    form: BaseModel | None = None
    text: str | None = None
    """What was approved, where there was a text to approve."""
    edited: bool = False
    """It is not the one that was shown."""

    @property
    def fields(self) -> dict[str, Any]:
        """What the workflow gets beside the response."""
        known = {"form": self.form, "text": self.text}
        more = {name: value for name, value in known.items() if value is not None}
        return {"comment": self.comment, "choice": self.choice, **more}


@dataclass(frozen=True, slots=True)
class Filled:
    """What comes along with a choice, as it was put in."""

    comment: str = ""
    fields: Given | None = None
    """Of a form, None where there was none to fill in."""
    form_digest: str = ""
    """Of the form that was shown."""
    text: str | None = None
    """The text to be approved as it was left, None where it was not opened."""


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """No answer yet, and why; the person is asked back privately.

    ``words``: it maps to nothing. ``needs_text``: the choice wants words. ``confirm``, ``form``: only the
    button will do. ``unknown``: there is no such choice.
    """

    why: Literal["words", "needs_text", "confirm", "form", "unknown"]


@dataclass(frozen=True, slots=True)
class NotTaken:
    """No answer, whatever it says, and why; nothing was recorded of it as an answer.

    ``nothing_open``: no question is open. ``lost``: the question is one that was forgotten. ``unchecked``: Slack did
    not say in time whether this person may answer. ``form_changed``: another form than the one of now was filled in.
    ``form_broken``: a validator of it failed. ``edited``: the reply said something else before. The rest is who they
    are: ``guest``, ``stranger`` (of another workspace), ``deactivated``, ``bot``.
    """

    why: Literal[
        "nothing_open",
        "lost",
        "unchecked",
        "form_changed",
        "form_broken",
        "edited",
        "guest",
        "stranger",
        "deactivated",
        "bot",
    ]


@dataclass(frozen=True, slots=True)
class Amiss:
    """No answer yet: something that was filled in will not do. By the id of the field."""

    problems: Mapping[str, Problem]


NoReply: TypeAlias = NotUnderstood | NotTaken | Amiss
NOTHING = Filled()
EDITED = "edited"
"""Id of the field that holds a text to be approved."""


def respond(question: Question, value: str, filled: Filled = NOTHING) -> Reply | NoReply:
    """Answer with the choice *value*, as a button or a modal does.

    An exception of a validator of the form, other than pydantic's own, comes through as it is.
    """
    choice = question.choice(value)
    if choice is None:
        return NotUnderstood("unknown")
    comment = filled.comment.strip()
    if question.needs_text(choice) and not comment:
        return NotUnderstood("needs_text")
    form = _form(question, filled) if choice.asks_form else None
    if isinstance(form, NotUnderstood | NotTaken | Amiss):
        return form
    text = _text(question, value, filled)
    if text is not None and not has_ink(text):
        return Amiss({EDITED: Problem("missing")})
    if text is not None and filled.text is not None and len(text) > EDIT_CHARS:
        return Amiss({EDITED: Problem("string_too_long", limits={"max_length": EDIT_CHARS})})
    is_response = question.text_is_response and value == question.takes_text
    response = comment if is_response else value
    return Reply(value, response, comment, form, text, edited=text is not None and text != question.editable)


def _text(question: Question, value: str, filled: Filled) -> str | None:
    """Return the text that is approved, if one is. What came back as it was shown is the author's, to the letter."""
    if question.editable is None or value != question.yes:
        return None
    untouched = filled.text is None or filled.text == as_typed(question.editable)
    return question.editable if untouched else filled.text


def as_typed(text: str) -> str:
    """Return a text as a field shows it and sends it back."""
    return _NEWLINE.sub("\n", text.encode(errors="replace").decode())


def _form(question: Question, filled: Filled) -> BaseModel | NoReply:
    if question.form is None or filled.fields is None:
        return NotUnderstood("form")
    if filled.form_digest != question.form.digest:
        return NotTaken("form_changed")
    found = read_form(question.form, filled.fields)
    return found if isinstance(found, BaseModel) else Amiss(found)


def read_reply(question: Question, text: str) -> Reply | NoReply:
    """Read what somebody wrote below the question.

    Words for a choice, its label or value, "yes" and "no" and their like become that choice; other text is feedback
    where the question takes any, and else is not understood. A "yes" that stands for no choice is not feedback either.
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
    if question.takes_text is None or (_is_verdict(_plain_words(said)) and not question.text_is_response):
        return NotUnderstood("words")
    return respond(question, question.takes_text, Filled(said))


def _is_verdict(words: str) -> bool:
    """Whether these say yes or no, and nothing else."""
    return words in YES | NO or (bool(each := _SIGN.sub(r" \1 ", words).split()) and set(each) <= YES | NO)


def _plain_words(text: str) -> str:
    words = " ".join(_SKIN_TONE.sub("", text).casefold().replace("\u2019", "'").split())
    return words.strip("*_`\"'“” ").rstrip(".!,").strip("*_`\"'“” ")


def _named(question: Question, words: str) -> str | None:
    """Return the value of the choice these words stand for, in whichever language its button is for somebody."""
    for language in CATALOGUES.values():
        for choice in question.said_in(language).choices:
            if words in (choice.value.casefold(), choice.shown.casefold()):
                return choice.value
    if words in YES:
        return question.yes
    if words in NO:
        return question.no
    each = _SIGN.sub(r" \1 ", words).replace(",", " ").split()
    if 1 < len(each) <= 4 and len(found := {_named(question, word) for word in each}) == 1:
        return found.pop()  # "yes, approve", "ok :+1:"
    return None


def _rejected_because(question: Question, said: str) -> Reply | NoReply | None:
    """Read "reject: too expensive". Only refusals may carry words: "approve, but" approves nothing."""
    head, colon, reason = said.partition(":")
    if not colon or not head or not reason.strip() or question.no is None:
        return None
    if _named(question, _plain_words(head)) != question.no:
        return None
    choice = question.choice(question.no)
    if choice is not None and choice.confirm is not None:
        return NotUnderstood("confirm")
    return respond(question, question.no, Filled(reason))
