"""The workspaces that have installed the app: a client for each, with a token that is fresh.

Nothing is remembered here: what one process changes, the others see at their next call.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.installs.grants import AppAtSlack, UnreadableGrant
from bot.installs.store import Installation, InstallStore
from bot.slack.calls import TOKEN_REFUSED, UNCLEAR, code, is_passing
from bot.slack.workspaces import NoClient, NotInstalled
from engine.errors import CodecError, StoreUnavailable

logger = logging.getLogger(__name__)

SPENT_S = 30.0
"""A token with less time left is not used any more."""
AGAIN_S = 600.0
"""How long after Slack would not refresh a token it is asked again."""
WAIT_S = 10.0
"""How long another process's refresh is waited for."""
POLL_S = 0.05
SAVES, SAVE_AGAIN_S = 40, 0.5
"""How often refreshed tokens are tried to be saved, and after how long again: within the lease of the refresh."""


class InstalledWorkspaces:
    """A client for each workspace, as `Workspaces` wants it, and the tokens behind them."""

    def __init__(self, installs: InstallStore, at_slack: AppAtSlack) -> None:
        """The clients are made like that of *at_slack*."""
        self.app = at_slack.client
        self._at_slack = at_slack
        self._clock = at_slack.clock
        self._installs = installs

    async def client(self, tenant: str) -> AsyncWebClient:
        try:
            found = await self._installs.find(tenant)
            if found is None or not found.bot_token:
                raise NotInstalled(tenant)
            if found.refused_until > self._clock():
                raise NotInstalled(tenant, f"Slack said {found.refused}")
            if found.expires_at is not None and found.expires_at - SPENT_S <= self._clock():
                found = await self.fresh(found)
        except (CodecError, StoreUnavailable) as error:
            raise NoClient(str(error)) from error
        return _Client(self, found)

    async def speaker(self, team: str, org: str, *, org_wide: bool) -> Installation | None:
        """Return the installation that a request from *team* of organisation *org* belongs to, or None.

        Never waits for Slack. *org_wide* is what the request says of the installation.

        Raises:
            CodecError: it was sealed with a key that is not here.
            StoreUnavailable: Redis did not answer.
        """
        found = await self._installs.find(team) if team else None
        if org and (found is None or not found.bot_token or (org_wide and not found.org_wide)):
            found = await self._installs.find(org)
            if team and found is not None and found.org_wide:
                await self._installs.speak_for(team, found.id)
        return found if found is not None and found.bot_token else None

    # --- tokens that end -----------------------------------------------------------------------

    async def refresh_due(self) -> None:
        """Refresh the tokens that end soon, unless another process does.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        now = self._clock()
        for id_ in await self._installs.due(now):
            try:
                old = await self._installs.find(id_)
                if old is not None and old.refresh_at is not None and old.refresh_at <= now:
                    await self._refresh(old)
            except (SlackApiError, NoClient, CodecError) as error:
                logger.warning("tokens not refreshed", extra={"install": id_, "reason": _reason(error)})
                await self._installs.put_off(id_, now + AGAIN_S)
            except UNCLEAR as error:
                logger.warning("tokens not refreshed", extra={"install": id_, "reason": str(error)})
                return  # Slack is away: the others would only wait for that, too

    async def fresh(self, old: Installation) -> Installation:
        """Return what has come after *old*: refreshed here, or by another process, which is waited for.

        Raises:
            NotInstalled: it is no more, or Slack does not refresh it.
            TimeoutError: the other process has not come to an end.
        """
        async with asyncio.timeout(WAIT_S):
            while True:
                try:
                    new = await self._refresh(old)
                except SlackApiError as error:
                    if is_passing(error) and code(error) not in TOKEN_REFUSED:
                        raise
                    await self._installs.refuse(old, code(error))
                    raise NotInstalled(old.id, f"Slack did not refresh its token: {code(error)}") from error
                if new is not None:
                    return new
                await asyncio.sleep(POLL_S)

    async def _refresh(self, old: Installation) -> Installation | None:
        """Return what has come after *old*; None while another process is at it."""
        owner = secrets.token_hex(8)
        turn = await self._installs.begin_refresh(old, owner)
        if turn == "held":
            return None
        if turn == "ours" and await self._exchange(old, owner):
            logger.info("tokens refreshed", extra={"install": old.id})
        new = await self._installs.find(old.id)
        if new is None or not new.bot_token:
            raise NotInstalled(old.id)
        return new

    async def _exchange(self, old: Installation, owner: str) -> bool:
        try:
            new = await self._at_slack.refreshed(old)
        except SlackApiError:  # an answer, so that it is over; after silence others wait for the lease to end
            await self._installs.end_refresh(old, owner)
            raise
        except UnreadableGrant as error:
            await self._installs.end_refresh(old, owner)
            raise NoClient(f"Slack's answer to a refresh cannot be read: {error}") from error
        return await self._kept(new, owner)

    async def _kept(self, new: Installation, owner: str) -> bool:
        """Save what a refresh brought, again and again if need be: the token it was bought with is spent."""
        for _ in range(SAVES - 1):
            try:
                return await self._installs.save(new, owner=owner)
            except StoreUnavailable as error:
                logger.warning("refreshed tokens not saved yet", extra={"install": new.id, "reason": str(error)})
            await asyncio.sleep(SAVE_AGAIN_S)
        return await self._installs.save(new, owner=owner)

    # --- tokens that are not accepted ------------------------------------------------------------

    async def after(self, refused: Installation, error: SlackApiError) -> Installation:
        """Return the installation to go on with after a call with the token of *refused* has ended with *error*.

        Raises:
            NotInstalled: there is none.
            NoClient: it cannot be told for now.
        """
        try:
            now = await self._installs.find(refused.id)
            if now is not None and now.bot_token and now.bot_token != refused.bot_token:
                return now
            if now is not None and now.refresh_token and code(error) == "token_expired":
                return await self.fresh(now)
            await self._installs.refuse(refused, code(error))
        except (CodecError, StoreUnavailable) as problem:
            raise NoClient(str(problem)) from problem
        logger.error("Slack does not accept a token", extra={"install": refused.id, "reason": code(error)})
        raise NotInstalled(refused.id, f"Slack said {code(error)}") from error


class _Client(AsyncWebClient):
    """The client of one installation: a call that found its token replaced is made once more with the new one."""

    def __init__(self, workspaces: InstalledWorkspaces, installation: Installation) -> None:
        app = workspaces.app
        super().__init__(
            installation.bot_token, app.base_url, app.timeout, session=app.session, retry_handlers=app.retry_handlers
        )
        self._workspaces = workspaces
        self._installation = installation

    async def api_call(self, api_method: str, **arguments: Any) -> AsyncSlackResponse:
        try:
            return await super().api_call(api_method, **arguments)
        except SlackApiError as error:
            if code(error) not in TOKEN_REFUSED:
                raise
            self._installation = await self._workspaces.after(self._installation, error)
        self.token = self._installation.bot_token
        return await super().api_call(api_method, **arguments)


def _reason(error: Exception) -> str:
    return code(error) if isinstance(error, SlackApiError) else str(error)
