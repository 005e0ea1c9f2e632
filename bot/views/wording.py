"""Which of a language's words are said.

The words stand in `bot.languages`; the functions below choose among them and fill them in.
Templates are ours; what is filled in is escaped before, by `bot.views.escaping`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import assert_never

from bot.asking.forms import Problem
from bot.asking.legible import capitalised
from bot.asking.prompts import Question
from bot.asking.replies import NotTaken, NotUnderstood
from bot.asking.triggers import BadText, EmptyText, MessageWithoutText, SlashCommand, TextTooLong
from bot.languages import ENGLISH, Catalogue
from bot.manifest import NAME
from bot.slack_ids import is_channel, is_person, is_user_group
from bot.views.escaping import safe, shorten
from engine.verdicts import (
    Accepted,
    Already,
    Cancelled,
    Expired,
    Invalid,
    NotAllowed,
    Recorded,
    Stale,
    Unknown,
    Verdict,
)

# --- Pieces -------------------------------------------------------------------------------


def mention(who: str) -> str:
    """Return a person, user group or channel as Slack shows them; what is no id is shown as it is."""
    if is_person(who):
        return f"<@{who}>"
    if is_user_group(who):
        return f"<!subteam^{who}>"
    if is_channel(who):
        return f"<#{who}>"
    return safe(who)


def mentions(who: Sequence[str], template: str, most: int | None = None) -> str:
    """Return whom several ids stand for, by a catalogue's ``list_and`` or ``list_or``; beyond *most* how many more."""
    shown = [mention(one) for one in who[:most]]
    return listed([*shown, f"+{len(who) - len(shown)}"] if len(shown) < len(who) else shown, template)


def when(at: float, words: Catalogue = ENGLISH) -> str:
    """Return a time (POSIX seconds) that each reader sees in their own time zone."""
    try:
        fallback = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return "?"
    return f"<!date^{int(at)}^{words.moment}|{fallback}>"


def due(deadline: float, question: Question | None, words: Catalogue = ENGLISH) -> str:
    """Return by when a question is to be answered, and which answer it is if nobody gives one."""
    if question is None or not question.silence:
        return words.deadline.format(at=when(deadline, words))
    silence = safe(question.said_in(words).labels.get(question.silence, question.silence))
    return words.deadline_or.format(at=when(deadline, words), choice=silence)


def linked(address: str, text: str) -> str:
    """Return a link that Slack gave us, under our own *text*."""
    address = address.replace("|", "%7C").replace(">", "%3E").replace("<", "%3C")
    return f"<{address}|{text}>"


def number(n: int, words: Catalogue = ENGLISH) -> str:
    """Return a whole number as people write it."""
    return f"{n:,}".replace(",", words.thousands)


def listed(items: Sequence[str], template: str) -> str:
    """Return "a, b and c", by a catalogue's ``list_and`` or ``list_or``."""
    if len(items) < 2:
        return "".join(items)
    return template.format(items=", ".join(items[:-1]), last=items[-1])


# --- Choosing among them ----------------------------------------------------------------


def verdict_text(
    verdict: Verdict,
    *,
    viewer: str = "",
    labels: Mapping[str, str] | None = None,
    words: Catalogue = ENGLISH,
) -> str:
    """Return what to tell *viewer*, as mrkdwn. The same verdict is always told the same.

    *labels* are the question's button labels by response.
    """
    match verdict:
        case Accepted(by=by, response=response):
            template = words.accepted if by in ("", viewer) or not viewer else words.accepted_of
            return template.format(deed=deed(response, labels, words), by=mention(by))
        case Recorded(count=count, quorum=quorum):
            return words.recorded.format(count=count, quorum=quorum)
        case Already(by=by, at=at, response=response):
            template = words.already_you if by and by == viewer else words.already if by else words.already_nobody
            return template.format(deed=deed(response, labels, words), by=mention(by), at=when(at, words))
        case Expired(at=at):
            return words.expired.format(at=when(at, words))
        case Cancelled(by=by, at=at):
            return (words.cancelled_by if by else words.cancelled).format(by=mention(by), at=when(at, words))
        case Stale():
            return words.outdated
        case NotAllowed(allowed=allowed):
            if not allowed:
                return words.not_allowed_anyone
            return words.not_allowed.format(allowed=mentions(allowed, words.list_or))
        case Invalid(problems=problems):
            told = [f"{safe(name)}: {safe(problem)}" if name else safe(problem) for name, problem in problems]
            return words.invalid.format(problems="; ".join(problem.rstrip(".") for problem in told) or "?")
        case Unknown():
            return words.unknown
        case _:
            assert_never(verdict)


def outdated_text(current: str | None, words: Catalogue = ENGLISH) -> str:
    """Return what to tell somebody who answered an older question, with a link to the newest if there is one."""
    if current is None or not current.startswith("https://"):
        return words.outdated
    return words.outdated_link.format(link=linked(current, words.outdated_link_text))


def taken_as(said: str, choice: str, labels: Mapping[str, str] | None, words: Catalogue = ENGLISH) -> str:
    """Return as which choice somebody's words were taken."""
    quoted = safe(shorten(" ".join(said.split()), 80))
    return words.taken_as.format(said=quoted, label=safe((labels or {}).get(choice, choice)))


def too_few_left(allowed: Sequence[str], link: str | None, words: Catalogue = ENGLISH) -> str:
    """Return what to tell whoever asked something that too few people are left to answer."""
    told = words.too_few_left.format(allowed=mentions(allowed, words.list_or))
    return told if link is None or not link.startswith("https://") else f"{told} {link}"


