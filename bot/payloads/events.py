"""Slack's events, read into our own types: what people write in threads, what they open, and who comes and goes.

Whatever arrives, a parser returns its type or raises `PayloadError`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.payloads.reading import JsonReader, PayloadError, digest, unescape

TIMESTAMP = re.compile(r"[0-9]{1,12}\.[0-9]{1,9}")
_HUMAN_SUBTYPES = ("", "thread_broadcast", "file_share")


@dataclass(frozen=True, slots=True)
class ThreadReply:
    """A person wrote *text* in the thread below *thread_ts*."""

    text: str
    user_id: str
    channel_id: str
    thread_ts: str
    message_ts: str
    parent_user_id: str
    """Who wrote the message the thread stands below; "" if Slack does not say."""
    team_id: str
    enterprise_id: str
    delivery_id: str
    edited: bool = False
    """It said something else before."""


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


def parse_reply(body: object) -> ThreadReply | Ignored:
    """Read a message event: a person's reply in a thread, or why it is none.

    The delivery is known by channel and time of the message, which are the same however often
    and in whatever envelope Slack sends it.

    Raises:
        PayloadError: something that must be there is not.
    """
    read = JsonReader("event", body)
    given = event = read.part("event")
    if event.text("type") != "message":
        return Ignored("not a message")
    if edited := event.text("subtype") == "message_changed":
        event, before = given.part("message"), given.part("previous_message")
        if event.text("text") == before.text("text"):
            return Ignored("nothing was changed in what it says")
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
    user_id, channel_id = event.id("user"), given.id("channel")
    team_id = read.id("team_id", "") or event.id("team", "")
    enterprise_id = read.id("enterprise_id", "")
    read.needs_owner(team_id, enterprise_id)
    return ThreadReply(
        text=text,
        user_id=user_id,
        channel_id=channel_id,
        thread_ts=thread_ts,
        message_ts=message_ts,
        parent_user_id=event.id("parent_user_id", ""),
        team_id=team_id,
        enterprise_id=enterprise_id,
        delivery_id=digest("reply", team_id, channel_id, message_ts),
        edited=edited,
    )


def parse_home_opened(body: object) -> HomeOpened:
    """Read an ``app_home_opened`` event.

    Raises:
        PayloadError: something that must be there is not.
    """
    read = JsonReader("event", body)
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
    read = JsonReader("event", body)
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
