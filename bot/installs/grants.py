"""The app as Slack knows it, which trades what it was granted for tokens: the codes that browsers bring back, and the
tokens that refresh others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import SecretStr
from slack_sdk.web.async_client import AsyncWebClient

from bot.installs.store import Installation

AHEAD_S = 2 * 3600.0
"""How long before its end a token is refreshed, or half its life if that is less. Slack's live for twelve hours."""


class UnreadableGrant(Exception):
    """Slack granted something in a form that is not known here."""


class AppAtSlack:
    """Its id and secret, a client without a token, and the clock (POSIX seconds) that its tokens end by.

    What a trade raises is `UnreadableGrant`, or what a call of Slack does.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        client_id: str,
        client_secret: SecretStr,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.client = client
        self.client_id = client_id
        self.clock = clock
        self._secret = client_secret

    async def installed(self, code: str, redirect_uri: str = "") -> Installation:
        """Return what was installed, for the *code* with which Slack sent a browser to *redirect_uri*."""
        told = await self._trade(code=code, **({"redirect_uri": redirect_uri} if redirect_uri else {}))
        try:
            return _installation_in(told, self.clock())
        except (KeyError, TypeError, ValueError) as error:
            raise UnreadableGrant(repr(error)) from error

    async def refreshed(self, old: Installation) -> Installation:
        """Return an installation with new tokens, for its refresh token, which is spent then."""
        told = await self._trade(grant_type="refresh_token", refresh_token=old.refresh_token)
        try:
            return replace(old, **_tokens_in(told, self.clock()))
        except (KeyError, TypeError, ValueError) as error:
            raise UnreadableGrant(repr(error)) from error

    async def _trade(self, **grant: str) -> Mapping[str, Any]:
        """Call Slack; not by `AsyncWebClient.oauth_v2_access`, which needs a class that aiohttp is about to drop."""
        known = {"client_id": self.client_id, "client_secret": self._secret.get_secret_value()}
        told = await self.client.api_call("oauth.v2.access", data={**known, **grant})
        return told.data if isinstance(told.data, dict) else {}


def _installation_in(told: Mapping[str, Any], now: float) -> Installation:
    team, org = told.get("team") or {}, told.get("enterprise") or {}
    org_wide = bool(told.get("is_enterprise_install"))
    if told["token_type"] != "bot":  # noqa: S105  # a kind of token
        raise ValueError("the token is not a bot's")
    return Installation(
        team_id="" if org_wide else str(team["id"]),
        team_name=str(team.get("name") or ""),
        enterprise_id=str(org["id"]) if org_wide else str(org.get("id") or ""),
        enterprise_name=str(org.get("name") or ""),
        org_wide=org_wide,
        bot_user_id=str(told["bot_user_id"]),
        scopes=tuple(str(told.get("scope") or "").split(",")),
        installed_by=str((told.get("authed_user") or {}).get("id") or ""),
        **_tokens_in(told, now),
    )


def _tokens_in(told: Mapping[str, Any], now: float) -> dict[str, Any]:
    tokens: dict[str, Any] = {"bot_token": str(told["access_token"])}
    if (life_s := told.get("expires_in")) is not None:
        tokens["refresh_token"] = str(told["refresh_token"])
        tokens["expires_at"] = now + float(life_s)
        tokens["refresh_at"] = now + float(life_s) - min(AHEAD_S, float(life_s) / 2)
    return tokens
