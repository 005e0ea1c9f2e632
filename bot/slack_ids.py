"""What an id of Slack's stands for."""

from __future__ import annotations

import re

PERSON = r"[UW][A-Z0-9]+"
ANYBODY = r"[UWSCG][A-Z0-9]+"
"""A person, a user group, or a channel for its members."""
_PERSON, _USER_GROUP, _CHANNEL = (re.compile(pattern) for pattern in (PERSON, r"S[A-Z0-9]+", r"[CG][A-Z0-9]+"))


def is_person(id_: str) -> bool:
    """Whether it stands for one person."""
    return _PERSON.fullmatch(id_) is not None


def is_user_group(id_: str) -> bool:
    """Whether it stands for a user group."""
    return _USER_GROUP.fullmatch(id_) is not None


def is_channel(id_: str) -> bool:
    """Whether it stands for a channel, public or not."""
    return _CHANNEL.fullmatch(id_) is not None


def is_group(name: str) -> bool:
    """Whether a name, if it is an id, stands for several people: a user group or a channel."""
    return name[:1] in ("S", "C", "G")


def is_direct(id_: str) -> bool:
    """Whether it stands for a conversation of the bot with one person."""
    return id_.startswith("D")
