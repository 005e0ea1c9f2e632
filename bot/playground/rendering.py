"""The workspace as the Web API shows it: users, channels, messages, files and views as Slack's JSON."""

import mimetypes
import secrets
import uuid
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.playground.limits import elements_of
from bot.playground.platform import AppConfig, Platform
from bot.playground.widgets import filled_in
from bot.playground.workspace import Channel, File, Json, Message, User, View

TIMEZONES = {
    "Europe/Berlin": ("Central European Time", 3600),
    "Europe/Paris": ("Central European Time", 3600),
    "Europe/London": ("Greenwich Mean Time", 0),
    "America/New_York": ("Eastern Standard Time", -18000),
    "America/Bogota": ("Colombia Time", -18000),
    "UTC": ("Coordinated Universal Time", 0),
}


def user_json(slack: Platform, user: User, *, locale: bool = False) -> Json:
    label, offset = _time_zone(user.tz, slack.clock.now())
    found: Json = {
        "id": user.id,
        "team_id": user.team_id or slack.workspace.team_id,
        "name": user.name,
        "deleted": user.deleted,
        "color": user.color.lstrip("#"),
        "real_name": user.real_name,
        "tz": user.tz,
        "tz_label": label,
        "tz_offset": offset,
        "profile": {
            "real_name": user.real_name,
            "real_name_normalized": user.real_name,
            "display_name": user.name,
            "display_name_normalized": user.name,
            "team": user.team_id or slack.workspace.team_id,
        },
        "is_admin": False,
        "is_owner": False,
        "is_primary_owner": False,
        "is_restricted": user.is_restricted,
        "is_ultra_restricted": False,
        "is_bot": user.is_bot,
        "is_app_user": False,
        "updated": 0,
    }
    if user.is_bot:
        found["profile"] |= {"bot_id": slack.app.bot_id, "api_app_id": slack.app.app_id}
    if user.team_id and user.team_id != slack.workspace.team_id:
        found["is_stranger"] = True
    elif slack.workspace.enterprise_id:
        teams = slack.workspace.enterprise_teams
        found["enterprise_user"] = {"id": user.id, "enterprise_id": slack.workspace.enterprise_id, "teams": teams}
    return {**found, "locale": user.locale} if locale else found


def _time_zone(name: str, now: float) -> tuple[str, int]:
    """A zone's label and its offset from UTC in seconds, with summer time where this machine knows of it."""
    label, winter = TIMEZONES.get(name, (name, 0))
    try:
        offset = datetime.fromtimestamp(now, ZoneInfo(name)).utcoffset()
    except ZoneInfoNotFoundError:
        return label, winter
    return label, int(offset.total_seconds()) if offset else 0


def channel_json(slack: Platform, channel: Channel, *, members: bool = False) -> Json:
    found: Json = {
        "id": channel.id,
        "created": 1_700_000_000,
        "is_archived": channel.archived,
        "is_im": channel.kind == "dm" and not channel.is_group,
        "is_org_shared": False,
        "context_team_id": slack.workspace.team_id,
        "updated": 1_700_000_000_000,
    }
    if channel.kind == "dm" and not channel.is_group:
        person = next(user for user in channel.members if user != slack.app.bot_user_id)
        return found | {"user": person, "is_user_deleted": slack.workspace.users[person].deleted, "priority": 0}
    found |= {
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": channel.kind == "public",
        "is_group": False,
        "is_mpim": channel.is_group,
        "is_private": channel.kind != "public",
        "is_general": channel.name == "general",
        "is_shared": False,
        "is_ext_shared": False,
        "is_pending_ext_shared": False,
        "is_member": slack.hears(channel),
        "unlinked": 0,
        "creator": "U1",
        "topic": {"value": "", "creator": "", "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
        "previous_names": [],
    }
    return found | {"num_members": len(channel.members)} if members else found


def message_json(slack: Platform, message: Message, *, metadata: bool = True) -> Json:
    """A message as in `conversations.history`, `chat.postMessage` and interaction payloads."""
    team = slack.workspace.team_id
    found: Json = {"type": "message", "user": message.user, "ts": message.ts, "text": message.text, "team": team}
    if message.bot_id:
        found |= {"bot_id": message.bot_id, "app_id": slack.app.app_id, "bot_profile": bot_profile(slack.app, team)}
        if message.username:
            found |= {"username": message.username, "subtype": "bot_message"}
    elif message.text:
        found["client_msg_id"] = str(uuid.uuid5(uuid.NAMESPACE_OID, message.ts))
        found["blocks"] = [_typed_text(message.text)]
    if message.subtype:
        found["subtype"] = message.subtype
    for name, value in (("blocks", message.blocks), ("attachments", message.attachments)):
        if value:
            found[name] = value
    if message.thread_ts:
        found["thread_ts"] = message.thread_ts
    if message.is_reply:
        parent = slack.workspace.find(message.channel, str(message.thread_ts))
        found["parent_user_id"] = parent.user if parent else None
    else:
        found |= _thread_json(slack, message)
    if message.edited_ts:
        found["edited"] = {"user": message.bot_id or message.user, "ts": message.edited_ts}
    if message.files:
        found |= {"files": [file_json(slack, slack.workspace.files[key]) for key in message.files], "upload": False}
    if message.reactions:
        found["reactions"] = [{"name": n, "users": who, "count": len(who)} for n, who in message.reactions.items()]
    if message.metadata and metadata:
        found["metadata"] = message.metadata
    return found


def bot_profile(app: AppConfig, team: str) -> Json:
    icons = {f"image_{size}": f"https://a.slack-edge.com/playground/{size}.png" for size in (36, 48, 72)}
    return {
        "id": app.bot_id,
        "app_id": app.app_id,
        "user_id": app.bot_user_id,
        "name": "signoff",
        "icons": icons,
        "deleted": False,
        "updated": 1_700_000_000,
        "team_id": team,
    }


def _typed_text(text: str) -> Json:
    """The rich text block Slack makes of what a person typed."""
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}
    return {"type": "rich_text", "block_id": "typed", "elements": [section]}


