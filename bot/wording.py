"""Every word people read, one catalogue per language; and how foreign text is made safe to show.

The words stand in a `Catalogue`; the functions below choose among them and fill them in.
Templates are ours; what is filled in was escaped before. A second language is a second
`Catalogue` in `CATALOGUES`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import assert_never

from bot.prompts import Question
from bot.replies import NotUnderstood
from bot.triggers import BadText, EmptyText, SlashCommand, TextTooLong
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

# --- Foreign text -----------------------------------------------------------------------

_NEWLINES = re.compile("\r\n|[\r\u2028\u2029\x0b\x0c\x85]")
_FLAG = "\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f"  # England, Scotland, Wales
_SUSPECT = re.compile(
    f"({_FLAG})|[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U0001d173-\U0001d17a"
    "\U000e0000-\U000e007f]"
)
_JOINERS = "\u200c\u200d"


def visible(text: str) -> str:
    """Return *text* with what hides or reorders characters spelled out, as ``[U+202E]``.

    Joiners stay where a script or an emoji sequence needs them.
    """
    text = _NEWLINES.sub("\n", text)

    def spell(match: re.Match[str]) -> str:
        char = match[0]
        if match[1] or (char in _JOINERS and _joins(text, match.start())):
            return char
        return f"[U+{ord(char):04X}]"

    return _SUSPECT.sub(spell, text)


def _joins(text: str, at: int) -> bool:
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if not before or not after:
        return False
    kinds = unicodedata.category(before), unicodedata.category(after)
    if text[at] == "\u200d" and kinds[1] == "So":
        return kinds[0] in ("So", "Sk") or before == "\ufe0f"
    return all(kind in ("Lo", "Mn", "Mc") for kind in kinds) and before != "\ufe0f"


def escape(text: str) -> str:
    """Return *text* so that Slack reads no mention, link or date in it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def safe(text: str) -> str:
    """Return foreign text for a mrkdwn string: everything visible, nothing active."""
    return escape(visible(text))


def shorten(text: str, chars: int) -> str:
    """Return *text* in at most *chars* characters, with an ellipsis where it was cut."""
    if width(text) <= chars:
        return text
    return text[: fitting(text, chars - 1)].rstrip() + "…"


def width(text: str) -> int:
    """The length as Slack's clients count it, in UTF-16 units: never less than `len`."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def fitting(text: str, chars: int) -> int:
    """Return how many characters from the front of *text* are at most *chars* wide."""
    end = min(len(text), chars)
    while (over := width(text[:end]) - chars) > 0:
        end -= (over + 1) // 2
    return end


def mention(who: str) -> str:
    """Return a person or user group as Slack shows them; what is no id is shown as it is."""
    if re.fullmatch(r"[UW][A-Z0-9]+", who):
        return f"<@{who}>"
    if re.fullmatch(r"S[A-Z0-9]+", who):
        return f"<!subteam^{who}>"
    return safe(who)


def when(at: float) -> str:
    """Return a time (POSIX seconds) that each reader sees in their own time zone."""
    try:
        fallback = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return "?"
    return f"<!date^{int(at)}^{{date_short_pretty}} at {{time}}|{fallback}>"


# --- The words --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One language. Placeholders are named; each template says the whole sentence."""

    language: str
    deeds: Mapping[str, str]
    """What was done, for responses everybody knows: "approved"."""
    deed_other: str
    list_and: str
    list_or: str
    # what an answer is told
    accepted: str
    accepted_of: str
    recorded: str
    already: str
    already_you: str
    already_nobody: str
    outdated: str
    outdated_link: str
    expired: str
    cancelled: str
    cancelled_by: str
    not_allowed: str
    not_allowed_anyone: str
    invalid: str
    unknown: str
    lost: str
    # what a reply is told that is no answer
    not_understood: str
    not_understood_buttons: str
    needs_text: str
    needs_button: str
    # what a command is told
    empty_text: str
    empty_text_usage: str
    too_long: str
    unknown_command: str
    unknown_command_none: str
    not_recorded: str
    not_in_channel: str
    not_readable: str
    # on messages
    asked_by: str
    version: str
    may_answer: str
    votes_needed: str
    votes_so_far: str
    deadline: str
    reply_hint: str
    no_text: str
    goes_on_in_file: str
    locked: str
    locked_nobody: str
    locked_votes: str
    locked_expired: str
    locked_cancelled: str
    locked_cancelled_by: str
    comment_by: str
    notification: str
    result_none: str
    parked: str
    timed_out: str
    reminder: str
    not_posted: str
    modal_not_opened: str
    nothing_open: str
    failed: str
    stopped: str
    stopped_by: str
    # on modals
    comment_title: str
    comment_label: str
    comment_hint: str
    comment_missing: str
    send: str
    close: str
    confirm_title: str
    confirm_yes: str
    confirm_no: str
    notice_title: str
    loading: str