def handed_on(to: str, beside: Sequence[str], words: Catalogue = ENGLISH) -> str:
    """Return that *to* may answer now, and that the groups *beside*, of whoever handed it on, still may, too."""
    template = words.handed_on_beside if beside else words.handed_on
    return template.format(who=mention(to), beside=mentions(beside, words.list_and))


def not_taken_text(reply: NotTaken, words: Catalogue = ENGLISH) -> str:
    """Return what to tell somebody of whom no answer could be taken."""
    match reply.why:
        case "edited":
            return words.edited_reply
        case "nothing_open":
            return words.nothing_open
        case "lost":
            return words.lost
        case "unchecked":
            return words.unchecked
        case "form_changed":
            return words.form_changed
        case "form_broken":
            return words.form_broken
        case "guest":
            return words.guest
        case "stranger":
            return words.stranger
        case "deactivated":
            return words.deactivated
        case "bot":
            return words.bot
        case _:
            assert_never(reply.why)


def not_understood_text(
    reply: NotUnderstood, question: Question | None, said: str = "", words: Catalogue = ENGLISH
) -> str:
    """Return how to ask somebody back whose words were no answer."""
    match reply.why:
        case "needs_text":
            return words.needs_text
        case "confirm":
            return words.needs_button
        case "form":
            return words.needs_form
        case "unknown":
            return words.unknown
        case "words":
            given = () if question is None else filter(question.in_a_word, question.choices)
            choices = [f"*{safe(choice.shown)}*" for choice in given]
            if not choices or not said.strip():
                return words.not_understood_buttons
            quoted = safe(shorten(" ".join(said.split()), 80))
            return words.not_understood.format(said=quoted, choices=listed(choices, words.list_or))
        case _:
            assert_never(reply.why)


# Pydantic's error types, docs.pydantic.dev/latest/errors/validation_errors, as texts, with the limit they name.
_PROBLEMS = {
    "missing": ("field_missing", ""),
    "greater_than_equal": ("field_least", "ge"),
    "greater_than": ("field_more", "gt"),
    "less_than_equal": ("field_most", "le"),
    "less_than": ("field_less", "lt"),
    "decimal_max_places": ("field_places", "decimal_places"),
    "decimal_max_digits": ("field_digits", "max_digits"),
    "decimal_whole_digits": ("field_digits", "whole_digits"),
    "string_too_short": ("field_short", "min_length"),
    "string_too_long": ("field_long", "max_length"),
    "too_short": ("field_few", "min_length"),
    "too_long": ("field_many", "max_length"),
    "literal_error": ("field_choice", ""),
    "enum": ("field_choice", ""),
    "string_pattern_mismatch": ("field_pattern", ""),
}
_PROBLEM_FAMILIES = {"int": "field_whole", "float": "field_number", "decimal": "field_number", "bool": "field_choice"}
_PROBLEM_FAMILIES |= dict.fromkeys(("date", "time", "datetime"), "field_time")


def problem_text(problem: Problem, words: Catalogue = ENGLISH) -> str:
    """Return what is wrong with a field, as plain text; an author's validator speaks for itself."""
    if problem.kind in ("value_error", "assertion_error"):
        return capitalised(problem.said.partition(", ")[2]) or words.field_other.format(said=problem.said)
    if (known := _PROBLEMS.get(problem.kind)) is not None:
        name, limit = known
        return str(getattr(words, name)).format(limit=str(problem.limits.get(limit, "")).removesuffix(".0"))
    family, _, rest = problem.kind.partition("_")
    if family in _PROBLEM_FAMILIES and rest:
        return str(getattr(words, _PROBLEM_FAMILIES[family]))
    return words.field_other.format(said=problem.said.rstrip("."))


def bad_text(problem: BadText, words: Catalogue = ENGLISH) -> str:
    """Return why a command's text was refused, before anything was started."""
    match problem:
        case EmptyText(command=command, usage=usage):
            template = words.empty_text_usage if usage else words.empty_text
            return template.format(command=safe(command), usage=safe(usage))
        case MessageWithoutText():
            return words.message_without_text
        case TextTooLong(command=command, chars=chars, max_chars=limit):
            return words.too_long.format(
                command=safe(command), chars=number(chars, words), max_chars=number(limit, words)
            )
        case _:
            assert_never(problem)


def unknown_command(command: str, known: Sequence[SlashCommand], words: Catalogue = ENGLISH) -> str:
    """Return what to tell somebody whose command no workflow has."""
    typed = safe(shorten(command, 40)).replace("`", "'")
    if not known:
        return words.unknown_command_none.format(command=typed)
    names = [f"`{command.command}`" for command in known]
    return words.unknown_command.format(command=typed, known=listed(names, words.list_and))


def not_in_channel(channel_id: str, words: Catalogue = ENGLISH) -> str:
    """Return how to let the bot into a channel it cannot post to; nobody can invite it where two people talk."""
    if not is_channel(channel_id):
        return words.not_in_conversation
    return words.not_in_channel.format(channel=mention(channel_id), bot=f"@{NAME}")


def closed_channel(channel_id: str, words: Catalogue = ENGLISH) -> str:
    """Return that nothing was started since nobody may post to a channel, or the bot may not, though it is there."""
    if not is_channel(channel_id):
        return words.not_in_conversation
    return words.closed_channel.format(channel=mention(channel_id))


def deed(response: str, labels: Mapping[str, str] | None = None, words: Catalogue = ENGLISH) -> str:
    """Return what was done by this response, to stand behind "this was"."""
    if (known := words.deeds.get(response.casefold())) is not None:
        return known
    label = (labels or {}).get(response, response)
    return words.deed_other.format(label=safe(shorten(" ".join(label.split()), 80)))
