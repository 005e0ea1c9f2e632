"""What people do in Slack, each act as one method: run a command, click, type, fill in a form, open App Home.

An act that reaches the bot waits for its answer and then shows what Slack would show.
"""

import re
from dataclasses import replace
from typing import Any

from bot.playground.arguments import Failure
from bot.playground.chat_methods import change, post, remove
from bot.playground.conversation_methods import add_member
from bot.playground.delivery import Delivery, DeliveryResult
from bot.playground.payloads import (
    closed_payload,
    command_payload,
    group_changed_event,
    home_opened_event,
    message_actions_payload,
    message_shortcut_payload,
    submission_payload,
    user_changed_event,
    view_actions_payload,
)
from bot.playground.platform import Event, Platform
from bot.playground.rendering import message_json
from bot.playground.response_urls import answer
from bot.playground.view_methods import checked_view, push_onto, refill
from bot.playground.widgets import CHOICES, STATELESS, action_of, complaints, filled_in, find_element, reported
from bot.playground.workspace import Channel, Json, Message, User, View

TROUBLE = "We had some trouble connecting. Try again?"
CLICK_FAILED = "This action did not reach the app. Try again later."
# What Slack leaves alone when it escapes what a person typed: mentions, channels, links, <!here>.
_KEPT = re.compile(r"(<(?:[@#!][^<>\s]+|https?://[^<>]+|mailto:[^<>]+)>)")
_AT = re.compile(r"(?<!\S)@(\w+)")


class NotPossible(Exception):
    """A person's Slack would not let them do this; the text is an error code."""