ENGLISH = Catalogue(
    language="en",
    deeds={
        "approve": "approved",
        "approved": "approved",
        "reject": "rejected",
        "rejected": "rejected",
        "revise": "sent back for revision",
        "feedback": "sent back with feedback",
        "answer": "answered",
    },
    deed_other="answered “{label}”",
    list_and="{items} and {last}",
    list_or="{items} or {last}",
    accepted="Thank you, this is now {deed}.",
    accepted_of="This is now {deed} by {by}.",
    recorded="Your answer is recorded: {count} of {quorum} so far.",
    already="This was already {deed} by {by}, {at}. Nothing was changed.",
    already_you="You have answered this before: it was {deed}, {at}. Nothing was changed.",
    already_nobody="This was already {deed} when its time ran out, {at}. Nothing was changed.",
    outdated="This question is outdated: it has changed since it was shown here. Please answer the newest one.",
    outdated_link="This question is outdated: it has changed since it was shown here. {link}.",
    expired="This question expired {at}, so your answer could not count.",
    cancelled="This request was closed {at}, so there is nothing left to answer.",
    cancelled_by="{by} cancelled this request {at}, so there is nothing left to answer.",
    not_allowed="This question is not yours to answer. Please ask {allowed}.",
    not_allowed_anyone="This question is not yours to answer: whoever made the request cannot decide it.",
    invalid="Your answer could not be taken: {problems}.",
    unknown="This question is unknown here. It may be from long ago; please start the request again.",
    lost="This question is unknown here: what was saved last is older. Its request goes on and asks again.",
    not_understood="“{said}” is not an answer I can take here. Please reply {choices}, or use the buttons.",
    not_understood_buttons="Please answer with one of the buttons.",
    needs_text="Please write in words what you would like to say.",
    needs_button="This answer asks for a confirmation, so please use its button.",
    empty_text="`{command}` needs some text behind it, and there was none.",
    empty_text_usage="`{command}` needs some text behind it, and there was none. Like this: `{command} {usage}`",
    too_long="That is {chars} characters, and `{command}` takes at most {max_chars}. Please shorten it.",
    unknown_command="`{command}` is not something I know. I know {known}.",
    unknown_command_none="`{command}` is not something I know, and no command is set up yet.",
    not_recorded="That could not be recorded for certain just now. Please try again in a moment: "
    "it cannot count twice.",
    not_in_channel="I am not in {channel}, so I cannot post there. Type `/invite {bot}` there and try again.",
    not_readable="Slack sent this in a form I cannot read, so nothing has happened. Please try again.",
    asked_by="Asked by {by}",
    version="Version {version}",
    may_answer="For {allowed}",
    votes_needed="{quorum} people must agree",
    votes_so_far="{count} of {quorum} so far: {votes}",
    deadline="Answer before {at}",
    reply_hint="Or reply in the thread in your own words",
    no_text="(no text)",
    goes_on_in_file="_The text goes on in the file below: read it whole before you decide._",
    locked="*{deed}* by {by} · {at}",
    locked_nobody="*{deed}* because nobody answered in time · {at}",
    locked_votes="Votes: {votes}",
    locked_expired="*Expired* without an answer · {at}",
    locked_cancelled="*Closed* without an answer · {at}",
    locked_cancelled_by="*Cancelled* by {by} · {at}",
    comment_by="Comment",
    notification="{question} – answer with {choices}",
    parked="It is on hold: this version of Signoff cannot go on with it. It is kept and goes on after the next update.",
    timed_out="Nobody answered in time.",
    reminder="Still waiting for an answer {who}",
    not_posted="I could not post a message you are waiting for. Your request is kept; please tell whoever runs me.",
    nothing_open="No question is open here just now, so this was not taken as an answer. The next one comes below.",
    modal_not_opened="Slack was slow to open the form. If it does not appear, please press the button again.",
    result_none="Done.",
    failed="This request stopped because of a problem and did not finish.",
    stopped="This request was closed before it finished.",
    stopped_by="{by} cancelled this request.",
    comment_title="Your answer",
    comment_label="What would you like to say?",
    comment_hint="You may leave this empty.",
    comment_missing="Please write something.",
    send="Send",
    close="Close",
    confirm_title="Are you sure?",
    confirm_yes="Yes",
    confirm_no="Go back",
    notice_title="Signoff",
    loading="One moment…",
)

CATALOGUES = {"en": ENGLISH}


