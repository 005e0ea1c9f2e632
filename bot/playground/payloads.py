"""What Slack sends to an app: slash commands, interactions and event envelopes, field by field."""

from collections.abc import Sequence
from typing import Any

from bot.playground.platform import Event, Platform
from bot.playground.rendering import message_json, user_json, view_json
from bot.playground.workspace import Channel, Json, Message, User, View

DOMAIN = "signoff-demo"


def command_payload(slack: Platform, user: User, channel: Channel, command: str, text: str) -> dict[str, str]:
    """The form fields of a slash command."""
    return {
        "token": slack.app.verification_token,
        "team_id": slack.workspace.team_id,
        "team_domain": DOMAIN,
        "channel_id": channel.id,
        "channel_name": _channel_name(channel),
        "user_id": user.id,
        "user_name": user.name,
        "command": command,
        "text": text,
        "api_app_id": slack.app.app_id,
        **({"enterprise_id": slack.enterprise_id} if slack.enterprise_id else {}),
        "is_enterprise_install": "true" if slack.org_wide else "false",
        "response_url": slack.response_url(channel.id, user.id),
        "trigger_id": slack.trigger(user.id),
    }


def message_actions_payload(slack: Platform, user: User, message: Message, actions: list[Json], state: Json) -> Json:
    """`block_actions` from a message; an ephemeral one is not included in it."""
    channel = slack.workspace.channels[message.channel]
    ephemeral = message.ephemeral_for is not None
    container: Json = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": channel.id,
        "is_ephemeral": ephemeral,
    }
    if message.thread_ts:
        container["thread_ts"] = message.thread_ts
    found = {
        **_interaction(slack, "block_actions", user),
        "container": container,
        "channel": {"id": channel.id, "name": _channel_name(channel)},
        "state": {"values": state},
        "response_url": slack.response_url(channel.id, user.id, message),
        "actions": actions,
    }
    return found if ephemeral else found | {"message": message_json(slack, message)}


def view_actions_payload(slack: Platform, user: User, view: View, actions: list[Json]) -> Json:
    """`block_actions` from a modal or App Home, which has neither channel nor message."""
    return {
        **_interaction(slack, "block_actions", user),
        "container": {"type": "view", "view_id": view.id},
        "view": view_json(slack, view),
        "actions": actions,
    }


def submission_payload(slack: Platform, user: User, view: View) -> Json:
    return {
        **_interaction(slack, "view_submission", user),
        "view": view_json(slack, view),
        "response_urls": [],
    }


def closed_payload(slack: Platform, user: User, view: View, *, cleared: bool) -> Json:
    found = _interaction(slack, "view_closed", user)
    del found["trigger_id"]
    return {**found, "view": view_json(slack, view), "is_cleared": cleared}


def message_shortcut_payload(slack: Platform, user: User, message: Message, callback_id: str) -> Json:
    channel = slack.workspace.channels[message.channel]
    return {
        **_interaction(slack, "message_action", user),
        "callback_id": callback_id,
        "action_ts": slack.mint_ts(),
        "channel": {"id": channel.id, "name": _channel_name(channel)},
        "message_ts": message.ts,
        "message": message_json(slack, message),
        "response_url": slack.response_url(channel.id, user.id, message),
    }


def event_payload(slack: Platform, event: Event) -> Json:
    """The envelope of an event; the same for each retry."""
    team = slack.workspace.team_id
    authorization = {
        "enterprise_id": slack.enterprise_id,
        "team_id": team,
        "user_id": slack.app.bot_user_id,
        "is_bot": True,
        "is_enterprise_install": slack.org_wide,
    }
    return {
        "token": slack.app.verification_token,
        "team_id": team,
        "context_team_id": team,
        "context_enterprise_id": slack.enterprise_id,
        "api_app_id": slack.app.app_id,
        "event": event.body,
        "type": "event_callback",
        "event_id": event.id,
        "event_time": int(float(event.body["event_ts"])),
        "authorizations": [authorization],
        "is_ext_shared_channel": False,
        "event_context": f"4-{event.id}",
    }


def message_event(slack: Platform, message: Message) -> Json:
    """A `message` event for a message that is new."""
    channel = slack.workspace.channels[message.channel]
    found = message_json(slack, message)
    for name in ("reply_count", "reply_users_count", "latest_reply", "reply_users", "is_locked", "subscribed"):
        found.pop(name, None)
    if message.reply_broadcast and message.thread_ts:
        root = slack.workspace.find(message.channel, message.thread_ts)
        found |= {"subtype": "thread_broadcast", "root": message_json(slack, root) if root else None}
    return found | {"channel": channel.id, "channel_type": channel_type(channel), "event_ts": message.ts}


def changed_event(slack: Platform, message: Message, before: Json) -> Json:
    """A `message_changed` event; *before* is the message's JSON until now."""
    now = message_json(slack, message)
    return _hidden(slack, message, {"subtype": "message_changed", "message": now, "previous_message": before})


def deleted_event(slack: Platform, message: Message, before: Json) -> Json:
    found = {"subtype": "message_deleted", "deleted_ts": message.ts, "previous_message": before}
    return _hidden(slack, message, found)


def home_opened_event(slack: Platform, user: User) -> Json:
    found: Json = {"type": "app_home_opened", "user": user.id, "channel": slack.workspace.dm_of(user.id).id}
    found["tab"] = "home"
    if view := slack.workspace.homes.get(user.id):
        found["view"] = view_json(slack, view)
    return found


def joined_event(slack: Platform, user: str, channel: Channel, inviter: str | None) -> Json:
    found: Json = {"type": "member_joined_channel", "user": user, "channel": channel.id}
    found |= {"channel_type": "G" if channel.kind == "private" else "C", "team": slack.workspace.team_id}
    return {**found, "inviter": inviter} if inviter else found


def user_changed_event(slack: Platform, user: User) -> Json:
    return {"type": "user_change", "user": user_json(slack, user, locale=True), "cache_ts": int(slack.clock.now())}


def group_changed_event(slack: Platform, group: str, *, added: Sequence[str] = (), removed: Sequence[str] = ()) -> Json:
    now = int(slack.clock.now())
    found: Json = {"type": "subteam_members_changed", "subteam_id": group, "team_id": slack.workspace.team_id}
    found |= {"date_previous_update": now, "date_update": now, "added_users": [*added], "added_users_count": len(added)}
    return {**found, "removed_users": [*removed], "removed_users_count": len(removed)}


def channel_type(channel: Channel) -> str:
    if channel.is_group:
        return "mpim"
    return {"public": "channel", "private": "group", "dm": "im"}[channel.kind]


def _hidden(slack: Platform, message: Message, found: Json) -> Json:
    channel = slack.workspace.channels[message.channel]
    now = slack.mint_ts()
    common: Json = {"type": "message", "channel": channel.id, "hidden": True, "ts": now, "event_ts": now}
    return {**common, **found, "channel_type": channel_type(channel)}


def _interaction(slack: Platform, kind: str, user: User) -> dict[str, Any]:
    team = slack.workspace.team_id
    return {
        "type": kind,
        "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team_id or team},
        "api_app_id": slack.app.app_id,
        "token": slack.app.verification_token,
        "trigger_id": slack.trigger(user.id),
        "team": {"id": team, "domain": DOMAIN},
        "enterprise": {"id": slack.enterprise_id, "name": slack.enterprise_id} if slack.enterprise_id else None,
        "is_enterprise_install": slack.org_wide,
    }


def _channel_name(channel: Channel) -> str:
    if channel.is_group:
        return channel.name
    return {"public": channel.name, "private": "privategroup", "dm": "directmessage"}[channel.kind]
