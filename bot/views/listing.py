"""What one person is shown of their runs in answer to ``/runs``: a list, one run, the way to cancel one. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bot.asking.prompts import Question
from bot.block_kit import Block, plain
from bot.languages import ENGLISH, Catalogue
from bot.views.blocks import Message, context
from bot.views.escaping import safe, shorten, visible
from bot.views.markdown import bare, mrkdwn, section
from bot.views.wording import due, linked, mentions, when
from engine.run_store import OVER, AskRecord, RunRecord

PAGE = 10
"""How many runs a list shows at a time."""
LAST_PAGE = 99
TURN, CANCEL = "runs.page", "runs.cancel"
"""Action ids, before a dot and a number: the value of the first is a page, that of the second a run."""
ACTION = re.compile(r"runs\.(page|cancel)\.\d+")
TITLE_CHARS = 120
PEOPLE = 5
WAITS = 5
"""How many of a run's open questions are told of; in a list one, since a message takes some 13,000 characters."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A question that is open. *question* is None where it cannot be read here."""

    ask: AskRecord
    question: Question | None


@dataclass(frozen=True, slots=True)
class Row:
    """A run as people know it: by the command that started it and what they typed behind."""

    run: RunRecord
    command: str
    text: str = ""
    link: str | None = None
    """To the first message it was shown in."""
    waits: tuple[Waiting, ...] = ()


def run_list(rows: Sequence[Row], page: int, *, more: bool, headline: str = "", words: Catalogue = ENGLISH) -> Message:
    """Return one page, counted from 0, of somebody's runs, newest first; *more* come on the next."""
    if not rows and not page:
        text = " ".join(filter(None, [headline, words.runs_none]))
        return Message(text, [section(text)])
    title = words.runs_title if not page else words.runs_title_page.format(page=page + 1)
    shown = [section(headline)] if headline else []
    shown += [section(f"*{title}*")]
    for number, row in enumerate(rows, page * PAGE + 1):
        shown += entry(row, words, number=number)
    return Message(headline or title, [*shown, *_pager(page, more=more, words=words)])


def run_card(row: Row, *, words: Catalogue = ENGLISH) -> Message:
    """Return how one run stands."""
    told = words.run_id.format(run=f"`{safe(row.run.run_id)}`")
    return Message(safe(name_of(row)), [*entry(row, words), *context(told)])


def cancel_card(row: Row, *, words: Catalogue = ENGLISH) -> Message:
    """Return the question whether this run is to be cancelled."""
    return Message(words.run_cancel_sure, [section(words.run_cancel_sure), *entry(row, words)])


def entry(row: Row, words: Catalogue, number: int = 0) -> list[Block]:
    """Return what a run is called, how it stands, and what it waits for; with a *number*, in three blocks at most."""
    called: Block = {"type": "section", "text": plain(f"{number}. {name_of(row)}" if number else name_of(row))}
    if (button := cancel_button(row, f"{CANCEL}.{number}", words)) is not None:
        called["accessory"] = button
    return [
        called,
        *context(facts(row, words)),
        *(waiting(wait, words) for wait in row.waits[: 1 if number else WAITS]),
    ]


def name_of(row: Row) -> str:
    """Return what a run is called, on one line."""
    return visible(shorten(" ".join(f"{row.command} {row.text}".split()), TITLE_CHARS))


def facts(row: Row, words: Catalogue = ENGLISH) -> str:
    """Return how a run stands, since when it is there, and the way to its message."""
    told = [words.statuses[row.run.status], words.run_started.format(at=when(row.run.created_at, words))]
    return " · ".join([*told, *([] if row.link is None else [linked(row.link, words.run_open)])])


def waiting(wait: Waiting, words: Catalogue = ENGLISH) -> Block:
    """Return what a run waits for, and for whom."""
    told = [words.run_waits.format(who=_whose(wait.ask, words))]
    if wait.ask.quorum > 1:
        told.append(words.votes_count.format(count=len(wait.ask.votes), quorum=wait.ask.quorum))
    if wait.ask.deadline is not None:
        told.append(due(wait.ask.deadline, wait.question, words))
    asked = words.question_elsewhere if wait.question is None else first_line(wait.question.said_in(words).text, words)
    return {"type": "context", "elements": [mrkdwn(" · ".join(told)), plain(asked)]}


def first_line(text: str, words: Catalogue) -> str:
    """Return the beginning of a Markdown text as plain text, for where nothing in it may count as markup."""
    line = bare(visible(text.strip().partition("\n")[0][: 4 * TITLE_CHARS]))
    return shorten(" ".join(line.split()), TITLE_CHARS) or words.no_text


def _whose(ask: AskRecord, words: Catalogue = ENGLISH) -> str:
    """Return who may answer."""
    if not ask.allowed:
        return words.anybody
    return mentions(ask.allowed, words.list_or, PEOPLE)


def _pager(page: int, *, more: bool, words: Catalogue) -> list[Block]:
    """Return buttons to the pages beside this one, if there are any."""
    wanted = [(page - 1, words.newer)] if page else []
    wanted += [(page + 1, words.older)] if more and page < LAST_PAGE else []
    buttons = [
        {"type": "button", "action_id": f"{TURN}.{to}", "text": plain(label), "value": str(to)} for to, label in wanted
    ]
    return [{"type": "actions", "block_id": TURN, "elements": buttons}] if buttons else []


def cancel_button(row: Row, action_id: str, words: Catalogue = ENGLISH) -> Block | None:
    """Return the button that cancels a run; None if it is over."""
    if row.run.status in OVER:
        return None
    return {
        "type": "button",
        "action_id": action_id,
        "text": plain(words.run_cancel),
        "value": row.run.run_id,
        "style": "danger",
        "confirm": {
            "title": plain(words.confirm_title),
            "text": plain(words.run_cancel_confirm.format(run=shorten(name_of(row), 150))),
            "confirm": plain(words.run_cancel),
            "deny": plain(words.confirm_no),
        },
    }
