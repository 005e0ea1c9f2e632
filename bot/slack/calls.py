"""Calls to Slack about messages: post, find, change, delete; and what the errors they end with mean."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, TypeAlias

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.slack.pace import EVERY_S, Pace
from bot.slack.workspaces import Workspaces
from bot.views import blocks
from engine.run_store import RunRecord

logger = logging.getLogger(__name__)

CALL_TIMEOUT_S = 10
"""Less than the lease of an effect: a call that may still land is never repeated while it may."""
PAGE, PAGES = 200, 10
"""How many messages are looked through at a time, as Slack recommends, and how often at most."""
CLOCKS_S = 60.0
"""By how much Slack's clock and the run store's may differ."""

# Slack will say these again however often we try: docs.slack.dev/reference/methods/chat.postMessage
NOT_LET_IN = {"channel_not_found", "not_in_channel"}
_RESTRICTED = {"restricted_action"} | {
    f"restricted_action_{how}"
    for how in ("non_threadable_channel", "read_only_channel", "thread_locked", "thread_only_channel")
}
CLOSED_TO_US = NOT_LET_IN | _RESTRICTED | {"is_archived", "cannot_reply_to_message", "posting_to_channel_denied"}
_GONE = "message_not_found"
_UNCHANGEABLE = {_GONE, "cant_update_message", "edit_window_closed", "is_inactive"}
# A workspace that is taken into an organisation is out of reach for a while, and so is a channel that moves.
_MIGRATING = {"team_added_to_org", "org_login_required", "external_channel_migrating"}
_BUSY = {"ratelimited", "rate_limited", "message_limit_exceeded", "service_unavailable", "request_timeout"}
_PASSING = _MIGRATING | _BUSY | {"internal_error", "fatal_error", "update_failed", "file_update_failed"}
TOKEN_REFUSED = {"account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked"}
"""The token is not accepted: nothing can be done until somebody installs the app again, and then everything."""
UNCLEAR = (SlackClientError, aiohttp.ClientError, asyncio.TimeoutError, OSError)
"""What a call may end with besides an answer: it may have been done or not."""

Standing: TypeAlias = Literal["changed", "gone", "closed"]
"""How a message stands that was to be changed; "closed" is its channel to us."""


class SlackCalls:
    """The calls about messages. A reference is a message's channel and time stamp, ``C1:17.5``; a *tenant* says in
    which workspace it stands.

    What a call raises is `SlackApiError`, if Slack refused it, one of `UNCLEAR`, or `HeldBack` if it was not made.
    """

    def __init__(self, workspaces: Workspaces, pace: Pace) -> None:
        self._workspaces = workspaces
        self._pace = pace

    async def open(self, tenant: str, user: str) -> str:
        """Return the conversation of the bot with somebody."""
        client = await self._workspaces.client(tenant)
        return str((await client.conversations_open(users=user))["channel"]["id"])

    async def post(
        self, tenant: str, channel: str, thread_ts: str, message: blocks.Message, metadata: dict[str, Any]
    ) -> tuple[str, str]:
        """Post a message, and return its reference and in which thread it stands, "" in none; its file is left out.

        Slack puts what is meant for a thread that was deleted into the channel itself.
        """
        client = await self._workspaces.client(tenant)
        self._pace.take(tenant, channel)
        with self._heard(tenant, channel):
            sent = await client.chat_postMessage(
                channel=channel,
                text=message.text,
                blocks=message.blocks,
                thread_ts=thread_ts or None,
                metadata=metadata,
                unfurl_links=False,
                unfurl_media=False,
            )
        return f"{sent['channel']}:{sent['ts']}", str(sent["message"].get("thread_ts") or "")

    async def upload(self, tenant: str, channel: str, thread_ts: str, name: str, title: str, text: str) -> None:
        """Put a text into a thread as a file."""
        client = await self._workspaces.client(tenant)
        await client.files_upload_v2(channel=channel, thread_ts=thread_ts, content=text, filename=name, title=title)

    async def has_file(self, tenant: str, channel: str, thread_ts: str, name: str) -> bool:
        """Tell whether a file of that name is in a thread."""
        async with asyncio.timeout(CALL_TIMEOUT_S):
            messages = await self._messages(tenant, channel, thread_ts, 0.0)
        return any(file.get("name") == name for message in messages for file in message.get("files") or ())

    async def copies(self, run: RunRecord, effect_id: str, channel: str, thread_ts: str, since: float) -> list[str]:
        """Return the references of the messages that are one effect, oldest first; it is no older than *since*."""
        async with asyncio.timeout(CALL_TIMEOUT_S):
            messages = await self._messages(run.tenant, channel, thread_ts, since)
        found = sorted(str(message["ts"]) for message in messages if _is_effect(message, run.run_id, effect_id))
        return [f"{channel}:{ts}" for ts in found]

    async def _messages(self, tenant: str, channel: str, thread_ts: str, since: float) -> list[dict[str, Any]]:
        """Return the messages of a thread, or those of a conversation itself since then (POSIX seconds)."""
        client = await self._workspaces.client(tenant)
        ask = partial(client.conversations_replies, ts=thread_ts) if thread_ts else client.conversations_history
        arguments: dict[str, Any] = {"channel": channel, "limit": PAGE, "include_all_metadata": True}
        with self._heard(tenant, channel):
            page = await ask(**arguments)
        found: list[dict[str, Any]] = list(page.get("messages", []))
        for _ in range(PAGES - 1):
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            newest_first = not thread_ts
            if not cursor or (newest_first and found and float(found[-1]["ts"]) < since - CLOCKS_S):
                break
            try:
                page = await ask(**arguments, cursor=cursor)
            except SlackApiError as error:  # to wait for it, who may ask once a minute only would never post
                logger.info("not all messages looked through", extra={"channel": channel, "reason": code(error)})
                break
            found += page.get("messages", [])
        return found

    async def update(self, tenant: str, ref: str, message: blocks.Message) -> Standing:
        """Change a message, and tell how it stands; one that can no longer be changed stays as it is."""
        client = await self._workspaces.client(tenant)
        channel, _, ts = ref.partition(":")
        try:
            with self._heard(tenant, channel):
                await client.chat_update(channel=channel, ts=ts, text=message.text, blocks=message.blocks)
        except SlackApiError as error:
            if code(error) not in _UNCHANGEABLE | CLOSED_TO_US:
                raise
            logger.info("message can no longer be changed", extra={"ref": ref, "reason": code(error)})
            return "gone" if code(error) == _GONE else "closed"
        return "changed"

    async def delete(self, tenant: str, ref: str) -> None:
        """Delete a message; one that cannot be deleted stays."""
        client = await self._workspaces.client(tenant)
        channel, _, ts = ref.partition(":")
        try:
            await client.chat_delete(channel=channel, ts=ts)
        except SlackApiError as error:
            if is_passing(error):
                raise
            logger.info("message could not be deleted", extra={"ref": ref, "reason": code(error)})

    @contextmanager
    def _heard(self, tenant: str, channel: str) -> Iterator[None]:
        """Call Slack about *channel*, unless it has asked us to wait there; if it asks for it now, heed that."""
        self._pace.check(tenant, channel)
        try:
            yield
        except SlackApiError as error:
            if error.response.status_code == 429:
                self._pace.quiet(tenant, channel, retry_after(error) or EVERY_S)
            raise


def code(error: SlackApiError) -> str:
    """Return Slack's word for an error, or ``http_502`` where it gave none."""
    return str(error.response.get("error", "") or f"http_{error.response.status_code}")


def is_passing(error: SlackApiError) -> bool:
    """Whether it is worth asking again later."""
    return (
        code(error) in _PASSING | TOKEN_REFUSED
        or error.response.status_code >= 500
        or error.response.status_code == 429
    )


def retry_after(error: SlackApiError) -> float | None:
    """Return how many seconds Slack asks us to wait, within reason, or None if it does not say."""
    given = error.response.headers.get("Retry-After") or error.response.headers.get("retry-after")
    try:
        seconds = math.nan if given is None else float(given)
    except (TypeError, ValueError):
        return None
    return min(max(seconds, 0.5), 3600.0) if math.isfinite(seconds) else None


def _is_effect(message: Mapping[str, Any], run_id: str, effect_id: str) -> bool:
    payload = (message.get("metadata") or {}).get("event_payload") or {}
    return bool(payload.get("run_id") == run_id and payload.get("effect_id") == effect_id)
