"""What is asked in a modal, as Slack's view JSON, and the answers to one that was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.asking.choices import Choice
from bot.asking.inputs import LONG_CHARS, input_blocks
from bot.asking.legible import capitalised
from bot.asking.prompts import EDIT_CHARS, Question
from bot.asking.replies import EDITED, Filled, as_typed
from bot.asking.triggers import SlashCommand
from bot.block_kit import Block, plain
from bot.languages import ENGLISH, Catalogue
from bot.payloads.interactions import ModalSubmit
from bot.payloads.tokens import AskToken
from bot.views.blocks import context, cut, one_line
from bot.views.buttons import DETAILS, HAND_ON, edit_label
from bot.views.escaping import escape, shorten, visible
from bot.views.markdown import SECTION_CHARS, section

# docs.slack.dev/reference/views
TITLE_CHARS = 24
INPUT_CHARS = 3000
ERROR_CHARS = 2000

ANSWER = "answer"
"""Callback id of a modal that a choice has opened; behind a dot, the digest of the form in it."""
START = "start"
"""Callback id of the modal that asks for a command's text."""
TEXT = "text"
"""Block id of that text."""
COMMENT = "comment"
"""Block id of the field for words."""


def answer_modal(
    token: AskToken,
    question: Question,
    choice: Choice,
    *,
    edit: bool = False,
    note: str = "",
    words: Catalogue = ENGLISH,
) -> dict[str, Any]:
    """Return the modal that a choice opens: the form and the comment that it asks for. *note*, mrkdwn, stands above.

    With *edit* it holds the text that is to be approved, too.
    """
    form = question.form if choice.asks_form else None
    asked = [] if form is None else input_blocks(form, words.yes, words.no)
    if edit and question.editable is not None:
        asked.insert(0, _editor(question.editable, words))
    if choice.asks_comment or not asked:
        asked.append(_comment(question, choice, words, alone=not asked))
    head = one_line(question.text.strip().partition("\n")[0], 300, words)
    return {
        **_modal(edit_label(choice, words) if edit else choice.shown, words),
        "callback_id": ANSWER if form is None else f"{ANSWER}.{form.digest}",
        "private_metadata": token.encode(),
        "submit": plain(shorten(visible(choice.shown), TITLE_CHARS) if edit else words.send),
        "blocks": [*context(note), *context(head), *asked],
    }


def text_modal(command: SlashCommand, place: str, words: Catalogue = ENGLISH) -> dict[str, Any]:
    """Return the modal that asks for a text that a command needs; *place* comes back with it."""
    return {
        **_modal(command.command, words),
        "callback_id": START,
        "private_metadata": place,
        "submit": plain(words.send),
        "blocks": [
            *context(escape(shorten(visible(command.summary), 300))),
            {
                "type": "input",
                "block_id": TEXT,
                "label": plain(shorten(capitalised(visible(command.usage)), 300) or words.text),
                "element": {
                    "type": "plain_text_input",
                    "action_id": "text",
                    "multiline": command.max_chars > LONG_CHARS,
                    "max_length": command.max_chars,
                    "focus_on_load": True,
                },
            },
        ],
    }


def filled(sent: ModalSubmit) -> Filled:
    """Return what a modal of these brings along."""
    text = sent.text(EDITED) if EDITED in sent.values else None
    return Filled(sent.text(COMMENT), sent.values, sent.callback_id.partition(".")[2], text)


def _editor(text: str, words: Catalogue) -> Block:
    return {
        "type": "input",
        "block_id": EDITED,
        "label": plain(words.edit_text),
        "hint": plain(words.edit_hint),
        "element": {
            "type": "plain_text_input",
            "action_id": "text",
            "multiline": True,
            "max_length": EDIT_CHARS,
            "initial_value": as_typed(text),
            "focus_on_load": True,
        },
    }


def _comment(question: Question, choice: Choice, words: Catalogue, *, alone: bool) -> Block:
    needed = question.needs_text(choice)
    asked: Block = {
        "type": "input",
        "block_id": COMMENT,
        "optional": not needed,
        "label": plain(words.comment_why if question.is_final(choice.value) else words.comment_label),
        "element": {"type": "plain_text_input", "action_id": "text", "multiline": True, "max_length": INPUT_CHARS},
    }
    if alone:
        asked["element"]["focus_on_load"] = True
    if not needed:
        asked["hint"] = plain(words.comment_hint)
    return asked


def hand_on_modal(token: AskToken, question: Question, *, words: Catalogue = ENGLISH) -> dict[str, Any]:
    """Return the modal that asks who shall answer instead."""
    element: Block = {"type": "users_select", "action_id": "user"}
    return _input_modal(HAND_ON, words.hand_on_title, words.hand_on_label, element, token, question, words)


def details_modal(token: AskToken, question: Question, *, words: Catalogue = ENGLISH) -> dict[str, Any]:
    """Return the modal that asks what the requester shall be asked."""
    element: Block = {"type": "plain_text_input", "action_id": "text", "multiline": True, "max_length": INPUT_CHARS}
    return _input_modal(DETAILS, words.details_title, words.details_label, element, token, question, words)


def _input_modal(
    name: str, title: str, label: str, element: Block, token: AskToken, question: Question, words: Catalogue
) -> dict[str, Any]:
    """Return a modal of one field about a question; *name* is its callback id and the field's block id."""
    asked: Block = {"type": "input", "block_id": name, "label": plain(label), "element": element}
    return {
        **_modal(title, words),
        "callback_id": name,
        "private_metadata": token.encode(),
        "submit": plain(words.send),
        "blocks": [*context(one_line(question.text.strip().partition("\n")[0], 300, words)), asked],
    }


def notice_modal(text: str, words: Catalogue = ENGLISH) -> dict[str, Any]:
    """Return a modal that tells one thing; *text* is mrkdwn, as `bot.views.wording` returns it."""
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
