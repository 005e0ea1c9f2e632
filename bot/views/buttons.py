"""The buttons that answer a question, and the menu of what leaves it open."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bot.asking.choices import Choice
from bot.asking.prompts import Question
from bot.block_kit import Block, plain
from bot.languages import ENGLISH, Catalogue
from bot.payloads.tokens import AskToken
from bot.views.escaping import shorten, visible

BUTTON_CHARS = 75
OPTION_CHARS = 75

DECIDE = "decide"
"""Action ids ``decide.0``, ``decide.1``: the click is the answer."""
OPEN = "open"
"""Action ids ``open.0``, ``open.1``: the click wants a modal, at once, since its trigger lives 3 s."""
EDIT = "edit"
"""Action ids ``edit.0``, ``edit.1``: the click wants the modal in which a text may be changed before it is approved."""
MENU = "more"
"""Action id of the menu of what leaves a question open."""
HAND_ON, DETAILS = "hand_on", "details"
"""What its options stand for, and the modals they open."""
ACTION = re.compile(r"(decide|open|edit)\.\d+")


def answers(
    question: Question,
    token: AskToken,
    words: Catalogue = ENGLISH,
    *,
    block_id: str = "answers",
    first: int = 0,
    more: Sequence[Block] = (),
) -> list[Block]:
    """Return the question's buttons, if it has any, and *more* behind them.

    *first*, which they are numbered from, and *block_id* tell them from those of other questions beside this one.
    """
    buttons = [_button(choice, n, token, words) for n, choice in enumerate(question.choices, first)]
    if question.edits:
        place = next(n for n, choice in enumerate(question.choices) if choice.value == question.yes)
        buttons.insert(place + 1, _edit_button(question.choices[place], first + place, token, words))
    return [{"type": "actions", "block_id": block_id, "elements": [*buttons, *more]}] if buttons else []


def _button(choice: Choice, place: int, token: AskToken, words: Catalogue) -> Block:
    button: Block = {
        "type": "button",
        "action_id": f"{OPEN if choice.opens else DECIDE}.{place}",
        "text": plain(shorten(visible(choice.shown), BUTTON_CHARS)),
        "value": replace(token, choice=choice.value).encode(),
    }
    if choice.style is not None:
        button["style"] = choice.style
    if choice.confirm is not None:
        button["confirm"] = {
            "title": plain(words.confirm_title),
            "text": plain(shorten(visible(choice.confirm), 300)),
            "confirm": plain(words.confirm_yes),
            "deny": plain(words.confirm_no),
        }
    return button


def _edit_button(choice: Choice, place: int, token: AskToken, words: Catalogue) -> Block:
    return {
        "type": "button",
        "action_id": f"{EDIT}.{place}",
        "text": plain(shorten(edit_label(choice, words), BUTTON_CHARS)),
        "value": replace(token, choice=choice.value).encode(),
    }


def edit_label(choice: Choice, words: Catalogue) -> str:
    """Return what it is called to change a text before it is approved by *choice*."""
    label = visible(choice.shown)
    return words.edit.format(choice=label if label[1:2].isupper() else label[:1].lower() + label[1:])


def menu(question: Question, token: AskToken, words: Catalogue) -> list[Block]:
    """Return the menu of what leaves a question open; none where ids are so long that no option can hold them."""
    offered = {HAND_ON: words.menu_hand_on} if question.hand_on else {}
    options: list[dict[str, Any]] = [
        {"text": plain(text), "value": replace(token, choice=choice).encode()}
        for choice, text in {**offered, DETAILS: words.menu_details}.items()
    ]
    fits = all(len(option["value"]) <= OPTION_CHARS for option in options)
    return [{"type": "overflow", "action_id": MENU, "options": options}] if fits else []