def file_json(slack: Platform, file: File) -> Json:
    mimetype = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return {
        "id": file.id,
        "created": file.created,
        "timestamp": file.created,
        "name": file.name,
        "title": file.title,
        "mimetype": mimetype,
        "filetype": file.name.rpartition(".")[2] or "text",
        "pretty_type": "Plain Text",
        "user": file.user,
        "user_team": slack.workspace.team_id,
        "editable": False,
        "size": file.size,
        "mode": "hosted",
        "is_external": False,
        "external_type": "",
        "is_public": bool(file.shared),
        "url_private": f"{slack.url}/files/{file.id}/{file.name}",
        "url_private_download": f"{slack.url}/files/{file.id}/{file.name}",
        "permalink": f"{slack.url}/files/{file.id}/{file.name}",
        "channels": file.shared,
        "groups": [],
        "ims": [],
    }


def view_json(slack: Platform, view: View) -> Json:
    """A view as in `views.open` and interaction payloads."""
    body = view.body
    found: Json = {
        "id": view.id,
        "team_id": slack.workspace.team_id,
        "type": body["type"],
        "blocks": view.blocks,
        "private_metadata": body.get("private_metadata", ""),
        "callback_id": body.get("callback_id", ""),
        "state": {"values": filled_in(view.blocks, view.values)},
        "hash": view.hash,
        "title": body.get("title") or {"type": "plain_text", "text": "View Title", "emoji": True},
        "clear_on_close": bool(body.get("clear_on_close")),
        "notify_on_close": bool(body.get("notify_on_close")),
        "close": body.get("close"),
        "submit": body.get("submit"),
        "previous_view_id": view.previous_view_id,
        "root_view_id": view.root_view_id,
        "app_id": slack.app.app_id,
        "external_id": body.get("external_id", ""),
        "app_installed_team_id": slack.workspace.team_id,
        "bot_id": slack.app.bot_id,
    }
    return found


def with_ids(blocks: list[Json]) -> list[Json]:
    """The same blocks with the ids that Slack gives to blocks and elements which came without."""
    made = []
    for block in blocks:
        block = {**block, "block_id": block.get("block_id") or secrets.token_urlsafe(4)}
        for where, _ in list(elements_of(block)):
            _give_id(block, where)
        made.append(block)
    return made


def _give_id(block: Json, where: str) -> None:
    name, _, index = where.partition("/")
    held: Any = block[name]
    if index:
        elements = list(held)
        elements[int(index)] = {**elements[int(index)]}
        elements[int(index)].setdefault("action_id", secrets.token_urlsafe(4))
        block[name] = elements
    else:
        block[name] = {"action_id": secrets.token_urlsafe(4), **held}


def _thread_json(slack: Platform, parent: Message) -> Json:
    replies = slack.workspace.replies(parent.channel, parent.ts)
    if not replies:
        return {}
    who = list(dict.fromkeys(reply.user for reply in replies))
    return {
        "thread_ts": parent.ts,
        "reply_count": len(replies),
        "reply_users_count": len(who),
        "latest_reply": replies[-1].ts,
        "reply_users": who,
        "is_locked": False,
        "subscribed": True,
    }
