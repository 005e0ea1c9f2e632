"""The Web API's look-ups: `conversations.*`, `users.*`, `usergroups.*`, `bots.*` and `team.*`."""

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

from bot.playground.arguments import Arguments, Failure
from bot.playground.chat_methods import known_channel
from bot.playground.payloads import DOMAIN, joined_event
from bot.playground.platform import Platform
from bot.playground.rendering import bot_profile, channel_json, message_json, user_json
from bot.playground.workspace import Channel, Json, Message

T = TypeVar("T")
MOST_IN_GROUP = 8


def open_conversation(slack: Platform, args: Arguments) -> Json:
    if "channel" in args:
        channel = known_channel(slack, args.text("channel"))
        return {"ok": True, "no_op": True, "already_open": True, "channel": _opened(slack, args, channel)}
    users = list(dict.fromkeys(user.strip() for user in args.text("users").split(",") if user.strip()))
    if not users:
        raise Failure("users_list_not_supplied")
    if len(users) > MOST_IN_GROUP:
        raise Failure("too_many_users")
    for name in users:
        user = slack.workspace.users.get(name)
        if user is None:
            raise Failure("user_not_found")
        if user.deleted:
            raise Failure("user_disabled")
        if user.is_bot:
            raise Failure("invalid_user_combination")
    channel = slack.workspace.conversation_of(users)
    slack.pulse.touch()
    return {"ok": True, "channel": _opened(slack, args, channel)}


def _opened(slack: Platform, args: Arguments, channel: Channel) -> Json:
    return channel_json(slack, channel) if args.flag("return_im") else {"id": channel.id}


def conversation_info(slack: Platform, args: Arguments) -> Json:
    channel = known_channel(slack, args.text("channel"))
    return {"ok": True, "channel": channel_json(slack, channel, members=args.flag("include_num_members"))}


def history(slack: Platform, args: Arguments) -> Json:
    channel = _readable(slack, args)
    shown = [
        m
        for m in slack.workspace.in_channel(channel.id)
        if not m.ephemeral_for and (not m.is_reply or m.reply_broadcast)
    ]
    return _messages(slack, args, list(reversed(_between(args, shown))))


def replies(slack: Platform, args: Arguments) -> Json:
    channel = _readable(slack, args)
    asked = slack.workspace.find(channel.id, args.text("ts"))
    if asked is None:
        raise Failure("thread_not_found")
    parent = slack.workspace.find(channel.id, asked.thread_ts or asked.ts)
    thread = slack.workspace.replies(channel.id, asked.thread_ts or asked.ts)
    found = _between(args, thread)
    return _messages(slack, args, [*([parent] if parent else []), *found])


def members(slack: Platform, args: Arguments) -> Json:
    channel = known_channel(slack, args.text("channel"))
    page, cursor = _page(args, channel.members, strict=True)
    return {"ok": True, "members": page, "response_metadata": {"next_cursor": cursor}}


def list_conversations(slack: Platform, args: Arguments) -> Json:
    return _channels(
        slack, args, [c for c in slack.workspace.channels.values() if c.kind == "public" or slack.hears(c)]
    )


def user_conversations(slack: Platform, args: Arguments) -> Json:
    user = args.text("user") or slack.app.bot_user_id
    return _channels(
        slack, args, [c for c in slack.workspace.channels.values() if user in c.members and slack.hears(c)]
    )


def join(slack: Platform, args: Arguments) -> Json:
    channel = known_channel(slack, args.text("channel"))
    if channel.kind != "public":
        raise Failure("method_not_supported_for_channel_type")
    if channel.archived:
        raise Failure("is_archived")
    if not slack.hears(channel):
        add_member(slack, channel, slack.app.bot_user_id, None)
    return {"ok": True, "channel": channel_json(slack, channel)}


def add_member(slack: Platform, channel: Channel, user: str, inviter: str | None) -> None:
    """Let *user* into *channel*; the bot hears of it if it is there."""
    if user in channel.members:
        return
    channel.members.append(user)
    if slack.hears(channel):
        slack.emit(joined_event(slack, user, channel, inviter))
    slack.pulse.touch()


def user_info(slack: Platform, args: Arguments) -> Json:
    user = slack.workspace.users.get(args.text("user"))
    if user is None:
        raise Failure("user_not_found")
    return {"ok": True, "user": user_json(slack, user, locale=args.flag("include_locale"))}


def list_users(slack: Platform, args: Arguments) -> Json:
    page, cursor = _page(args, list(slack.workspace.users.values()))
    found = [user_json(slack, user, locale=args.flag("include_locale")) for user in page]
    return {
        "ok": True,
        "members": found,
        "cache_ts": int(slack.clock.now()),
        "response_metadata": {"next_cursor": cursor},
    }