class People:
    """The acts. Users and channels are given by id, messages by ts."""

    def __init__(self, slack: Platform) -> None:
        self._slack = slack
        self._delivery: Delivery | None = None
        self._touched: dict[tuple[str, str], Json] = {}

    @property
    def delivery(self) -> Delivery:
        """How the bot is reached; here one may shorten `retry_delays_s` or `limit_s`."""
        if self._delivery is None:
            raise RuntimeError("the fake Slack is not running; enter it with `async with`")
        return self._delivery

    async def command(self, user: str, channel: str, line: str) -> DeliveryResult:
        """Run a slash command, as in `command("U1", "C2", "/approve-draft AI safety")`."""
        person, place = self._user(user), self._channel(user, channel)
        command, _, text = line.strip().partition(" ")
        if self._builtin(person, place, command, text):
            return DeliveryResult(None)
        if command not in {info.command for info in self._slack.app.commands}:
            shown = f"`{command}` is not a valid command. In Slack, all messages that start with “/” are commands."
            return DeliveryResult(None, error="unknown_command", shown=self._slack.note(channel, user, shown).text)
        payload = command_payload(self._slack, person, place, command, escaped(text.strip()))
        result = await self.delivery.interact("slash_commands", payload)
        return self._show_command(result, payload)

    async def click(
        self,
        user: str,
        channel: str,
        ts: str,
        action_id: str,
        value: Any = None,
        *,
        block_id: str | None = None,
        as_seen: Message | None = None,
        values: Json | None = None,
    ) -> DeliveryResult:
        """Use a button, menu or picker of a message, be it for all or only for *user*.

        *value* is what is chosen; for a button it replaces the button's own value. *as_seen* is an older copy of
        the message, for a person whose screen is behind; *values* are fields filled in so far.
        """
        person = self._user(user)
        self._channel(user, channel)
        message = as_seen or self._message(user, channel, ts)
        block, element = find_element(message.blocks or [], action_id, block_id)
        action = action_of(block, element, value, self._slack.mint_ts())
        self._touched.setdefault((user, ts), {}).update(values or {})
        state = self._state(user, ts, message.blocks or [], block, element, value)
        payload = message_actions_payload(self._slack, person, message, [action], state)
        result = await self.delivery.interact("interactive", payload)
        message.warning = CLICK_FAILED if result.error else None
        self._slack.pulse.touch()
        return self._with_shown(result, message.warning)

    def as_seen(self, user: str, channel: str, ts: str, blocks: list[Json]) -> Message:
        """Return a message as it stood on a screen that is behind, with *blocks* it has no more."""
        return replace(self._message(user, channel, ts), blocks=blocks)

    async def click_view(
        self,
        user: str,
        view_id: str,
        action_id: str,
        value: Any = None,
        *,
        block_id: str | None = None,
        values: Json | None = None,
    ) -> DeliveryResult:
        """Use a button, menu or picker of a modal or App Home; *values* are the fields filled in so far."""
        person, view = self._user(user), self._view(user, view_id)
        block, element = find_element(view.blocks, action_id, block_id)
        view.values = filled_in(view.blocks, {**view.values, **(values or {})})
        if element["type"] in CHOICES and element["type"] not in STATELESS:
            view.values.setdefault(block["block_id"], {})[action_id] = reported(element, value)
        action = action_of(block, element, value, self._slack.mint_ts())
        payload = view_actions_payload(self._slack, person, view, [action])
        result = await self.delivery.interact("interactive", payload)
        view.warning = TROUBLE if result.error else None
        self._slack.pulse.touch()
        return self._with_shown(result, view.warning)

    async def say(
        self,
        user: str,
        channel: str,
        text: str,
        thread_ts: str | None = None,
        *,
        broadcast: bool = False,
        subtype: str | None = None,
    ) -> Message:
        """Write a message; the bot hears of it soon after (`settled` waits for that)."""
        place = self._writable(user, channel)
        if thread_ts is not None and self._slack.workspace.find(channel, thread_ts) is None:
            raise NotPossible("message_not_found")
        wire = escaped(_AT.sub(self._mention, text))
        message = Message(
            place.id,
            "",
            user,
            wire,
            thread_ts=thread_ts,
            subtype=subtype,
            reply_broadcast=broadcast and bool(thread_ts),
        )
        post(self._slack, message)
        return message

    async def edit(self, user: str, channel: str, ts: str, text: str) -> Message:
        """Change a message of one's own."""
        self._writable(user, channel)
        message = self._own(user, channel, ts, "cant_update_message")
        before = message_json(self._slack, message)
        message.text = escaped(_AT.sub(self._mention, text))
        change(self._slack, message, before)
        message.edited_ts = message.edited_ts or message.ts
        return message

    async def delete(self, user: str, channel: str, ts: str, *, anybodys: bool = False) -> None:
        """Delete a message of one's own, or with *anybodys* any, as an admin can. Ephemeral ones just go away."""
        self._channel(user, channel)
        if private := self._slack.workspace.find_ephemeral(channel, ts, user):
            self._slack.workspace.in_channel(channel).remove(private)
            self._slack.pulse.touch()
            return
        remove(self._slack, self._message(user, channel, ts) if anybodys else self._own(user, channel, ts))

    async def submit(self, user: str, view_id: str, values: Json | None = None) -> DeliveryResult:
        """Fill in and submit the modal on top: block id -> action id -> value (bare, or as Slack reports it)."""
        person, view = self._user(user), self._view(user, view_id)
        view.values = filled_in(view.blocks, {**view.values, **(values or {})})
        view.errors, view.warning = complaints(view.blocks, view.values), None
        self._slack.pulse.touch()
        if view.errors:
            return DeliveryResult(None, errors=dict(view.errors))
        result = await self.delivery.interact("interactive", submission_payload(self._slack, person, view))
        self._answer_submission(view, result)
        self._slack.pulse.touch()
        return self._with_shown(result, view.warning, view.errors)

    async def deactivate(self, user: str) -> None:
        """End somebody's account, as an admin does: Slack takes them out of their groups and channels, too."""
        person = self._user(user)
        person.deleted = True
        for channel in self._slack.workspace.channels.values():
            if channel.kind != "dm" and user in channel.members:
                channel.members.remove(user)
        self._slack.emit(user_changed_event(self._slack, person))
        for group in self._slack.workspace.groups.values():
            if user in group.users:
                await self.leave_group(user, group.id)

    async def leave_group(self, user: str, group: str) -> None:
        """Take somebody out of a user group."""
        self._slack.workspace.groups[group].users.remove(user)
        self._slack.emit(group_changed_event(self._slack, group, removed=[user]))
        self._slack.pulse.touch()

    async def join_group(self, user: str, group: str) -> None:
        """Put somebody into a user group."""
        self._slack.workspace.groups[group].users.append(user)
        self._slack.emit(group_changed_event(self._slack, group, added=[user]))
        self._slack.pulse.touch()

    async def close_view(self, user: str, view_id: str) -> DeliveryResult:
        """Close the modal with that id; the bot hears of it if it asked to."""
        person, view = self._user(user), self._view(user, view_id)
        stack = self._slack.workspace.modals[user]
        cleared = bool(view.body.get("clear_on_close"))
        payload = closed_payload(self._slack, person, view, cleared=cleared)
        if cleared:
            stack.clear()
        else:
            stack.remove(view)
        self._slack.pulse.touch()
        if not view.body.get("notify_on_close"):
            return DeliveryResult(None)
        return await self.delivery.interact("interactive", payload)

    async def shortcut(self, user: str, channel: str, ts: str, callback_id: str) -> DeliveryResult:
        """Choose a message shortcut from a message's menu."""
        person = self._user(user)
        message = self._message(user, channel, ts)
        payload = message_shortcut_payload(self._slack, person, message, callback_id)
        result = await self.delivery.interact("interactive", payload)
        if result.error:
            shown = f"The shortcut failed with the error {result.error}"
            return self._with_shown(result, self._slack.note(channel, user, shown).text)
        return result

    async def open_home(self, user: str) -> None:
        """Open the app's Home tab; the bot hears of it soon after."""
        self._slack.emit(home_opened_event(self._slack, self._user(user)))
        self._slack.pulse.touch()

    async def join(self, user: str, channel: str) -> None:
        """Become a member of a public channel; a bot that is there hears of it."""
        add_member(self._slack, self._channel(user, channel), self._user(user).id, None)

    def remove_bot(self, channel: str) -> None:
        self._slack.workspace.channels[channel].members.remove(self._slack.app.bot_user_id)
        self._slack.pulse.touch()

    def archive(self, channel: str) -> None:
        self._slack.workspace.channels[channel].archived = True
        self._slack.pulse.touch()

    def uninstall(self) -> None:
        """Remove the app: its token stops working at once, and it hears why if it asked to."""
        self._slack.installed = False
        self._slack.emit({"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [self._slack.app.bot_user_id]}})
        self._slack.emit({"type": "app_uninstalled"})
        self._slack.pulse.touch()

    def install(self) -> None:
        """Undo `uninstall`; the token is the same as before."""
        self._slack.installed = True
        self._slack.pulse.touch()

    async def interact(self, payload: Json) -> DeliveryResult:
        """Deliver an interaction made up by hand, for what no well-behaved Slack would send."""
        return await self.delivery.interact("interactive", payload)

    async def run_command(self, fields: dict[str, str]) -> DeliveryResult:
        """Deliver a slash command made up by hand."""
        return await self.delivery.interact("slash_commands", fields)

    async def send_envelope(self, envelope: Json) -> DeliveryResult:
        """Deliver an event in an envelope made up by hand, once."""
        return await self.delivery.interact("events_api", envelope)

    def send_event(self, body: Json, event_id: str | None = None) -> None:
        """Deliver an event made up by hand, whether the app subscribed to it or not."""
        body.setdefault("event_ts", self._slack.mint_ts())
        self._slack.underway += 1
        self._slack.events.put_nowait(Event(body, event_id or self._slack.workspace.mint_id("Ev")))

    def _builtin(self, user: User, channel: Channel, command: str, text: str) -> bool:
        """Slack's own commands, as far as a demo needs them."""
        bot = self._slack.workspace.users[self._slack.app.bot_user_id]
        named = text.strip().lstrip("@").lower() == bot.name
        if command == "/invite" and named:
            add_member(self._slack, channel, bot.id, user.id)
        elif command in ("/remove", "/kick") and named and bot.id in channel.members:
            self.remove_bot(channel.id)
        elif command == "/archive" and channel.kind != "dm":
            self.archive(channel.id)
        else:
            return False
        return True

    def _show_command(self, result: DeliveryResult, payload: dict[str, str]) -> DeliveryResult:
        channel, user, command = payload["channel_id"], payload["user_id"], payload["command"]
        if result.error:
            shown = f"{command} failed with the error {result.error}"
            return self._with_shown(result, self._slack.note(channel, user, shown).text)
        body = {"text": result.body} if isinstance(result.body, str) else result.body
        if not isinstance(body, dict) or not any(body.get(name) for name in ("text", "blocks", "attachments")):
            return result
        url = self._slack.response_urls[payload["response_url"].rpartition("/")[2]]
        try:
            message = answer(self._slack, url, body)
        except Failure:
            shown = f"{command} failed with the error invalid_command_response"
            return self._with_shown(result, self._slack.note(channel, user, shown).text)
        return self._with_shown(result, message.text if message else None)

    def _answer_submission(self, view: View, result: DeliveryResult) -> None:
        """Do with the modal what the ack's `response_action` says."""
        stack = self._slack.workspace.modals.get(view.user, [])
        body = result.body if isinstance(result.body, dict) else {}
        action = body.get("response_action")
        if result.error:
            view.warning = TROUBLE
        elif action == "errors":
            known = {block.get("block_id") for block in view.blocks if block.get("type") == "input"}
            view.errors = {key: str(text) for key, text in (body.get("errors") or {}).items() if key in known}
            view.warning = None if view.errors else TROUBLE
        elif action == "clear":
            stack.clear()
        elif action in ("update", "push"):
            self._show_next(stack, view, action, body.get("view"))
        elif view in stack:
            stack.remove(view)

    def _show_next(self, stack: list[View], view: View, action: str, body: Any) -> None:
        try:
            checked = checked_view(self._slack, body, ("modal",), view if action == "update" else None)
        except Failure as failure:
            view.warning = f"{TROUBLE} ({'; '.join(failure.messages) or failure.code})"
            return
        if action == "update":
            refill(self._slack, view, checked)
        elif view in stack:
            push_onto(self._slack, stack, checked)

    def _state(self, user: str, ts: str, blocks: list[Json], block: Json, element: Json, value: Any) -> Json:
        """`state.values` of a message: what this person has chosen in it so far."""
        chosen = self._touched.setdefault((user, ts), {})
        if element["type"] in CHOICES and element["type"] not in STATELESS:
            chosen.setdefault(block["block_id"], {})[element["action_id"]] = reported(element, value)
        return filled_in(blocks, chosen)

    def _with_shown(
        self, result: DeliveryResult, shown: str | None, errors: dict[str, str] | None = None
    ) -> DeliveryResult:
        return replace(result, shown=shown, errors=dict(errors or {}))

    def _mention(self, found: re.Match[str]) -> str:
        named = [user.id for user in self._slack.workspace.users.values() if user.name == found[1].lower()]
        return f"<@{named[0]}>" if named else found[0]

    def _user(self, user: str) -> User:
        person = self._slack.workspace.users.get(user)
        if person is None or person.is_bot:
            raise NotPossible("user_not_found")
        return person

    def _channel(self, user: str, channel: str) -> Channel:
        place = self._slack.workspace.channels.get(channel)
        if place is None or place not in self._slack.workspace.visible_channels(user):
            raise NotPossible("channel_not_found")
        return place

    def _writable(self, user: str, channel: str) -> Channel:
        self._user(user)
        place = self._channel(user, channel)
        if user not in place.members:
            raise NotPossible("not_in_channel")
        if place.archived:
            raise NotPossible("is_archived")
        return place

    def _message(self, user: str, channel: str, ts: str) -> Message:
        message = self._slack.workspace.find_ephemeral(channel, ts, user) or self._slack.workspace.find(channel, ts)
        if message is None:
            raise NotPossible("message_not_found")
        return message

    def _own(self, user: str, channel: str, ts: str, otherwise: str = "cant_delete_message") -> Message:
        message = self._message(user, channel, ts)
        if message.user != user:
            raise NotPossible(otherwise)
        return message

    def _view(self, user: str, view_id: str) -> View:
        view = self._slack.workspace.find_view(lambda v: v.id == view_id and v.user == user)
        if view is None:
            raise NotPossible("view_not_found")
        return view


def escaped(text: str) -> str:
    """Typed text as it travels: `& < >` become entities, but not in mentions and links."""
    parts = _KEPT.split(text)
    for index in range(0, len(parts), 2):
        parts[index] = parts[index].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(parts)
