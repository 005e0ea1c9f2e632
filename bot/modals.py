"""What is asked in a modal, as Slack's view JSON, and the answers to one that was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.blocks import context, cut, one_line, plain
from bot.languages import ENGLISH, Catalogue
from bot.markdown import SECTION_CHARS, Block, section
from bot.prompts import AskToken, Choice, Question
from bot.wording import fitting, shorten, visible

# docs.slack.dev/reference/views
TITLE_CHARS = 24
INPUT_CHARS = 3000
ERROR_CHARS = 2000

COMMENT = "comment"
"""Callback id of the modal that asks for words, and block id of their field."""


def feedback_modal(
    token: AskToken, question: Question, choice: Choice, *, initial: str = "", words: Catalogue = ENGLISH
) -> dict[str, Any]:
    """Return the modal that asks for the words of *choice*; they may stay out unless the choice needs them."""
    needed = question.needs_text(choice)
    element: Block = {
        "type": "plain_text_input",
        "action_id": "text",
        "multiline": True,
        "max_length": INPUT_CHARS,
        "focus_on_load": True,
    }
    if initial:
        whole = initial.encode(errors="replace").decode()
        element["initial_value"] = whole[: fitting(whole, INPUT_CHARS)]
    asked: Block = {
        "type": "input",
        "block_id": COMMENT,
        "optional": not needed,
        "label": plain(words.comment_label),
        "element": element,
    }
    if not needed:
        asked["hint"] = plain(words.comment_hint)
    return {
        **_modal(choice.shown, words),
        "callback_id": COMMENT,
        "private_metadata": token.encode(),
        "submit": plain(words.send),
        "blocks": [*context(one_line(question.text.strip().partition("\n")[0], 300, words)), asked],
    }


def loading_modal(words: Catalogue = ENGLISH) -> dict[str, Any]:
    """Return a modal to open at once and fill with `views.update` when we know what it shall ask."""
    return {**_modal(words.notice_title, words), "blocks": [section(words.loading)]}


def notice_modal(text: str, words: Catalogue = ENGLISH) -> dict[str, Any]:
    """Return a modal that tells one thing; *text* is mrkdwn, as `bot.wording` returns it."""
    return {**_modal(words.notice_title, words), "blocks": [section(cut(text, SECTION_CHARS))]}


def field_errors(problems: Mapping[str, str]) -> dict[str, Any]:
    """Return the answer to a submitted modal that marks fields, by block id, as not good yet."""
    return {
        "response_action": "errors",
        "errors": {name: shorten(visible(told), ERROR_CHARS) for name, told in problems.items()},
    }


def replaced_by(view: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a submitted modal that shows *view* in its place."""
    return {"response_action": "update", "view": view}


def _modal(title: str, words: Catalogue) -> dict[str, Any]:
    return {"type": "modal", "title": plain(shorten(visible(title), TITLE_CHARS)), "close": plain(words.close)}
