"""``signoff doctor``: is everything in place, and what to do about what is not?"""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp
from redis.asyncio import Redis
from redis.exceptions import RedisError
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot import manifest
from bot.plugins import PluginError, discover
from bot.settings import Settings

LIMIT_S = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: is it well, and what was found or is to be done."""

    well: bool
    what: str
    told: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.well else 'FAIL'}  {self.what}: {self.told}"


async def examine(settings: Settings) -> list[Finding]:
    """Look at workflows, Redis and Slack. Settings were read already, so they are well."""
    return [_workflows(settings), *await _redis(settings), *await _slack(settings)]


def _workflows(settings: Settings) -> Finding:
    try:
        return Finding(True, "workflows", ", ".join(discover(settings.workflows)))
    except PluginError as error:
        return Finding(False, "workflows", str(error))


async def _redis(settings: Settings) -> list[Finding]:
    url = settings.redis_url.get_secret_value()
    try:
        async with Redis.from_url(
            url, decode_responses=True, socket_connect_timeout=LIMIT_S, socket_timeout=LIMIT_S
        ) as client:
            info = await client.info("server")
            kept = await client.config_get("appendonly", "appendfsync", "maxmemory-policy")
    except (RedisError, OSError) as error:
        return [Finding(False, "Redis", f"cannot be reached: {error}; start it, or set REDIS_URL")]
    version = str(info.get("valkey_version") or info.get("redis_version"))
    found = [Finding(_at_least(version, (6, 2)), "Redis", f"version {version}; 6.2 or newer is needed")]
    advice = {
        "appendonly": ({"yes"}, "set it to yes, or a restart of Redis loses every waiting run"),
        "appendfsync": ({"always"}, "with always no acknowledged answer is lost; everysec may lose about two seconds"),
        "maxmemory-policy": ({"noeviction"}, "set it to noeviction, or Redis may drop waiting runs"),
    }
    for name, (good, told) in advice.items():
        value = str(kept.get(name, "?"))
        well = value in good or (name == "appendfsync" and value == "everysec")
        found.append(Finding(well, f"Redis {name}", value if value in good else f"{value}; {told}"))
    return found


async def _slack(settings: Settings) -> list[Finding]:
    client = AsyncWebClient(
        token=settings.bot_token.get_secret_value(), base_url=settings.api_base_url, timeout=LIMIT_S
    )
    try:
        me = await client.auth_test()
    except SlackApiError as error:
        return [Finding(False, "Slack", f"does not accept SLACK_BOT_TOKEN: {error.response.get('error')}")]
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return [Finding(False, "Slack", f"cannot be reached: {error}")]
    found = [Finding(True, "Slack", f"{me.get('team')} as {me.get('user')}")]
    granted = me.headers.get("x-oauth-scopes") or me.headers.get("X-OAuth-Scopes")
    if granted:
        held = {scope.strip() for scope in granted.split(",")}
        needed = set(manifest.build([])["oauth_config"]["scopes"]["bot"])
        missing = sorted(needed - held)
        told = "all there" if not missing else f"missing: {', '.join(missing)}; add them and install the app anew"
        found.append(Finding(not missing, "Slack scopes", told))
    return found


def _at_least(version: str, wanted: tuple[int, int]) -> bool:
    parts = [int(part) for part in version.split(".")[:2] if part.isdigit()]
    return tuple(parts) >= wanted
