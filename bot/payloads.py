"""Slack's JSON, read into our own types; nothing in it is taken on trust.

Whatever arrives, a parser returns its type or raises `PayloadError`, which names what is
missing. A `delivery_id` is the same for the same delivery sent twice, and different for
two things a person did.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from bot.tokens import ID, AskToken

__all__ = [
    "ButtonClick",
    "CommandCall",
    "FieldValue",
    "HomeOpened",
    "Ignored",
    "ModalSubmit",
    "PayloadError",
    "PeopleChange",
    "ShortcutCall",
    "ThreadReply",
    "parse_click",
    "parse_command",
    "parse_home_opened",
    "parse_modal",
    "parse_people_change",
    "parse_reply",
    "parse_shortcut",
    "readable",
    "thread_link",
    "unescape",
]

TIMESTAMP = re.compile(r"[0-9]{1,12}\.[0-9]{1,9}")
_ENTITY = re.compile(r"<([@#!][^<>\n]+|(?:https?://|mailto:)[^<>\n]+)>")
_SEPARATOR = "\x1f"
_HUMAN_SUBTYPES = ("", "thread_broadcast", "file_share")


class PayloadError(ValueError):
    """Slack sent something we cannot read; the message names what is missing or odd."""


@dataclass(frozen=True, slots=True)
class CommandCall:
    """Somebody typed a slash command."""

    command: str
    text: str
    user_id: str
    user_name: str
    channel_id: str
    channel_name: str
    team_id: str
    enterprise_id: str
    trigger_id: str
    response_url: str
    delivery_id: str


@dataclass(frozen=True, slots=True)
class ButtonClick:
    """Somebody pressed a button. In App Home and modals there is no channel and no message: both are ""."""

    action_id: str
    value: str
    """What the button says that it stands for; not to be trusted."""
    token: AskToken | None
    user_id: str
    user_name: str
    channel_id: str
    message_ts: str
    thread_ts: str
    view_id: str
    team_id: str
    enterprise_id: str
    trigger_id: str
    response_url: str
    delivery_id: str

    @property
    def ref(self) -> str:
        """The message that the button stood on, as channel and time stamp; "" where it stood on none."""
        return f"{self.channel_id}:{self.message_ts}" if self.channel_id and self.message_ts else ""


FieldValue: TypeAlias = str | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class ModalSubmit:
    """Somebody sent a modal. *values* is by block id; a field left empty is None."""

    callback_id: str
    private_metadata: str
    token: AskToken | None
    values: Mapping[str, FieldValue]
    user_id: str
    user_name: str
    view_id: str
    view_hash: str
    team_id: str
    enterprise_id: str
    trigger_id: str
    delivery_id: str

    def text(self, block_id: str) -> str:
        """Return what was typed into one field, "" if nothing."""
        value = self.values.get(block_id)
        return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class ThreadReply:
    """A person wrote *text* in the thread below *thread_ts*."""

    text: str
    user_id: str
    channel_id: str
    channel_type: str
    thread_ts: str
    message_ts: str
    parent_user_id: str
    """Who wrote the message the thread stands below; "" if Slack does not say."""
    team_id: str
    enterprise_id: str
    event_id: str
    delivery_id: str


@dataclass(frozen=True, slots=True)
class ShortcutCall:
    """Somebody picked a message for one of our shortcuts. *text* is as its readers see it."""

    callback_id: str
    text: str
    author_id: str
    """Who wrote the message; "" if an app did."""
    message_ts: str
    thread_ts: str
    user_id: str
    user_name: str
    channel_id: str
    team_id: str
    enterprise_id: str
    response_url: str
    delivery_id: str


@dataclass(frozen=True, slots=True)
class HomeOpened:
    """Somebody has opened the app's Home, or another of its tabs."""

    user_id: str
    tab: str
    view_hash: str
    """Of what is shown there now; "" if nothing ever was."""
    team_id: str
    enterprise_id: str


@dataclass(frozen=True, slots=True)
class PeopleChange:
    """An account or a user group is not what it was; *gone* are those whom that takes away."""

    name: str
    gone: frozenset[str]
    team_id: str
    enterprise_id: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that is nobody's answer, and why."""

    reason: str


