"""App Home as Slack's view JSON: what waits for somebody, what they have started, what is over. Pure.

A question is answered here only where it is shown whole; of a longer one there is its beginning and a link.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot.asking.legible import width
from bot.asking.prompts import Question
from bot.block_kit import Block, plain
from bot.languages import ENGLISH, Catalogue
from bot.payloads.tokens import AskToken
from bot.views.blocks import context, whom
from bot.views.buttons import answers
from bot.views.listing import LAST_PAGE, Row, Waiting, cancel_button, facts, first_line, name_of, waiting
from bot.views.markdown import SECTION_CHARS, mrkdwn, section, sections
from bot.views.wording import due, linked

WAITING_PAGE, STARTED_PAGE, RECENT = 20, 10, 5
"""How many of each are shown at a time: a view takes 100 blocks, and a question three of them."""
WHOLE_CHARS = 1500
"""How long a question may be to be shown whole."""
VIEW_BYTES = 220_000
"""Slack takes 250 KB; what comes after the questions needs the rest."""
TURN, CANCEL = "home.page", "home.cancel"
"""Action ids, before a dot and a number."""
TURN_ACTION = re.compile(r"home\.page\.\d+")
CANCEL_ACTION = re.compile(r"home\.cancel\.\d+")
_BUTTONS = 25
"""As many as Slack takes below one question; action ids are numbered from there."""
_PLACE = re.compile(r"(\d{1,3})-(\d{1,3})")


@dataclass(frozen=True, slots=True)
class Pages:
    """Where somebody is, in what waits for them and in what they have started; counted from 0."""

    waiting: int = 0
    started: int = 0

    def encode(self) -> str:
        return f"{self.waiting}-{self.started}"

    @classmethod
    def decode(cls, text: str) -> Pages:
        """Return what was encoded, and the first pages for anything we never wrote."""
        found = _PLACE.fullmatch(text)
        return cls() if found is None else cls(*(min(int(page), LAST_PAGE) for page in found.groups()))


@dataclass(frozen=True, slots=True)
class Part:
    """One page of a list, and whether more come after it."""

    rows: Sequence[Row] = ()
    more: bool = False


def home_view(
    asked: Part, started: Part, recent: Sequence[Row], pages: Pages, *, words: Catalogue = ENGLISH
) -> dict[str, Any]:
    """Return the view. Each row of *asked* waits for one question: the one that its reader may answer."""
    shown = [_head(words.home_waiting)]
    for place, row in enumerate(asked.rows):
        card = _card(row, place, words)
        small = len(json.dumps([*shown, *card])) <= VIEW_BYTES
        shown += card if small else _beginning(row, words)
    shown += [] if asked.rows else [section(words.home_nothing_waiting)]
    back, on = replace(pages, waiting=pages.waiting - 1), replace(pages, waiting=pages.waiting + 1)
    shown += _pager(1, pages.waiting, asked.more, back, on, words)
    shown.append(_head(words.home_started))
    for place, row in enumerate(started.rows):
        shown += _line(row, place, words)
    shown += [] if started.rows else [section(words.home_nothing_started)]
    back, on = replace(pages, started=pages.started - 1), replace(pages, started=pages.started + 1)
    shown += _pager(3, pages.started, started.more, back, on, words)
    if recent:
        shown.append(_head(words.home_recent))
        for row in recent:
            shown += _line(row, 0, words)
    return {"type": "home", "callback_id": "home", "private_metadata": pages.encode(), "blocks": shown}


def _card(row: Row, place: int, words: Catalogue) -> list[Block]:
    """Return a question with its buttons, if it can be shown whole."""
    (wait,) = row.waits
    question, ask = None if wait.question is None else wait.question.said_in(words), wait.ask
    body = None if question is None else _whole(question)
    if question is None or body is None:
        return _beginning(row, words)
    token = AskToken.of(ask)
    buttons = answers(question, token, words, block_id=f"answers.{place}", first=_BUTTONS * place)
    return [body, *buttons, *context(_about(row, wait, words))]


def _beginning(row: Row, words: Catalogue) -> list[Block]:
    (wait,) = row.waits
    question = wait.question
    line = words.question_elsewhere if question is None else first_line(question.said_in(words).text, words)
    told = " · ".join(filter(None, ["" if question is None else words.home_too_long, _about(row, wait, words)]))
    return [{"type": "section", "text": plain(line)}, *context(told)]


def _whole(question: Question) -> Block | None:
    """Return all that is asked in one block; None if it is too long for that, or there is more to it than its text."""
    if width(question.text) > WHOLE_CHARS or question.details:
        return None
    body = sections(question.text) or [section("–")]
    return body[0] if len(body) == 1 and width(question.text) <= SECTION_CHARS else None


def _about(row: Row, wait: Waiting, words: Catalogue) -> str:
    told = whom(wait.question, row.run.requester, words)
    if wait.ask.quorum > 1:
        told.append(words.votes_count.format(count=len(wait.ask.votes), quorum=wait.ask.quorum))
    if wait.ask.deadline is not None:
        told.append(due(wait.ask.deadline, wait.question, words))
    if row.link is not None:
        told.append(linked(row.link, words.run_open))
    return " · ".join(told)


def _line(row: Row, place: int, words: Catalogue) -> list[Block]:
    """Return a run of one's own in two blocks."""
    button = cancel_button(row, f"{CANCEL}.{place}", words)
    called: Block = {"type": "section", "text": plain(name_of(row))}
    elements = [mrkdwn(facts(row, words))]
    for wait in row.waits[:1]:
        elements += waiting(wait, words)["elements"]
    return [called if button is None else {**called, "accessory": button}, {"type": "context", "elements": elements}]


def _pager(number: int, page: int, more: bool, back: Pages, on: Pages, words: Catalogue) -> list[Block]:
    wanted = [(back, words.newer, number)] if page else []
    wanted += [(on, words.older, number + 1)] if more and page < LAST_PAGE else []
    buttons = [
        {"type": "button", "action_id": f"{TURN}.{n}", "text": plain(label), "value": pages.encode()}
        for pages, label, n in wanted
    ]
    return [{"type": "actions", "block_id": f"{TURN}.{number}", "elements": buttons}] if buttons else []


def _head(text: str) -> Block:
    return {"type": "header", "text": plain(text)}