def catalogue(locale: str = "") -> Catalogue:
    """Return the words for a Slack locale as ``de-DE``; English where there is no better."""
    return CATALOGUES.get(locale.partition("-")[0].lower(), ENGLISH)


# --- Choosing among them ----------------------------------------------------------------


def verdict_text(
    verdict: Verdict,
    *,
    viewer: str = "",
    labels: Mapping[str, str] | None = None,
    current: str | None = None,
    words: Catalogue = ENGLISH,
) -> str:
    """Return what to tell *viewer*, as mrkdwn. The same verdict is always told the same.

    *labels* are the question's button labels by response; *current* is the address of the
    message that holds the newest question, for whoever answered an old one.
    """
    match verdict:
        case Accepted(by=by, response=response):
            template = words.accepted if by in ("", viewer) or not viewer else words.accepted_of
            return template.format(deed=deed(response, labels, words), by=mention(by))
        case Recorded(count=count, quorum=quorum):
            return words.recorded.format(count=count, quorum=quorum)
        case Already(by=by, at=at, response=response):
            template = words.already_you if by and by == viewer else words.already if by else words.already_nobody
            return template.format(deed=deed(response, labels, words), by=mention(by), at=when(at))
        case Expired(at=at):
            return words.expired.format(at=when(at))
        case Cancelled(by=by, at=at):
            return (words.cancelled_by if by else words.cancelled).format(by=mention(by), at=when(at))
        case Stale():
            return outdated_text(current, words)
        case NotAllowed(allowed=allowed):
            if not allowed:
                return words.not_allowed_anyone
            return words.not_allowed.format(allowed=listed([mention(who) for who in allowed], words.list_or))
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
    address = current.replace("|", "%7C").replace(">", "%3E").replace("<", "%3C")
    return words.outdated_link.format(link=f"<{address}|Here is the current one>")


def not_understood_text(reply: NotUnderstood, question: Question, said: str = "", words: Catalogue = ENGLISH) -> str:
    """Return how to ask somebody back whose words were no answer."""
    match reply.why:
        case "needs_text":
            return words.needs_text
        case "confirm":
            return words.needs_button
        case "unknown":
            return words.unknown
        case "words":
            choices = [f"*{safe(c.shown)}*" for c in question.choices if c.confirm is None]
            if not choices or not said.strip():
                return words.not_understood_buttons
            quoted = safe(shorten(" ".join(said.split()), 80))
            return words.not_understood.format(said=quoted, choices=listed(choices, words.list_or))
        case _:
            assert_never(reply.why)


def bad_text(problem: BadText, words: Catalogue = ENGLISH) -> str:
    """Return why a command's text was refused, before anything was started."""
    match problem:
        case EmptyText(command=command, usage=usage):
            template = words.empty_text_usage if usage else words.empty_text
            return template.format(command=safe(command), usage=safe(usage))
        case TextTooLong(command=command, chars=chars, max_chars=limit):
            return words.too_long.format(command=safe(command), chars=f"{chars:,}", max_chars=f"{limit:,}")
        case _:
            assert_never(problem)


def unknown_command(command: str, known: Sequence[SlashCommand], words: Catalogue = ENGLISH) -> str:
    """Return what to tell somebody whose command no workflow has."""
    typed = safe(shorten(command, 40)).replace("`", "'")
    if not known:
        return words.unknown_command_none.format(command=typed)
    names = [f"`{command.command}`" for command in known]
    return words.unknown_command.format(command=typed, known=listed(names, words.list_and))


def not_in_channel(channel_id: str, bot_name: str = "@Signoff", words: Catalogue = ENGLISH) -> str:
    """Return how to let the bot into a channel it cannot post to."""
    channel = f"<#{channel_id}>" if re.fullmatch(r"[CG][A-Z0-9]+", channel_id) else "this channel"
    return words.not_in_channel.format(channel=channel, bot=safe(bot_name))


def deed(response: str, labels: Mapping[str, str] | None = None, words: Catalogue = ENGLISH) -> str:
    """Return what was done by this response, to stand behind "this was"."""
    if (known := words.deeds.get(response.casefold())) is not None:
        return known
    label = (labels or {}).get(response, response)
    return words.deed_other.format(label=safe(shorten(" ".join(label.split()), 80)))


def listed(items: Sequence[str], template: str) -> str:
    """Return "a, b and c", by a catalogue's ``list_and`` or ``list_or``."""
    if len(items) < 2:
        return "".join(items)
    return template.format(items=", ".join(items[:-1]), last=items[-1])


def capitalised(text: str) -> str:
    """Return *text* as the beginning of a sentence."""
    return text[:1].upper() + text[1:]