def parse_command(body: object) -> CommandCall:
    """Read a slash command.

    Raises:
        PayloadError: something that must be there is not.
    """
    read = _Reader("slash command", body)
    command = read.text("command")
    if not command.startswith("/"):
        raise PayloadError("slash command: command is missing")
    user_id, channel_id = read.id("user_id"), read.id("channel_id")
    team_id, enterprise_id = read.id("team_id", ""), read.id("enterprise_id", "")
    read.needs_owner(team_id, enterprise_id)
    text, trigger_id = unescape(read.text("text")).strip(), read.text("trigger_id")
    response_url = read.text("response_url")
    return CommandCall(
        command=command,
        text=text,
        user_id=user_id,
        user_name=read.text("user_name"),
        channel_id=channel_id,
        channel_name=read.text("channel_name"),
        team_id=team_id,
        enterprise_id=enterprise_id,
        trigger_id=trigger_id,
        response_url=response_url,
        delivery_id=_digest("command", team_id, user_id, channel_id, command, text, trigger_id, response_url),
    )


def parse_click(body: object) -> ButtonClick:
    """Read a ``block_actions`` payload; of several actions the first counts.

    Raises:
        PayloadError: something that must be there is not, or ``actions`` is empty.
    """
    read = _Reader("block_actions", body)
    actions = read.array("actions")
    if not actions:
        raise PayloadError("block_actions: actions is empty")
    action = _Reader("block_actions: actions[0]", actions[0])
    chosen = action.part("selected_option")
    value = action.text("value") or chosen.text("value")
    user, container, message = read.part("user"), read.part("container"), read.part("message")
    team_id, enterprise_id = _owner(read, user)
    user_id, action_id = user.id("id"), action.text("action_id")
    channel_id = read.part("channel").id("id", "") or container.id("channel_id", "")
    message_ts = container.id("message_ts", "") or message.id("ts", "")
    trigger_id = read.text("trigger_id")
    if not action_id:
        raise PayloadError("block_actions: actions[0].action_id is missing")
    return ButtonClick(
        action_id=action_id,
        value=value,
        token=AskToken.decode(action.raw("value") or chosen.raw("value")),
        user_id=user_id,
        user_name=user.text("username") or user.text("name"),
        channel_id=channel_id,
        message_ts=message_ts,
        thread_ts=container.id("thread_ts", "") or message.id("thread_ts", ""),
        view_id=container.id("view_id", ""),
        team_id=team_id,
        enterprise_id=enterprise_id,
        trigger_id=trigger_id,
        response_url=read.text("response_url"),
        delivery_id=_digest(
            *("click", team_id, user_id, channel_id, message_ts, action_id, value),
            *(action.text("action_ts"), trigger_id),
        ),
    )


def parse_modal(body: object) -> ModalSubmit:
    """Read a ``view_submission`` payload.

    Raises:
        PayloadError: something that must be there is not.
    """
    read = _Reader("view_submission", body)
    user = read.part("user")
    team_id, enterprise_id = _owner(read, user)
    user_id = user.id("id")
    view = read.part("view")
    if view.empty:
        raise PayloadError("view_submission: view is missing")
    callback_id, view_id, view_hash = view.text("callback_id"), view.id("id", ""), view.text("hash")
    values = _form_values(view.part("state").part("values"))
    trigger_id = read.text("trigger_id")
    return ModalSubmit(
        callback_id=callback_id,
        private_metadata=view.text("private_metadata"),
        token=AskToken.decode(view.raw("private_metadata")),
        values=values,
        user_id=user_id,
        user_name=user.text("username") or user.text("name"),
        view_id=view_id,
        view_hash=view_hash,
        team_id=team_id,
        enterprise_id=enterprise_id,
        trigger_id=trigger_id,
        delivery_id=_digest("modal", team_id, user_id, view_id, view_hash, trigger_id, repr(sorted(values.items()))),
    )


