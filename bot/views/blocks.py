"""Our types as Slack's Block Kit JSON, within every limit Slack has.

What does not fit into one message is returned whole as `Message.overflow`, to be uploaded
beside the first part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, assert_never

from bot.asking.legible import capitalised, width
from bot.asking.prompts import EDIT_CHARS, Question, literal
from bot.block_kit import Block
from bot.languages import ENGLISH, Catalogue
from bot.payloads.tokens import AskToken
from bot.views.buttons import answers, menu
from bot.views.escaping import escape, safe, shorten, visible
from bot.views.markdown import SECTION_CHARS, bare, mrkdwn, section, sections, split
from bot.views.results import result_text
from bot.views.wording import deed, due, listed, mention, mentions, number, when
from engine.run_store import AskRecord
from engine.verdicts import Cancelled, Expired

# docs.slack.dev/reference/block-kit; the total is undocumented: slackapi/bolt-js issues 2509 and 2867
# measured about 13,400 characters of text, of which each block takes some 125.
MESSAGE_BLOCKS = 50
MESSAGE_CHARS = 13_000
BLOCK_CHARS = 125
READ_CHARS = 3 * MESSAGE_CHARS  # no Markdown of this length fits, so the rest need not be looked at
CONTEXT_CHARS = 2000
TEXT_CHARS = 4000
COMMENT_CHARS = 1500
EDITED_CHARS = 6000
"""Twice what can be typed: what is invisible is spelled out."""
PEOPLE = 20


@dataclass(frozen=True, slots=True)
class Message:
    """What to post. *text* is what notifications and screen readers get."""

    text: str
    blocks: list[Block] = field(default_factory=list)
    overflow: str | None = None
    """The whole text, to be uploaded as a file since the blocks hold only its first part."""
    overflow_title: str = ""


@dataclass(frozen=True, slots=True)
class Decided:
    """A question was answered: by whom, when (POSIX seconds), how. *by* is "" if time did it."""

    by: str
    at: float
    response: str
    comment: str = ""
    text: str = ""
    """What was approved, where it was edited first."""
    votes: tuple[tuple[str, str], ...] = ()
    """(who, response) where more than one had to agree."""


Outcome: TypeAlias = Decided | Expired | Cancelled


# --- Messages ---------------------------------------------------------------------------


def prompt_message(
    question: Question,
    ask: AskRecord,
    *,
    requester: str = "",
    asked_too: Sequence[str] = (),
    thread_replies: bool = False,
    words: Catalogue = ENGLISH,
) -> Message:
    """Return the question with its buttons, which are bound to *ask*, what is stored of it.

    With *thread_replies* people are told that a reply is an answer too, where the question takes words. Of a question
    that somebody was reminded of, it says when and since when it waits; *asked_too* are those who were asked since.
    """
    facts = whom(question, requester, words)
    if question.version is not None:
        facts.append(words.version.format(version=question.version))
    if question.approvers:
        facts.append(words.may_answer.format(allowed=mentions(question.approvers, words.list_or, PEOPLE)))
    if question.quorum > 1:
        facts.append(_progress(question, ask.votes, words))
    if ask.reminded_at is not None:
        facts.append(words.reminded.format(asked=when(ask.opened_at, words), at=when(ask.reminded_at, words)))
    if asked_too:
        facts.append(words.asked_too.format(who=mentions(asked_too, words.list_and, PEOPLE)))
    if ask.deadline is not None:
        facts.append(due(ask.deadline, question, words))
    if question.editable is not None and not question.edits:
        facts.append(words.too_long_to_edit.format(most=number(EDIT_CHARS, words)))
    if thread_replies and question.takes_text is not None:
        facts.append(words.reply_hint)
    foot = context(" · ".join(facts))
    token = AskToken.of(ask)
    # What leaves a question open approves nothing that was shown, so it is not bound to that.
    more = menu(question, replace(token, digest=""), words)
    foot += answers(question, token, words, more=more)
    names = listed([choice.shown for choice in question.choices], words.list_or)
    text = words.notification.format(question=one_line(question.text, 300, words), choices=safe(shorten(names, 300)))
    return _message(text, question.text, foot, words, question.details, notice=words.read_whole)


def locked_message(question: Question, outcome: Outcome, *, requester: str = "", words: Catalogue = ENGLISH) -> Message:
    """Return the question as it stands once it is closed: what became of it, and no button."""
    notice, foot = _closing(question, outcome, words)
    foot += context(" · ".join(whom(question, requester, words)))
    text = f"{notice}: {one_line(question.text, 300, words)}"
    return _message(text, question.text, foot, words, question.details)


def elsewhere_message(question: Question, outcome: Outcome | None = None, *, words: Catalogue = ENGLISH) -> Message:
    """Return, for those who are not to read the question, who was asked in private, and what came of it once closed.

    The words of whoever answered stay with the question.
    """
    text = words.asked_privately.format(who=mentions(question.copies, words.list_and, PEOPLE))
    if outcome is None:
        return Message(text, [section(text)])
    if isinstance(outcome, Decided):
        outcome = replace(outcome, comment="")
    notice, foot = _closing(question, outcome, words)
    return Message(f"{notice}: {text}", [section(text), *foot])


def _closing(question: Question, outcome: Outcome, words: Catalogue) -> tuple[str, list[Block]]:
    """Return what became of a question, in short and as blocks."""
    match outcome:
        case Decided(by=by, at=at, response=response, comment=comment, text=text, votes=votes):
            done = capitalised(deed(response, question.labels, words))
            template = words.locked if by else words.locked_nobody
            headline = template.format(deed=done, by=mention(by), at=when(at, words))
            foot = [section(headline), *_quote(comment)]
            if text:
                foot += [*context(words.locked_edited), *sections(literal(shorten(visible(text), EDITED_CHARS)))]
            if len(votes) > 1:
                foot += context(words.locked_votes.format(votes=_votes(question, votes, words)))
            return done, foot
        case Expired(at=at):
            notice = words.locked_expired.format(at=when(at, words))
        case Cancelled(by=by, at=at):
            template = words.locked_cancelled_by if by else words.locked_cancelled
            notice = template.format(by=mention(by), at=when(at, words))
        case _:
            assert_never(outcome)
    return notice, [section(notice)]


def result_message(result: object, *, words: Catalogue = ENGLISH) -> Message:
    """Return what a run came to: a mapping key by key, anything else as text. It is data, so no markup in it counts."""
    body = result_text(result, words)
    if not body.strip():
        return Message(words.result_none, [section(words.result_none)])
    return _message(one_line(body, 1000, words), body, [], words)


def failure_message(reason: str, *, requester: str = "", words: Catalogue = ENGLISH) -> Message:
    """Return that a run ended without a result. *reason* is for people, without a traceback."""
    text = " ".join(filter(None, [mention(requester) if requester else "", words.failed]))
    return Message(text, [section(text), *_quote(reason)])


def parked_message(*, words: Catalogue = ENGLISH) -> Message:
    """Return that a run is kept, and goes on when an operator lets it."""
    return Message(words.parked, [section(words.parked)])


def details_message(by: str, requester: str, text: str, *, words: Catalogue = ENGLISH) -> Message:
    """Return what somebody asks the requester before they answer."""
    told = words.details_asked.format(by=mention(by), requester=mention(requester))
    return Message(told, [section(told), *_quote(text)])


def cancelled_message(*, words: Catalogue = ENGLISH) -> Message:
    """Return that a run was closed before it finished."""
    return Message(words.stopped, [section(words.stopped)])


def private_message(text: str) -> Message:
    """Return a note for one person; *text* is mrkdwn, as `bot.views.wording` returns it."""
    text = cut(text, SECTION_CHARS)
    return Message(text, [section(text)])


def metadata(run_id: str, ask_id: str, effect_id: str) -> dict[str, Any]:
    """Return what a message is known by when we look for it again. Any app may read it: ids only."""
    return {
        "event_type": "signoff_effect",
        "event_payload": {"run_id": run_id, "ask_id": ask_id, "effect_id": effect_id},
    }


# --- Pieces -----------------------------------------------------------------------------


def _folded(part: Block) -> Block:
    """Return a section as Slack shows it folded when it is long."""
    return {key: value for key, value in part.items() if key != "expand"}


def context(text: str) -> list[Block]:
    """Return *text*, mrkdwn, in small print; nothing if there is none."""
    return [{"type": "context", "elements": [mrkdwn(cut(text, CONTEXT_CHARS))]}] if text.strip() else []


def _quote(text: str) -> list[Block]:
    shown = shorten(visible(text).strip(), COMMENT_CHARS)
    if not shown:
        return []
    quote = {"type": "rich_text_quote", "elements": [{"type": "text", "text": shown}]}
    return [{"type": "rich_text", "elements": [quote]}]


def whom(question: Question | None, requester: str, words: Catalogue) -> list[str]:
    """Return by whom something is asked, and about whom."""
    facts = [words.asked_by.format(by=mention(requester))] if requester else []
    if question is not None and question.concerns:
        facts.append(words.concerns.format(who=mentions(question.concerns, words.list_and, PEOPLE)))
    return facts


def _votes(question: Question, votes: Sequence[tuple[str, str]], words: Catalogue) -> str:
    return ", ".join(f"{mention(who)}: {deed(response, question.labels, words)}" for who, response in votes[:PEOPLE])


def _progress(question: Question, votes: Sequence[tuple[str, str]], words: Catalogue) -> str:
    if not votes:
        return words.votes_needed.format(quorum=question.quorum)
    shown = _votes(question, votes, words)
    return words.votes_so_far.format(count=len(votes), quorum=question.quorum, votes=shown)


def cut(text: str, chars: int) -> str:
    """Return mrkdwn that fits, not cut inside an entity."""
    return text if width(text) <= chars else next(split(text, chars - 1)) + "…"


def one_line(text: str, chars: int, words: Catalogue) -> str:
    """Return the beginning of a Markdown text on one line without its markup, for notifications and hints."""
    said = bare(visible(text.strip()[: 4 * chars]))
    return escape(shorten(" ".join(said.split()), chars)) or words.no_text


# --- A body within the limits of a message -------------------------------------------------


def _message(
    text: str, body: str, foot: list[Block], words: Catalogue, details: str = "", *, notice: str = ""
) -> Message:
    """Return *body*, and folded *details*, above *foot*; what is too long goes into a file, and *notice* says so."""
    parts = sections(body[:READ_CHARS]) or [section(words.no_text)]
    parts += [_folded(part) for part in sections(details[:READ_CHARS])]
    below = context(notice or words.goes_on_in_file)
    text = cut(text, TEXT_CHARS)
    if len(body) <= READ_CHARS and len(details) <= READ_CHARS and _fits([*parts, *foot]):
        return Message(text, [*parts, *foot])
    shown: list[Block] = []
    for part in parts:
        if not _fits([*shown, part, *below, *foot]):
            break
        shown.append(part)
    whole = visible("\n\n".join(filter(None, (body, details))))
    return Message(text, [*shown, *below, *foot], overflow=whole, overflow_title=words.whole_text)


def _fits(blocks: list[Block]) -> bool:
    spent = sum(width(text) for text in _texts(blocks)) + BLOCK_CHARS * len(blocks)
    return len(blocks) <= MESSAGE_BLOCKS and spent <= MESSAGE_CHARS


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name == "text" and isinstance(item, str):
                yield item
            else:
                yield from _texts(item)
