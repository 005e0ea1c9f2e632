"""Words to one person: private notes, modals, links. A failure is logged, since people can ask again."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError

from bot.languages import Catalogue
from bot.slack.calls import CALL_TIMEOUT_S, UNCLEAR, code
from bot.slack.workspaces import Workspaces
from bot.views import blocks
from bot.views.modals import notice_modal

logger = logging.getLogger(__name__)

OPEN_LIMIT_S = 2.0
"""For a modal that no acknowledgement waits for."""
LINK_LIMIT_S = 1.0
"""For a link in what a late answer is told: nice to have, and the acknowledgement waits for it."""


_NOT_THERE = {"user_not_in_channel", "not_in_channel", "channel_not_found", "is_archived"}
"""Why somebody cannot be told beside a question: they have answered it from App Home."""


class Telling:
    """What a surface says to one person at a time."""

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces

    async def tell(
        self, tenant: str, user: str, text: str, *, response_url: str = "", channel: str = "", thread_ts: str = ""
    ) -> None:
        """Tell one person something privately, beside what they did."""
        message = blocks.private_message(text)
        try:
            by_url = bool(response_url) and self._is_slack(response_url)
            if not (by_url and await self._answer(response_url, message, thread_ts=thread_ts)) and channel:
                client = await self._workspaces.client(tenant)
                await client.chat_postEphemeral(
                    channel=channel, user=user, text=message.text, blocks=message.blocks, thread_ts=thread_ts or None
                )
        except (SlackApiError, *UNCLEAR) as error:
            logger.warning("could not tell somebody privately", extra={"reason": str(error)})
            if isinstance(error, SlackApiError) and code(error) in _NOT_THERE:
                await self.tell_directly(tenant, user, text)

    async def replace(self, url: str, message: blocks.Message) -> None:
        """Show *message* in the place of the private one that a click came from, by that click's response_url."""
        try:
            if self._is_slack(url):
                await self._answer(url, message, replace=True)
        except UNCLEAR as error:
            logger.warning("could not show somebody what they asked for", extra={"reason": str(error)})

    async def tell_directly(self, tenant: str, user: str, text: str) -> None:
        """Tell one person something in their conversation with the bot."""
        message = blocks.private_message(text)
        try:
            client = await self._workspaces.client(tenant)
            opened = await client.conversations_open(users=user)
            await client.chat_postMessage(
                channel=str(opened["channel"]["id"]),
                text=message.text,
                blocks=message.blocks,
                unfurl_links=False,
                unfurl_media=False,
            )
        except (SlackApiError, *UNCLEAR) as error:
            logger.error("could not reach somebody", extra={"reason": str(error)})

    async def tell_above(self, tenant: str, user: str, trigger_id: str, text: str, words: Catalogue) -> None:
        """Tell one person something in a modal, or, if that does not open, in their conversation with the bot."""
        if not await self.open_modal(tenant, trigger_id, notice_modal(text, words)):
            await self.tell_directly(tenant, user, text)

    async def open_modal(self, tenant: str, trigger_id: str, view: dict[str, Any], *, by: float | None = None) -> bool:
        """Open a modal; False if Slack would not, most often because the click is older than 3 seconds.

        One that the same click has opened before is open. *by*, in the event loop's time, is when to give up.
        """
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + OPEN_LIMIT_S if by is None else by):
                client = await self._workspaces.client(tenant)
                await client.views_open(trigger_id=trigger_id, view=view)
        except SlackApiError as error:
            logger.info("modal not opened", extra={"reason": code(error)})
            return code(error) == "exchanged_trigger_id"
        except UNCLEAR as error:
            logger.warning("modal not opened", extra={"reason": repr(error)})
            return False
        return True

    async def permalink(self, tenant: str, ref: str) -> str | None:
        """Return the address of a message, or None."""
        channel, _, ts = ref.partition(":")
        try:
            async with asyncio.timeout(LINK_LIMIT_S):
                client = await self._workspaces.client(tenant)
                return str((await client.chat_getPermalink(channel=channel, message_ts=ts))["permalink"])
        except (SlackApiError, *UNCLEAR):
            return None

    async def _answer(self, url: str, message: blocks.Message, *, replace: bool = False, thread_ts: str = "") -> bool:
        """Send a message to a response_url, and tell whether Slack took it there."""
        body = {
            "response_type": "ephemeral",
            "replace_original": replace,
            "text": message.text,
            "blocks": message.blocks,
            **({"thread_ts": thread_ts} if thread_ts else {}),  # else it stands in the channel, out of sight
        }
        async with self._session() as session, session.post(url, json=body, allow_redirects=False) as answer:
            if answer.status >= 300:
                logger.warning("could not tell somebody privately", extra={"reason": f"HTTP {answer.status}"})
            return answer.status < 300

    def _session(self) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
        """The session of all clients, if whoever made them gave them one, else one for this call."""
        if (session := self._workspaces.app.session) is not None:
            return nullcontext(session)
        return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_S))

    def _is_slack(self, url: str) -> bool:
        """Whether an address that came with a payload is Slack's own (or that of the Slack we are set up for)."""
        try:
            asked, ours = urlsplit(url), urlsplit(self._workspaces.app.base_url)
        except ValueError:
            return False
        if (asked.scheme, asked.netloc) == (ours.scheme, ours.netloc):
            return True
        return asked.scheme == "https" and asked.netloc in ("hooks.slack.com", "hooks.slack-gov.com")
