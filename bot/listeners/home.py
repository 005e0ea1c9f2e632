"""App Home: draws it for whoever opens it, and again when something in it has changed."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltContext
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackApiError

from bot.background import Spawn
from bot.languages import Catalogue
from bot.listeners.audience import Audience, Seen
from bot.listeners.cancelling import Cancelling
from bot.listeners.finding import Finding
from bot.listeners.hearing import EMPTY, NOT_SAVED, Body, Readers, in_time, tenant_of, unreadable
from bot.payloads.events import parse_home_opened
from bot.payloads.interactions import ButtonClick, parse_click
from bot.payloads.reading import PayloadError
from bot.slack.calls import UNCLEAR, code
from bot.slack.directory import Directory, Unchecked
from bot.slack.telling import Telling
from bot.slack.workspaces import Workspaces
from bot.slack_ids import is_group
from bot.views import home_view
from bot.views.home_view import RECENT, STARTED_PAGE, WAITING_PAGE, Pages, Part
from engine.errors import ContextSerdeError, StoreUnavailable
from engine.run_store import LIVE, OVER, AskRecord, EffectClaim
from engine.runner import Runner

logger = logging.getLogger(__name__)

TRIES = 5
"""How often a Home is drawn again because another process was quicker."""
LIMIT = 500
"""How many questions of each name somebody answers to are looked at."""
CONCERNED = 200
"""How many people a change is drawn for at once; the others see it when they open their Home."""


class Home:
    """Draws App Homes. What cannot be drawn now is logged: opening it again draws it anew."""

    def __init__(
        self, workspaces: Workspaces, runner: Runner, finding: Finding, directory: Directory, audience: Audience
    ) -> None:
        self._workspaces = workspaces
        self._store = runner.store
        self._finding = finding
        self._directory = directory
        self._audience = audience

    async def opened(self, tenant: str, user: str, view_hash: str) -> None:
        """Remember that somebody looks at their Home.

        Raises:
            StoreUnavailable: it is not remembered.
        """
        await self._audience.opened(tenant, user, view_hash)

    async def refresh(self, tenant: str, user: str, pages: Pages | None = None) -> None:
        """Draw somebody's Home as it stands now, turned to *pages* if they are given, if they have opened it."""
        try:
            await self._draw(tenant, user, pages)
        except (ContextSerdeError, SlackApiError, StoreUnavailable, *UNCLEAR) as error:
            reason = code(error) if isinstance(error, SlackApiError) else str(error)
            logger.warning("App Home not drawn", extra={"user": user, "reason": reason})

    async def changed(self, claims: Iterable[EffectClaim]) -> None:
        """Draw the Homes in which these runs and questions stand, now that they show something else."""
        concerned: set[tuple[str, str]] = set()
        for claim in claims:
            run, allowed = claim.run, claim.ask.allowed if claim.ask is not None else ()
            people = {run.requester, *(await self._people(run.tenant, allowed))} - {""}
            concerned |= {(run.tenant, user) for user in people}
        for tenant, user in sorted(concerned)[:CONCERNED]:
            await self.refresh(tenant, user)

    async def _people(self, tenant: str, names: Collection[str]) -> set[str]:
        people = {name for name in names if not is_group(name)}
        for name in names:
            if is_group(name):
                try:
                    people |= await self._directory.members(tenant, name)
                except Unchecked as error:
                    logger.info("App Homes of a group not drawn", extra={"group": name, "reason": str(error)})
        return people

    # --- drawing ---------------------------------------------------------------------------------

    async def _draw(self, tenant: str, user: str, pages: Pages | None) -> None:
        """Publish what is stored now, and never over what another process has read later."""
        for attempt in range(1, TRIES + 1):
            seen = await self._audience.seen(tenant, user)  # before what is to be shown: see `bot.listeners.audience`
            if seen is None:
                return
            view, turned = await self._view(tenant, user, pages or seen.pages)
            expected = seen.hash if attempt < TRIES else ""  # else one that a crash has lost would be expected for ever
            shown = await self._publish(tenant, user, view, expected)
            if shown is not None:
                await self._audience.shown(tenant, user, Seen(shown, turned))
                return

    async def _publish(self, tenant: str, user: str, view: dict[str, Any], expected: str) -> str | None:
        """Publish in the place of the view with that hash and return the new one's; None if another is there."""
        client = await self._workspaces.client(tenant)
        try:
            answer = await client.views_publish(user_id=user, view=view, hash=expected or None)
        except SlackApiError as error:
            if code(error) != "hash_conflict":
                raise
            return None
        return str(answer["view"]["hash"])

    async def _view(self, tenant: str, user: str, pages: Pages) -> tuple[dict[str, Any], Pages]:
        """Return what to show, and the pages that it is: there may be no such page any more."""
        words = await self._directory.learn(tenant, user)
        asks = await self._asks(tenant, user)
        first = min(pages.waiting, max(0, len(asks) - 1) // WAITING_PAGE) * WAITING_PAGE
        asked = Part(await self._finding.asked(asks[first : first + WAITING_PAGE]), len(asks) > first + WAITING_PAGE)
        started, last = await self._started(tenant, user, pages.started)
        over = await self._store.runs(tenant=tenant, requester=user, statuses=OVER, limit=RECENT)
        turned = Pages(first // WAITING_PAGE, last)
        return home_view.home_view(asked, started, await self._finding.rows(over), turned, words=words), turned

    async def _asks(self, tenant: str, user: str) -> list[AskRecord]:
        """Return the open questions that name somebody, or a group of theirs, and wait for them; oldest first."""
        found: dict[tuple[str, str], AskRecord] = {}
        for name in await self._names(tenant, user):
            asks = await self._store.asks_for(tenant, name, LIMIT)
            found |= {(ask.run_id, ask.ask_id): ask for ask in asks if await self._is_theirs(ask, user)}
        return sorted(found.values(), key=lambda ask: (ask.opened_at, ask.run_id, ask.ask_id))

    async def _is_theirs(self, ask: AskRecord, user: str) -> bool:
        """Whether it waits for somebody it names: not once they have voted, nor if they may not answer themselves."""
        if user in dict(ask.votes):
            return False
        run = None if ask.self_approval else await self._finding.run_of(ask)
        return run is None or run.requester != user

    async def _started(self, tenant: str, user: str, page: int) -> tuple[Part, int]:
        """Return a page of what somebody has started and is not over, and which it is."""
        first = STARTED_PAGE * page
        runs = await self._store.runs(tenant=tenant, requester=user, statuses=LIVE, limit=first + STARTED_PAGE + 1)
        first = min(first, max(0, len(runs) - 1) // STARTED_PAGE * STARTED_PAGE)
        rows = await self._finding.rows(runs[first : first + STARTED_PAGE])
        return Part(rows, len(runs) > first + STARTED_PAGE), first // STARTED_PAGE

    async def _names(self, tenant: str, user: str) -> tuple[str, ...]:
        try:
            return await self._directory.names(tenant, user)
        except Unchecked as error:
            logger.info("groups not looked up", extra={"user": user, "reason": str(error)})
            return (user,)


class HomeListeners:
    """What people do in App Home but answer: that is one path with all other answers."""

    def __init__(self, home: Home, cancelling: Cancelling, telling: Telling, readers: Readers, spawn: Spawn) -> None:
        self._home = home
        self._cancelling = cancelling
        self._telling = telling
        self._spawn = spawn
        self._words = readers.words

    def listen(self, app: AsyncApp) -> None:
        app.event("app_home_opened")(self.on_opened)
        app.action(home_view.TURN_ACTION)(self.on_page)
        app.action(home_view.CANCEL_ACTION)(self.on_cancel)

    async def on_opened(self, ack: AsyncAck, body: Body, context: AsyncBoltContext) -> BoltResponse:
        """Draw the Home of whoever opened it."""
        try:
            opened = parse_home_opened(body)
        except PayloadError as error:
            unreadable(error)
            return EMPTY
        if opened.tab != "home":
            return EMPTY
        tenant = tenant_of(opened)
        try:
            async with in_time(context):
                await self._home.opened(tenant, opened.user_id, opened.view_hash)
        except StoreUnavailable as error:
            logger.error("App Home not drawn", extra={"reason": str(error)})
            return NOT_SAVED
        self._spawn(self._home.refresh(tenant, opened.user_id))
        return EMPTY

    async def on_page(self, ack: AsyncAck, body: Body) -> BoltResponse:
        """Turn to another page."""
        try:
            click = parse_click(body)
        except PayloadError as error:
            unreadable(error)
        else:
            self._spawn(self._home.refresh(tenant_of(click), click.user_id, Pages.decode(click.value)))
        return await ack()

    async def on_cancel(self, ack: AsyncAck, body: Body, context: AsyncBoltContext) -> BoltResponse:
        """Cancel a run of one's own."""
        try:
            click = parse_click(body)
        except PayloadError as error:
            unreadable(error)
            return await ack()
        tenant, words = tenant_of(click), self._words(click)
        try:
            async with in_time(context):
                _, told = await self._cancelling.cancel(tenant, click.user_id, click.value, words)
        except StoreUnavailable as error:
            logger.error("run not cancelled", extra={"reason": str(error)})
            told = words.not_recorded
        self._spawn(self._tell(click, told, words))
        return await ack()

    async def _tell(self, click: ButtonClick, text: str, words: Catalogue) -> None:
        tenant = tenant_of(click)
        await self._telling.tell_above(tenant, click.user_id, click.trigger_id, text, words)
        await self._home.refresh(tenant, click.user_id)
