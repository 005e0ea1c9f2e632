"""Whose request is it? Where many may install the app: strangers are told so, and who leaves is remembered.

Bolt asks `Tenancy.authorize` before each request; it looks into Redis and never waits for Slack.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from slack_bolt.async_app import AsyncApp, AsyncBoltContext, AsyncBoltRequest
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.response import BoltResponse

from bot.background import Spawn
from bot.installs.store import InstallStore
from bot.installs.workspaces import InstalledWorkspaces
from bot.languages import Catalogue
from bot.listeners.hearing import EMPTY, NOT_SAVED, Body, Gate, in_time, unreadable
from bot.payloads.reading import PayloadError
from bot.slack.telling import Telling
from bot.views import modals
from engine.errors import CodecError, StoreUnavailable
from engine.run_store import LIVE
from engine.runner import Runner

logger = logging.getLogger(__name__)

LOOK_UP_LIMIT_S = 1.0
"""What is left of Slack's three seconds is for the request itself."""
PAGE, PAGES = 100, 10
"""Runs of a workspace that has left are closed in pages, so many at a time."""
LEFT = "app_uninstalled"
"""Who has closed them, for the journal."""
_INSTALLED = "signoff_installed"


class Tenancy:
    """The workspaces that the app is in, as requests and events tell of them."""

    def __init__(
        self,
        workspaces: InstalledWorkspaces,
        installs: InstallStore,
        runner: Runner,
        telling: Telling,
        spawn: Spawn,
        *,
        install_url: str,
        words: Catalogue,
    ) -> None:
        """*install_url* is where the app can be installed; *spawn* takes what may go on after an acknowledgement."""
        self._workspaces = workspaces
        self._installs = installs
        self._runner = runner
        self._telling = telling
        self._spawn = spawn
        self._words = words
        self._told = words.not_installed.format(url=install_url)

    def listen(self, app: AsyncApp) -> None:
        """Hear who leaves, and stop what strangers send before any other listener hears it."""
        _Strangers(self._answer).listen(app)
        app.event("app_uninstalled")(self.on_uninstalled)
        app.event("tokens_revoked")(self.on_revoked)
        app.event("team_access_revoked")(self.on_access_revoked)

    async def authorize(
        self, context: AsyncBoltContext, enterprise_id: str | None, team_id: str | None
    ) -> AuthorizeResult:
        """Tell Bolt who we are where a request comes from. No token goes with it: callers of Slack take a client."""
        found = None
        try:
            async with asyncio.timeout(LOOK_UP_LIMIT_S):
                found = await self._workspaces.speaker(
                    team_id or "", enterprise_id or "", org_wide=bool(context.is_enterprise_install)
                )
            context[_INSTALLED] = found is not None
        except (CodecError, StoreUnavailable, TimeoutError) as error:
            # Whoever hears the request finds Redis away, too, and says so.
            logger.error("not known who has installed the app", extra={"team": team_id, "reason": str(error)})
        return AuthorizeResult(
            enterprise_id=enterprise_id, team_id=team_id, bot_user_id=found.bot_user_id if found else None
        )

    async def on_uninstalled(self, body: Body, context: AsyncBoltContext) -> BoltResponse:
        """Delete the tokens and have the runs closed."""
        return await self._gone(body, context, self._installs.remove, "app uninstalled")

    async def on_revoked(self, body: Body, context: AsyncBoltContext) -> BoltResponse:
        """Delete the tokens, if they are the bot's; what is to be shown waits until somebody installs the app again."""
        match body:
            case {"event": {"tokens": {"bot": [_, *_]}}}:
                return await self._gone(body, context, self._installs.revoke, "tokens revoked")
            case _:
                return EMPTY

    async def on_access_revoked(self, body: Body, context: AsyncBoltContext) -> BoltResponse:
        """Have the runs closed of those workspaces that an organisation has taken the app away from."""
        org = context.enterprise_id
        match body:
            case {"event": {"team_ids": [*teams]}, "event_time": int() | float() as at} if org:
                try:
                    async with in_time(context):
                        for team in teams:
                            if await self._installs.leave(str(team), org, at):
                                logger.info("app taken away from a workspace", extra={"team": team, "org": org})
                except StoreUnavailable as error:
                    logger.error("event not recorded", extra={"reason": str(error)})
                    return NOT_SAVED
            case _:
                unreadable(PayloadError("app taken away: whose, or when, is missing"))
        return EMPTY

    async def _gone(
        self, body: Body, context: AsyncBoltContext, change: Callable[[str, float], Awaitable[bool]], what: str
    ) -> BoltResponse:
        id_ = context.enterprise_id if context.is_enterprise_install else context.team_id or context.enterprise_id
        at = body.get("event_time")
        if not id_ or not isinstance(at, int | float):
            unreadable(PayloadError(f"{what}: whose, or when, is missing"))
            return EMPTY
        try:
            async with in_time(context):
                changed = await change(id_, at)
        except StoreUnavailable as error:
            logger.error("event not recorded", extra={"reason": str(error)})
            return NOT_SAVED
        if changed:
            logger.info(what, extra={"install": id_})
        return EMPTY

    # --- what time brings ----------------------------------------------------------------------

    async def tidy(self) -> None:
        """Refresh tokens that end soon, and go on with closing the runs of workspaces that have left.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        await self._workspaces.refresh_due()
        closing = await self._installs.closing()
        if closing is not None and await self._close(*closing):
            await self._installs.closed(*closing)

    async def _close(self, tenant: str, before: float) -> bool:
        """Cancel the runs that were started before; tell whether these are all."""
        place = (before, "")
        for _ in range(PAGES):
            runs = await self._runner.store.runs(statuses=LIVE, tenant=tenant, before=place, limit=PAGE)
            for run in runs:
                try:
                    await self._runner.cancel(run.run_id, LEFT)
                except CodecError as error:
                    logger.warning("run not cancelled", extra={"run_id": run.run_id, "reason": str(error)})
            if len(runs) < PAGE:
                return True
            place = runs[-1].place
        return False

    # --- strangers -----------------------------------------------------------------------------

    def _answer(self, body: Body) -> BoltResponse:
        """Say kindly that the app is not installed, in the way that the request can be answered."""
        match body:
            case {"command": _}:
                return BoltResponse(status=200, body={"response_type": "ephemeral", "text": self._told})
            case {"type": "view_submission"}:
                return BoltResponse(status=200, body=modals.replaced_by(modals.notice_modal(self._told, self._words)))
            case {"response_url": str(url), "user": {"id": str(user)}}:
                self._spawn(self._telling.tell("", user, self._told, response_url=url))
        return EMPTY


class _Strangers(Gate):
    """Answers what comes from where the app is not installed."""

    def __init__(self, told: Callable[[Body], BoltResponse]) -> None:
        self._told = told

    async def answer(self, req: AsyncBoltRequest) -> BoltResponse | None:
        """Tell strangers where the app can be installed."""
        if req.context.get(_INSTALLED, True):
            return None
        extra = {"team": req.context.team_id, "org": req.context.enterprise_id}
        logger.warning("request from where the app is not installed", extra=extra)
        return self._told(req.body)
