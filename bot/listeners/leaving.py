"""People leave, or leave a group: if too few are left to answer a question, whoever asked is told."""

from __future__ import annotations

import logging
from collections.abc import Collection

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.response import BoltResponse

from bot.background import Spawn
from bot.listeners.hearing import Body, tenant_of, unreadable
from bot.payloads.events import parse_people_change
from bot.payloads.reading import PayloadError
from bot.slack.directory import Directory, Unchecked
from bot.slack.telling import Telling
from bot.views import wording
from engine.errors import StoreUnavailable
from engine.run_store import AskRecord, RunRecord, RunStore

logger = logging.getLogger(__name__)


class Leaving:
    """Hears of accounts that end and of groups that change."""

    def __init__(self, store: RunStore, directory: Directory, telling: Telling, spawn: Spawn) -> None:
        self._store = store
        self._directory = directory
        self._telling = telling
        self._spawn = spawn

    def listen(self, app: AsyncApp) -> None:
        app.event("user_change")(self.on_change)
        app.event("subteam_members_changed")(self.on_change)

    async def on_change(self, ack: AsyncAck, body: Body) -> BoltResponse:
        """Nothing is recorded: whoever decides is looked up then. So it is acknowledged before it is looked into."""
        try:
            change = parse_people_change(body)
        except PayloadError as error:
            unreadable(error)
            return await ack()
        tenant = tenant_of(change)
        self._directory.forget(tenant, change.name)
        if change.gone:
            self._spawn(self._look_after(tenant, change.name, change.gone))
        return await ack()

    async def _look_after(self, tenant: str, name: str, gone: Collection[str]) -> None:
        """Tell of each question of *name*, a person or a group that *gone* have left, that too few may answer now."""
        try:
            for ask in await self._store.asks_for(tenant, name):
                run = await self._store.run(ask.run_id)
                if run is not None and not await self._can_be_decided(run, ask, gone):
                    await self._tell(run, ask)
        except (StoreUnavailable, Unchecked) as error:
            logger.warning("not known who is left to answer", extra={"about": name, "reason": str(error)})

    async def _can_be_decided(self, run: RunRecord, ask: AskRecord, gone: Collection[str]) -> bool:
        left = (await self._directory.people(run.tenant, ask.allowed)).difference(gone)
        if not ask.self_approval:
            left -= {run.requester}
        return len(left.union(voter for voter, _ in ask.votes)) >= ask.quorum

    async def _tell(self, run: RunRecord, ask: AskRecord) -> None:
        logger.info("too few are left to answer", extra={"run_id": run.run_id, "ask": ask.ask_id})
        words = await self._directory.learn(run.tenant, run.requester)
        link = await self._telling.permalink(run.tenant, ask.messages[0]) if ask.messages else None
        await self._telling.tell_directly(run.tenant, run.requester, wording.too_few_left(ask.allowed, link, words))
