"""Slack's requests made by hand: signed bodies, for what the fake Slack is too well-behaved to send."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp

from bot.playground.widgets import filled_in
from bot.playground.workspace import Message, View
from tests.e2e.process import BotProcess
from tests.e2e.stage import ANA, SIGNING_SECRET, Room
from tests.messages import button

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
TIMESTAMP = "X-Slack-Request-Timestamp"
SIGNATURE = "X-Slack-Signature"


@dataclass(frozen=True)
class Request:
    """A body and its headers; a name may stand there twice."""

    body: bytes
    headers: Sequence[tuple[str, str]]

    def having(self, *headers: tuple[str, str]) -> Request:
        """The same with these headers instead of those of the same names."""
        names = {name for name, _ in headers}
        return Request(self.body, [*(pair for pair in self.headers if pair[0] not in names), *headers])

    def without(self, *names: str) -> Request:
        return Request(self.body, [pair for pair in self.headers if pair[0] not in names])

    async def to(self, bot: BotProcess) -> tuple[int, str]:
        """Send it; status and body of the answer."""
        async with (
            aiohttp.ClientSession(skip_auto_headers=["Content-Type"]) as http,
            http.post(bot.request_url, data=io.BytesIO(self.body), headers=self.headers) as answer,
        ):
            return answer.status, await answer.text()


def signed(body: bytes, kind: str = FORM, *, at: float | str | None = None, secret: str = SIGNING_SECRET) -> Request:
    """A request with Slack's signature; *at* is the time it claims to be of.

    As docs.slack.dev/authentication/verifying-requests-from-slack has it; the SDK signs no bytes that are not UTF-8.
    """
    stamp = at if isinstance(at, str) else str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return Request(body, [("Content-Type", kind), (TIMESTAMP, stamp), (SIGNATURE, f"v0={digest}")])


def form(fields: Mapping[str, str]) -> bytes:
    return urlencode(fields).encode()


def interaction(payload: Mapping[str, Any]) -> Request:
    return signed(form({"payload": json.dumps(payload)}))


def event(payload: Mapping[str, Any]) -> Request:
    return signed(json.dumps(payload).encode(), JSON)


def command(room: Room, line: str, user: str = ANA) -> dict[str, str]:
    """The fields of a slash command."""
    name, _, text = line.partition(" ")
    return {
        "team_id": room.slack.workspace.team_id,
        "channel_id": room.channel,
        "user_id": user,
        "command": name,
        "text": text,
        "response_url": room.slack.response_url(room.channel, user),
        "trigger_id": room.slack.trigger(user),
    }


def click(room: Room, message: Message, label: str, user: str) -> dict[str, Any]:
    """The payload of a press on a button, by a person the workspace need not know."""
    pressed = button(message, label)
    return {
        "type": "block_actions",
        "user": {"id": user, "username": user.lower(), "team_id": room.slack.workspace.team_id},
        "team": {"id": room.slack.workspace.team_id, "domain": "signoff"},
        "enterprise": None,
        "api_app_id": room.slack.app.app_id,
        "trigger_id": room.slack.trigger(user),
        "container": {"type": "message", "message_ts": message.ts, "channel_id": room.channel},
        "channel": {"id": room.channel, "name": "room"},
        "message": {"ts": message.ts, "user": message.user, "text": message.text, "blocks": message.blocks},
        "response_url": room.slack.response_url(room.channel, user, message),
        "actions": [{**pressed, "block_id": "answers", "action_ts": room.slack.mint_ts()}],
    }


def submission(room: Room, view: View, user: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The payload of a modal that was filled in, by block id, and sent."""
    return {
        "type": "view_submission",
        "user": {"id": user, "team_id": room.slack.workspace.team_id},
        "team": {"id": room.slack.workspace.team_id},
        "trigger_id": room.slack.trigger(user),
        "view": {
            "id": view.id,
            "type": "modal",
            "hash": view.hash,
            **{name: view.body[name] for name in ("callback_id", "private_metadata")},
            "state": {"values": filled_in(view.blocks, dict(values))},
        },
    }


def reply(room: Room, thread: Message, text: str, user: str, *, event_id: str = "Ev1") -> dict[str, Any]:
    """The envelope of a message in a thread."""
    ts = room.slack.mint_ts()
    return {
        "type": "event_callback",
        "team_id": room.slack.workspace.team_id,
        "api_app_id": room.slack.app.app_id,
        "event_id": event_id,
        "event_time": int(float(ts)),
        "event": {
            "type": "message",
            "user": user,
            "team": room.slack.workspace.team_id,
            "channel": room.channel,
            "channel_type": "channel",
            "text": text,
            "ts": ts,
            "thread_ts": thread.ts,
            "parent_user_id": thread.user,
            "event_ts": ts,
        },
    }


def statuses(answers: Iterable[tuple[int, str]]) -> set[int]:
    return {status for status, _ in answers}
