"""What people do with Slack's own means, read into our types: commands, buttons, modals, shortcuts.

Whatever arrives, a parser returns its type or raises `PayloadError`, which names what is
missing. A `delivery_id` is the same for the same delivery sent twice, and different for
two things a person did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from bot.payloads.reading import JsonReader, PayloadError, digest, readable, unescape, whole
from bot.payloads.tokens import AskToken


@dataclass(frozen=True, slots=True)
class CommandCall:
    """Somebody typed a slash command."""

    command: str
    text: str
    user_id: str
    user_name: str
    channel_id: str
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
    channel_id: str
    message_ts: str
    thread_ts: str
    """The thread that the message stands in; "" if it begins one."""
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
    team_id: str
    enterprise_id: str
    delivery_id: str

    def text(self, block_id: str) -> str:
        """Return what was typed into one field, "" if nothing."""
        value = self.values.get(block_id)
        return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class ShortcutCall:
    """Somebody picked a message for one of our shortcuts. *text* is as its readers see it."""

    callback_id: str
    text: str
    author_id: str
    """Who wrote the message; "" if an app did."""
    message_ts: str
    thread_ts: str
    """The thread that the message stands in; "" if it begins one."""
    user_id: str
    user_name: str
    channel_id: str
    team_id: str
    enterprise_id: str
    response_url: str
    delivery_id: str


def parse_command(body: object) -> CommandCall:
    """Read a slash command.

    Raises:
        PayloadError: something that must be there is not.
    """
    read = JsonReader("slash command", body)
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
        team_id=team_id,
        enterprise_id=enterprise_id,
        trigger_id=trigger_id,
        response_url=response_url,
        delivery_id=digest("command", team_id, user_id, channel_id, command, text, trigger_id, response_url),
    )


def parse_click(body: object) -> ButtonClick:
    """Read a ``block_actions`` payload; of several actions the first counts.

    Raises:
        PayloadError: something that must be there is not, or ``actions`` is empty.
    """
    read = JsonReader("block_actions", body)
    actions = read.array("actions")
    if not actions:
        raise PayloadError("block_actions: actions is empty")
    action = JsonReader("block_actions: actions[0]", actions[0])
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
        channel_id=channel_id,
        message_ts=message_ts,
        thread_ts=_thread_of(message_ts, container.id("thread_ts", "") or message.id("thread_ts", "")),
        team_id=team_id,
        enterprise_id=enterprise_id,
        trigger_id=trigger_id,
        response_url=read.text("response_url"),
        delivery_id=digest(
            *("click", team_id, user_id, channel_id, message_ts, action_id, value),
            *(action.text("action_ts"), trigger_id),
        ),
    )


def parse_modal(body: object) -> ModalSubmit:
    """Read a ``view_submission`` payload.

    Raises:
        PayloadError: something that must be there is not.
    """
    read = JsonReader("view_submission", body)
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
        team_id=team_id,
        enterprise_id=enterprise_id,
        delivery_id=digest("modal", team_id, user_id, view_id, view_hash, trigger_id, repr(sorted(values.items()))),
    )


def parse_shortcut(body: object) -> ShortcutCall:
    """Read a ``message_action`` payload.

    Raises:
        PayloadError: something that must be there is not.
    """
    read = JsonReader("message_action", body)
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
        thread_ts=_thread_of(message_ts, message.id("thread_ts", "")),
        user_id=user_id,
        user_name=user.text("username") or user.text("name"),
        channel_id=channel_id,
        team_id=team_id,
        enterprise_id=enterprise_id,
        response_url=read.text("response_url"),
        delivery_id=digest(
            *("shortcut", team_id, user_id, channel_id, message_ts, callback_id),
            *(action_ts, trigger_id),
        ),
    )


def _thread_of(message_ts: str, thread_ts: str) -> str:
    """Return the thread that a message is a reply in; of one that has replies Slack names its own."""
    return "" if thread_ts == message_ts else thread_ts


def _owner(read: JsonReader, user: JsonReader) -> tuple[str, str]:
    """Return team and enterprise; in an org-wide installation ``team`` may be null."""
    team_id = read.part("team").id("id", "") or user.id("team_id", "")
    enterprise_id = read.part("enterprise").id("id", "")
    read.needs_owner(team_id, enterprise_id)
    return team_id, enterprise_id


def _form_values(state: JsonReader) -> dict[str, FieldValue]:
    """Return one value per input block, whatever kind of element it holds."""
    values: dict[str, FieldValue] = {}
    for block_id, elements in state.pairs():
        for _, element in JsonReader(f"view_submission: {block_id[:40]}", elements).pairs():
            values[whole(block_id)] = _field_value(JsonReader("view_submission: state", element))
    return values


def _field_value(element: JsonReader) -> FieldValue:
    for key, value in element.pairs():
        if key == "type" or value is None:
            continue
        if isinstance(value, str):
            return element.text(key)
        if isinstance(value, Mapping):
            return JsonReader("view_submission: state", value).text("value")
        if isinstance(value, list):
            return tuple(_chosen(item) for item in value)
        if isinstance(value, int):
            return str(value)
    return None


def _chosen(item: object) -> str:
    if isinstance(item, str):
        return whole(item)
    return JsonReader("view_submission: state", item).text("value")
