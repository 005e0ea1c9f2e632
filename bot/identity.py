"""Who we are to Slack, and whether it takes our tokens: asked at the start, or as soon as Slack is there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import suppress

import aiohttp
from pydantic import SecretStr
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

logger = logging.getLogger(__name__)


class SlackRefused(Exception):
    """Slack does not accept the token; the message says what it said."""


class Identity:
    """The bot in its one workspace. In an app of many it is learned for each, and nothing is to be known here."""

    def __init__(self, client: AsyncWebClient, bot_token: SecretStr | None, app_token: SecretStr | None) -> None:
        """*client* has the *bot_token*, if there is one: an app of many workspaces has none."""
        self._client = client
        self._bot_token = bot_token
        self._app_token = app_token
        self._learning = asyncio.Lock()
        self.known: AuthorizeResult | None = None
        """What Bolt has to know of us."""

    @property
    def missing(self) -> bool:
        """Whether it is to be known and is not yet."""
        return self._bot_token is not None and self.known is None

    @property
    def wanted(self) -> bool:
        """Whether it is missing, and nobody is asking Slack for it behind a request."""
        return self.missing and not self._learning.locked()

    async def learn(self) -> None:
        """Learn it from Slack, so that no request has to wait for it; later, if Slack is away.

        Raises:
            SlackRefused: a token is not accepted.
        """
        if self._bot_token is not None:
            await _accepted("SLACK_BOT_TOKEN", self._introduced(self._bot_token))
        if self._app_token is not None:  # the socket's client would ask again for ever
            opened = self._client.apps_connections_open(app_token=self._app_token.get_secret_value())
            await _accepted("SLACK_APP_TOKEN", opened)

    async def learn_after_all(self) -> None:
        """Learn it behind a request: Slack was away when we began. A refusal is for whoever calls `learn`."""
        async with self._learning:
            with suppress(SlackRefused):
                await self.learn()

    async def _introduced(self, bot_token: SecretStr) -> None:
        if self.known is None:
            me = await self._client.auth_test()
            self.known = AuthorizeResult(
                enterprise_id=me.get("enterprise_id"),
                team_id=me.get("team_id"),
                bot_token=bot_token.get_secret_value(),
                bot_id=me.get("bot_id"),
                bot_user_id=me.get("user_id"),
            )


async def _accepted(name: str, call: Awaitable[object]) -> None:
    try:
        await call
    except SlackApiError as error:
        code = str(error.response.get("error", ""))
        if error.response.status_code < 500 and code not in ("", "ratelimited"):
            raise SlackRefused(f"Slack does not accept {name}: {code}") from error
        logger.warning("Slack is busy; trying again when it is needed", extra={"reason": code})
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        logger.warning("Slack cannot be reached; trying again when it is needed", extra={"reason": str(error)})
