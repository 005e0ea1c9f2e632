"""The manifest of the Slack app: what Slack must be told for the commands found.

``manifest.yml`` in the repository is the output for the workflows that come with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bot.asking.triggers import BUILT_IN, MessageShortcut, SlashCommand

NAME = "Signoff"
DESCRIPTION = "Asks people for a decision and goes on with their answer"
COLOUR = "#1f5f4a"
COMMANDS, SHORTCUTS = 50, 10  # in Slack's manifest schema

# Why each scope is there; a method that is not named needs none.
SCOPES: Mapping[str, tuple[str, ...]] = {
    "slash commands": ("commands",),
    "chat.delete": ("chat:write",),
    "chat.postEphemeral": ("chat:write",),
    "chat.postMessage": ("chat:write",),
    "chat.update": ("chat:write",),
    "conversations.open": ("im:write",),
    "conversations.members": ("channels:read", "groups:read"),
    "files.completeUploadExternal": ("files:write",),
    "files.getUploadURLExternal": ("files:write",),
    "usergroups.list": ("usergroups:read",),
    "usergroups.users.list": ("usergroups:read",),
    "users.conversations": ("channels:read", "groups:read"),
    "users.info": ("users:read",),
}
# With these the bot hears replies in threads, and finds what an interrupted attempt has posted.
_READS = ("channels:history", "groups:history", "im:history", "mpim:history")
HISTORY: Mapping[str, tuple[str, ...]] = {"conversations.history": _READS, "conversations.replies": _READS}
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
EVENTS = ("app_home_opened", "user_change", "subteam_members_changed")
MESSAGE_EVENTS = ("message.channels", "message.groups", "message.im", "message.mpim")
LEAVING_EVENTS = ("app_uninstalled", "team_access_revoked", "tokens_revoked")


def build(
    commands: Sequence[SlashCommand],
    shortcuts: Sequence[MessageShortcut] = (),
    *,
    request_url: str | None = None,
    redirect_url: str | None = None,
    thread_replies: bool = True,
) -> dict[str, Any]:
    """Return the manifest for *commands* and those built in. Without a *request_url* the app connects through
    Socket Mode.

    With a *redirect_url*, which is where Slack sends people who install it, it is an app for many workspaces and
    organisations, and its tokens end and are refreshed.

    Raises:
        ValueError: Slack would not take it.
    """
    commands = [*commands, *BUILT_IN]
    if len(commands) > COMMANDS:
        raise ValueError(f"{len(commands)} commands; a Slack app may have {COMMANDS}")
    if len(shortcuts) > SHORTCUTS:
        raise ValueError(f"{len(shortcuts)} shortcuts; a Slack app may have {SHORTCUTS}")
    if request_url is not None and not request_url.startswith("https://"):
        raise ValueError(f"request address {request_url!r}: Slack reaches https addresses only")
    settings: dict[str, Any] = {
        "interactivity": _reached({"is_enabled": True}, request_url),
        "org_deploy_enabled": redirect_url is not None,
        "socket_mode_enabled": request_url is None,
        "token_rotation_enabled": redirect_url is not None,
    }
    events = [*EVENTS, *(MESSAGE_EVENTS if thread_replies else ()), *(LEAVING_EVENTS if redirect_url else ())]
    settings["event_subscriptions"] = _reached({"bot_events": events}, request_url)
    features: dict[str, Any] = {
        "app_home": {
            "home_tab_enabled": True,
            "messages_tab_enabled": True,
            "messages_tab_read_only_enabled": False,
        },
        "bot_user": {"display_name": NAME, "always_online": True},
        "slash_commands": [
            _command(command, request_url) for command in sorted(commands, key=lambda command: command.command)
        ],
    }
    if shortcuts:
        features["shortcuts"] = [_shortcut(one) for one in sorted(shortcuts, key=lambda one: one.name)]
    return {
        "display_information": {"name": NAME, "description": DESCRIPTION, "background_color": COLOUR},
        "features": features,
        "oauth_config": {
            **({"redirect_urls": [redirect_url]} if redirect_url else {}),
            "scopes": {"bot": scopes(thread_replies=thread_replies)},
        },
        "settings": settings,
    }


def scopes(*, thread_replies: bool = True) -> list[str]:
    """Return the scopes that the app asks for."""
    methods = {**SCOPES, **HISTORY} if thread_replies else SCOPES
    return sorted({scope for needed in methods.values() for scope in needed})


def to_yaml(manifest: Mapping[str, Any]) -> str:
    """Return the manifest as YAML, always the same for the same manifest. Texts are quoted as in JSON."""
    return "\n".join(_yaml(manifest, "")) + "\n"


def _command(command: SlashCommand, request_url: str | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"command": command.command}
    if request_url is not None:
        entry["url"] = request_url
    entry["description"] = command.summary
    if command.usage:
        entry["usage_hint"] = command.usage
    entry["should_escape"] = False
    return entry


def _shortcut(shortcut: MessageShortcut) -> dict[str, Any]:
    return {
        "name": shortcut.name,
        "type": "message",
        "callback_id": shortcut.callback_id,
        "description": shortcut.summary,
    }


def _reached(settings: dict[str, Any], request_url: str | None) -> dict[str, Any]:
    return settings if request_url is None else {**settings, "request_url": request_url}


def _yaml(value: Mapping[str, Any], indent: str) -> list[str]:
    lines: list[str] = []
    for key, item in value.items():
        if isinstance(item, Mapping):
            lines += [f"{indent}{key}:", *_yaml(item, f"{indent}  ")]
        elif isinstance(item, list):
            lines.append(f"{indent}{key}:")
            for entry in item:
                block = (
                    _yaml(entry, f"{indent}    ") if isinstance(entry, Mapping) else [f"{indent}    {_scalar(entry)}"]
                )
                lines += [f"{indent}  - {block[0].lstrip()}", *block[1:]]
        else:
            lines.append(f"{indent}{key}: {_scalar(item)}")
    return lines


def _scalar(value: Any) -> str:
    """Return JSON, which is YAML too but for characters that YAML wants escaped."""
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))