def parse_reply(body: object) -> ThreadReply | Ignored:
    """Read a message event: a person's reply in a thread, or why it is none.

    The delivery is known by channel and time of the message, which are the same however often
    and in whatever envelope Slack sends it.

    Raises:
        PayloadError: something that must be there is not.
    """
    read = _Reader("event", body)
    event = read.part("event")
    if event.text("type") != "message":
        return Ignored("not a message")
    subtype = event.text("subtype")
    if subtype not in _HUMAN_SUBTYPES:
        return Ignored(f"subtype {subtype[:40]}")
    if event.raw("bot_id") or event.raw("bot_profile") or event.text("user") in ("", "USLACKBOT"):
        return Ignored("not written by a person")
    thread_ts, message_ts = event.id("thread_ts", ""), event.id("ts")
    if TIMESTAMP.fullmatch(message_ts) is None or (thread_ts and TIMESTAMP.fullmatch(thread_ts) is None):
        raise PayloadError("event: ts is not a time")
    if not thread_ts or thread_ts == message_ts:
        return Ignored("not in a thread")
    text = unescape(event.text("text")).strip()
    if not text:
        return Ignored("no text")
    user_id, channel_id = event.id("user"), event.id("channel")
    team_id = read.id("team_id", "") or event.id("team", "")
    enterprise_id = read.id("enterprise_id", "")
    read.needs_owner(team_id, enterprise_id)
    return ThreadReply(
        text=text,
        user_id=user_id,
        channel_id=channel_id,
        channel_type=event.text("channel_type"),
        thread_ts=thread_ts,
        message_ts=message_ts,
        parent_user_id=event.id("parent_user_id", ""),
        team_id=team_id,
        enterprise_id=enterprise_id,
        event_id=read.text("event_id"),
        delivery_id=_digest("reply", team_id, channel_id, message_ts),
    )


def parse_shortcut(body: object) -> ShortcutCall:
    """Read a ``message_action`` payload.

    Raises:
        PayloadError: something that must be there is not.
    """
    read = _Reader("message_action", body)
    user, message = read.part("user"), read.part("message")
    team_id, enterprise_id = _owner(read, user)
    user_id, channel_id = user.id("id"), read.part("channel").id("id")
    message_ts = message.id("ts", "") or read.id("message_ts")
    callback_id, action_ts, trigger_id = read.text("callback_id"), read.text("action_ts"), read.text("trigger_id")
    return ShortcutCall(
        callback_id=callback_id,
        text=readable(message.text("text")).strip(),
        author_id="" if message.raw("bot_id") else message.id("user", ""),
        message_ts=message_ts,
        thread_ts=message.id("thread_ts", ""),
        user_id=user_id,
        user_name=user.text("username") or user.text("name"),
        channel_id=channel_id,
        team_id=team_id,
        enterprise_id=enterprise_id,
        response_url=read.text("response_url"),
        delivery_id=_digest(
            *("shortcut", team_id, user_id, channel_id, message_ts, callback_id),
            *(action_ts, trigger_id),
        ),
    )


def parse_home_opened(body: object) -> HomeOpened:
    """Read an ``app_home_opened`` event.

    Raises:
        PayloadError: something that must be there is not.
    """
    read = _Reader("event", body)
    event = read.part("event")
    view = event.part("view")
    user_id, view_hash = event.id("user"), view.text("hash")
    team_id = read.id("team_id", "") or view.id("team_id", "")
    enterprise_id = read.id("enterprise_id", "")
    read.needs_owner(team_id, enterprise_id)
    return HomeOpened(user_id, event.text("tab"), view_hash, team_id, enterprise_id)


def parse_people_change(body: object) -> PeopleChange:
    """Read a ``user_change`` or ``subteam_members_changed`` event.

    Raises:
        PayloadError: something that must be there is not.
    """
    read = _Reader("event", body)
    event = read.part("event")
    if event.text("type") == "user_change":
        user = event.part("user")
        name = user.id("id")
        gone = frozenset([name] if user.raw("deleted") is True else [])
    else:
        name = event.id("subteam_id")
        gone = frozenset(str(one) for one in event.array("removed_users"))
    team_id, enterprise_id = read.id("team_id", ""), read.id("enterprise_id", "")
    read.needs_owner(team_id, enterprise_id)
    return PeopleChange(name, gone, team_id, enterprise_id)


