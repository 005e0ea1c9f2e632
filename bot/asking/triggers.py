"""How a workflow says what starts it: the mark on its class and the event it begins with.

Nothing is registered globally: the mark stays on the class, and `bot.plugins` collects it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from bot.asking.legible import has_ink
from engine.errors import DefinitionError
from engine.events import StartEvent

if TYPE_CHECKING:
    from engine.workflow import Workflow

W = TypeVar("W", bound="type[Workflow]")

COMMAND = re.compile(r"/[a-z0-9_-]{1,31}")  # 32 with the slash: docs.slack.dev/reference/app-manifest
SUMMARY_CHARS = 2000
USAGE_CHARS = 1000
TEXT_CHARS = 3000
MESSAGE_CHARS = 12_000
LONGEST_MESSAGE_CHARS = 40_000  # Slack cuts what is longer: docs.slack.dev/reference/methods/chat.postMessage
NAME_CHARS, SHORTCUT_SUMMARY_CHARS = 24, 150
_WORD = re.compile(r"[a-z0-9]+")
_MARK, _SHORTCUT_MARK = "__slash_command__", "__message_shortcut__"


class CommandReceived(StartEvent):
    """Somebody typed the slash command. *text* is what stood behind it, trimmed.

    Or they picked a message for it: then *text* is what that says.
    """

    text: str
    user_id: str
    channel_id: str
    team_id: str = ""
    user_name: str = ""
    message_ts: str = ""
    """Time stamp of the message that was picked; "" where a command was typed."""
    message_link: str = ""
    """Its address, if we may know it: the bot is in that channel."""
    message_author: str = ""
    """The person who wrote it; "" if an app did."""


@dataclass(frozen=True, slots=True)
class EmptyText:
    """The command needs words behind it and got none."""

    command: str
    usage: str


@dataclass(frozen=True, slots=True)
class TextTooLong:
    """The command got *chars* characters where at most *max_chars* are allowed."""

    command: str
    chars: int
    max_chars: int


@dataclass(frozen=True, slots=True)
class MessageWithoutText:
    """The message that was picked says nothing: it is a file, or a picture."""


BadText: TypeAlias = EmptyText | TextTooLong | MessageWithoutText


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """The mark left on a workflow class."""

    command: str
    summary: str
    usage: str = ""
    """What to type behind the command, in a word or two: ``topic``."""
    required: bool = True
    max_chars: int = 500

    def check(self, text: str) -> BadText | None:
        """Return why *text* cannot start a run, or None. Asked before anything is stored."""
        if self.required and not has_ink(text):
            return EmptyText(self.command, self.usage)
        if len(text) > self.max_chars:
            return TextTooLong(self.command, len(text), self.max_chars)
        return None


@dataclass(frozen=True, slots=True)
class MessageShortcut:
    """The mark left on a workflow class that people start from the menu of a message."""

    name: str
    summary: str
    max_chars: int

    @property
    def callback_id(self) -> str:
        """What Slack sends back: the name, in small letters."""
        return "_".join(_WORD.findall(self.name.lower()))

    def check(self, text: str) -> BadText | None:
        """Return why a message's *text* cannot start a run, or None."""
        if not has_ink(text):
            return MessageWithoutText()
        return TextTooLong(self.name, len(text), self.max_chars) if len(text) > self.max_chars else None


RUNS = SlashCommand(
    "/runs", "See what you have started, and cancel it", usage="show 1 | cancel 1", required=False, max_chars=TEXT_CHARS
)
BUILT_IN = (RUNS,)
"""Commands that belong to no workflow."""


def slash_command(
    command: str, *, summary: str, usage: str = "", required: bool = True, max_chars: int = 500
) -> Callable[[W], W]:
    """Start a run of the decorated workflow whenever *command* is typed.

    *usage* is the hint that Slack shows behind the command. Typed without words, a command asks for them in a
    modal; with ``required=False`` it begins without any. It takes at most *max_chars* characters.

    Raises:
        DefinitionError: Slack would not accept the command, or the class has one already.
    """
    if COMMAND.fullmatch(command) is None:
        raise DefinitionError(
            f"slash_command({command!r}): not a name Slack accepts; write a slash, then 1 to 31 of "
            "a-z, 0-9, - and _, as in '/approve-draft'"
        )
    if not summary.strip() or len(summary) > SUMMARY_CHARS:
        raise DefinitionError(f"slash_command({command!r}): summary takes 1 to {SUMMARY_CHARS} characters")
    if len(usage) > USAGE_CHARS:
        raise DefinitionError(f"slash_command({command!r}): usage takes at most {USAGE_CHARS} characters")
    if not 1 <= max_chars <= TEXT_CHARS:
        raise DefinitionError(f"slash_command({command!r}): max_chars is {max_chars}; give 1 to {TEXT_CHARS}")
    mark = SlashCommand(command, summary.strip(), usage.strip(), required, max_chars)

    def put(cls: W) -> W:
        if not isinstance(cls, type):
            raise DefinitionError(f"slash_command({command!r}): put it on a Workflow class, not on {cls!r}")
        if (other := command_of(cls)) is not None:
            raise DefinitionError(f"{cls.__name__}: has {other.command} already; give {command} a class of its own")
        setattr(cls, _MARK, mark)
        return cls

    return put


def shortcut(name: str, *, summary: str, max_chars: int = MESSAGE_CHARS) -> Callable[[W], W]:
    """Start a run of the decorated workflow, which has a slash command, from the menu of a message, too.

    *name* is what the menu says. The workflow gets a `CommandReceived` with the message's text, at most *max_chars* of
    it; its ``message_link`` and ``message_author`` say which it is.

    Raises:
        DefinitionError: Slack would not accept it, or the class has one already.
    """
    mark = MessageShortcut(name.strip(), summary.strip(), max_chars)
    if not mark.callback_id or len(name) > NAME_CHARS:
        raise DefinitionError(f"shortcut({name!r}): takes 1 to {NAME_CHARS} characters, as in 'Send for approval'")
    if not mark.summary or len(summary) > SHORTCUT_SUMMARY_CHARS:
        raise DefinitionError(f"shortcut({name!r}): summary takes 1 to {SHORTCUT_SUMMARY_CHARS} characters")
    if not 1 <= max_chars <= LONGEST_MESSAGE_CHARS:
        raise DefinitionError(f"shortcut({name!r}): max_chars is {max_chars}; give 1 to {LONGEST_MESSAGE_CHARS}")

    def put(cls: W) -> W:
        if not isinstance(cls, type):
            raise DefinitionError(f"shortcut({name!r}): put it on a Workflow class, not on {cls!r}")
        if (other := shortcut_of(cls)) is not None:
            raise DefinitionError(f"{cls.__name__}: has {other.name!r} already; give {name!r} a class of its own")
        setattr(cls, _SHORTCUT_MARK, mark)
        return cls

    return put


def shortcut_of(cls: type) -> MessageShortcut | None:
    """Return the mark on this very class; one on a base class does not count."""
    mark = vars(cls).get(_SHORTCUT_MARK)
    return mark if isinstance(mark, MessageShortcut) else None


def command_of(cls: type) -> SlashCommand | None:
    """Return the mark on this very class; one on a base class does not count."""
    mark = vars(cls).get(_MARK)
    return mark if isinstance(mark, SlashCommand) else None