def list_groups(slack: Platform, args: Arguments) -> Json:
    found = []
    for group in slack.workspace.groups.values():
        shown: Json = {"id": group.id, "team_id": slack.workspace.team_id, "is_usergroup": True, "name": group.name}
        shown |= {"handle": group.handle, "user_count": len(group.users), "date_delete": 0}
        found.append({**shown, "users": group.users} if args.flag("include_users") else shown)
    return {"ok": True, "usergroups": found}


def group_users(slack: Platform, args: Arguments) -> Json:
    group = slack.workspace.groups.get(args.text("usergroup"))
    if group is None:
        raise Failure("no_such_subteam")
    users = [user for user in group.users if not slack.workspace.users[user].deleted]
    return {"ok": True, "users": users}


def bot_info(slack: Platform, args: Arguments) -> Json:
    if args.text("bot") not in ("", slack.app.bot_id):
        raise Failure("bot_not_found")
    profile = bot_profile(slack.app, slack.workspace.team_id)
    return {"ok": True, "bot": {key: value for key, value in profile.items() if key != "team_id"}}


def team_info(slack: Platform, args: Arguments) -> Json:
    team = {"id": slack.workspace.team_id, "name": slack.workspace.team_name, "domain": DOMAIN, "url": slack.url + "/"}
    return {"ok": True, "team": team}


def _readable(slack: Platform, args: Arguments) -> Channel:
    channel = known_channel(slack, args.text("channel"))
    if not slack.hears(channel):
        raise Failure("not_in_channel")
    return channel


def _between(args: Arguments, messages: list[Message]) -> list[Message]:
    oldest, latest = _moment(args, "oldest", 0.0), _moment(args, "latest", float("inf"))
    if args.flag("inclusive"):
        return [m for m in messages if oldest <= float(m.ts) <= latest]
    return [m for m in messages if oldest < float(m.ts) < latest]


def _moment(args: Arguments, name: str, default: float) -> float:
    if name not in args:
        return default
    try:
        return float(args.text(name))
    except ValueError as error:
        raise Failure(f"invalid_ts_{name}") from error


def _messages(slack: Platform, args: Arguments, messages: list[Message]) -> Json:
    page, cursor = _page(args, messages)
    metadata = args.flag("include_all_metadata")
    found: Json = {
        "ok": True,
        "messages": [message_json(slack, message, metadata=metadata) for message in page],
        "has_more": bool(cursor),
    }
    return found | {"response_metadata": {"next_cursor": cursor}} if cursor else found


def _channels(slack: Platform, args: Arguments, channels: list[Channel]) -> Json:
    wanted = {kind.strip() for kind in args.text("types", "public_channel").split(",")}
    if wanted - {"public_channel", "private_channel", "im", "mpim"}:
        raise Failure("invalid_types")
    found = [c for c in channels if _type(c) in wanted]
    if args.flag("exclude_archived"):
        found = [c for c in found if not c.archived]
    page, cursor = _page(args, found, strict=True)
    shown = [channel_json(slack, channel, members=True) for channel in page]
    return {"ok": True, "channels": shown, "response_metadata": {"next_cursor": cursor}}


def _type(channel: Channel) -> str:
    if channel.is_group:
        return "mpim"
    return {"public": "public_channel", "private": "private_channel", "dm": "im"}[channel.kind]


def _page(args: Arguments, rows: Sequence[T], *, strict: bool = False) -> tuple[list[T], str]:
    """One page of *rows* and the cursor of the next, empty on the last. A *strict* method says what limit it takes."""
    limit = args.number("limit", 100)
    if not 1 <= limit < 1000:
        if strict:
            raise Failure("invalid_limit")
        limit = 100
    start = 0
    if cursor := args.text("cursor"):
        try:
            start = int(base64.b64decode(cursor, validate=True).decode().removeprefix("next:"))
        except (binascii.Error, ValueError) as error:
            raise Failure("invalid_cursor") from error
    following = base64.b64encode(f"next:{start + limit}".encode()).decode() if start + limit < len(rows) else ""
    return list(rows[start : start + limit]), following


METHODS = {
    "conversations.open": open_conversation,
    "conversations.info": conversation_info,
    "conversations.history": history,
    "conversations.replies": replies,
    "conversations.members": members,
    "conversations.list": list_conversations,
    "conversations.join": join,
    "users.conversations": user_conversations,
    "users.info": user_info,
    "users.list": list_users,
    "usergroups.list": list_groups,
    "usergroups.users.list": group_users,
    "bots.info": bot_info,
    "team.info": team_info,
}