def thread_link(team_id: str, channel_id: str, ts: str) -> str:
    """Return the name under which a thread is remembered."""
    return f"{team_id}:{channel_id}:{ts}"


def readable(text: str) -> str:
    """Return a message's text with its mentions and links in words, for those who know nothing of Slack's form."""
    return unescape(_ENTITY.sub(_in_words, text))


def _in_words(found: re.Match[str]) -> str:
    target, _, label = found[1].partition("|")
    if target[:1] in ("@", "#"):
        return f"{target[0]}{label.lstrip('@#') or target[1:]}"
    if target[:1] == "!":
        return label or f"@{target[1:].partition('^')[0]}"
    return f"{label} ({target})" if label and label != target else target


def unescape(text: str) -> str:
    """Undo Slack's escaping of ``&``, ``<`` and ``>``."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


class _Reader:
    """One JSON object, read by key; *where* is how errors call it."""

    __slots__ = ("_given", "_where")

    def __init__(self, where: str, given: object) -> None:
        if given is not None and not isinstance(given, Mapping):
            raise PayloadError(f"{where}: is {_kind(given)}; an object was expected")
        self._where = where
        self._given: Mapping[object, object] = {} if given is None else given

    @property
    def empty(self) -> bool:
        return not self._given

    def raw(self, key: str) -> object:
        return self._given.get(key)

    def text(self, key: str) -> str:
        """A string, without lone surrogates (no database takes them); "" if there is none."""
        value = self._given.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise PayloadError(f"{self._where}: {key} is {_kind(value)}; text was expected")
        return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)

    def id(self, key: str, default: str | None = None) -> str:
        """An identifier; required unless there is a *default*."""
        value = self.text(key)
        if not value:
            if default is None:
                raise PayloadError(f"{self._where}: {key} is missing")
            return default
        if ID.fullmatch(value) is None:
            raise PayloadError(f"{self._where}: {key} is not an identifier")
        return value

    def array(self, key: str) -> list[object]:
        value = self._given.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise PayloadError(f"{self._where}: {key} is {_kind(value)}; a list was expected")
        return value

    def part(self, key: str) -> _Reader:
        """The object under *key*; an empty one if there is none."""
        return _Reader(f"{self._where}: {key}", self._given.get(key))

    def pairs(self) -> list[tuple[str, object]]:
        return [(key, value) for key, value in self._given.items() if isinstance(key, str)]

    def needs_owner(self, team_id: str, enterprise_id: str) -> None:
        if not team_id and not enterprise_id:
            raise PayloadError(f"{self._where}: team is missing")


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def _kind(value: object) -> str:
    return "null" if value is None else f"a {type(value).__name__}"


def _owner(read: _Reader, user: _Reader) -> tuple[str, str]:
    """Return team and enterprise; in an org-wide installation ``team`` may be null."""
    team_id = read.part("team").id("id", "") or user.id("team_id", "")
    enterprise_id = read.part("enterprise").id("id", "")
    read.needs_owner(team_id, enterprise_id)
    return team_id, enterprise_id


def _form_values(state: _Reader) -> dict[str, FieldValue]:
    """Return one value per input block, whatever kind of element it holds."""
    values: dict[str, FieldValue] = {}
    for block_id, elements in state.pairs():
        for _, element in _Reader(f"view_submission: {block_id[:40]}", elements).pairs():
            values[_LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", block_id)] = _field_value(
                _Reader("view_submission: state", element)
            )
    return values


def _field_value(element: _Reader) -> FieldValue:
    for key, value in element.pairs():
        if key == "type" or value is None:
            continue
        if isinstance(value, str):
            return element.text(key)
        if isinstance(value, Mapping):
            return _Reader("view_submission: state", value).text("value")
        if isinstance(value, list):
            return tuple(_chosen(item) for item in value)
        if isinstance(value, int):
            return str(value)
    return None


def _chosen(item: object) -> str:
    if isinstance(item, str):
        return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", item)
    return _Reader("view_submission: state", item).text("value")


def _digest(*parts: str) -> str:
    return f"{parts[0]}:{hashlib.sha256(_SEPARATOR.join(parts).encode(errors='replace')).hexdigest()[:32]}"
