"""Message shortcuts: a message that somebody picks begins a run, as a command would with its text."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltContext
from slack_bolt.response import BoltResponse

from bot.asking.triggers import CommandReceived
from bot.background import Spawn
from bot.listeners.hearing import ANYTHING, Body, Readers, in_time, tenant_of, unreadable
from bot.payloads.interactions import ShortcutCall, parse_shortcut
from bot.payloads.reading import PayloadError
from bot.plugins import Plugin
from bot.slack.telling import Telling
from bot.views import wording
from engine.errors import StoreUnavailable
from engine.runner import Runner

logger = logging.getLogger(__name__)


class Shortcuts:
    """Hears what people choose from the menu of a message."""

    def __init__(
        self, plugins: Mapping[str, Plugin], runner: Runner, telling: Telling, readers: Readers, spawn: Spawn
    ) -> None:
        found = [(plugin.shortcut, plugin) for plugin in plugins.values() if plugin.shortcut is not None]
        self._plugins = {shortcut.callback_id: (shortcut, plugin) for shortcut, plugin in found}
        self._runner = runner
        self._telling = telling
        self._spawn = spawn
        self._words = readers.words

    def listen(self, app: AsyncApp) -> None:
        app.message_shortcut(ANYTHING)(self.on_shortcut)

    async def on_shortcut(self, ack: AsyncAck, body: Body, context: AsyncBoltContext) -> BoltResponse:
        """Start a run, or say privately why not."""
        try:
            call = parse_shortcut(body)
        except PayloadError as error:
            unreadable(error)
            return await ack()
        words = self._words(call)
        known = self._plugins.get(call.callback_id)
        if known is None:
            return await self._refuse(ack, call, words.unknown_shortcut)
        shortcut, plugin = known
        problem = shortcut.check(call.text)
        if problem is not None:
            return await self._refuse(ack, call, wording.bad_text(problem, words))
        try:
            async with in_time(context):
                await self._start(plugin, call)
        except StoreUnavailable as error:
            logger.error("run not started", extra={"reason": str(error)})
            return await self._refuse(ack, call, words.not_started)
        return await ack()

    async def _start(self, plugin: Plugin, call: ShortcutCall) -> None:
        tenant = tenant_of(call)
        link = await self._telling.permalink(tenant, f"{call.channel_id}:{call.message_ts}")
        run_id = await self._runner.start(
            plugin.workflow,
            CommandReceived(
                text=call.text,
                user_id=call.user_id,
                channel_id=call.channel_id,
                team_id=call.team_id,
                user_name=call.user_name,
                message_ts=call.message_ts,
                message_link=link or "",
                message_author=call.author_id,
            ),
            key=call.delivery_id,
            tenant=tenant,
            requester=call.user_id,
            address=call.channel_id,
        )
        logger.info("run started", extra={"run_id": run_id, "command": call.callback_id, "by": call.user_id})

    async def _refuse(self, ack: AsyncAck, call: ShortcutCall, text: str) -> BoltResponse:
        tenant, place = tenant_of(call), {"channel": call.channel_id, "thread_ts": call.thread_ts}
        self._spawn(self._telling.tell(tenant, call.user_id, text, response_url=call.response_url, **place))
        return await ack()
