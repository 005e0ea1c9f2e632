"""``signoff doctor``: is everything in place, and what to do about what is not?"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot import manifest
from bot.installs.oauth import INSTALL
from bot.plugins import PluginError, discover
from bot.settings import Settings
from bot.stores import installs_of, unsealed_store_of
from engine.errors import CodecError, ContextSerdeError, StoreUnavailable
from engine.keyring import PLAIN
from engine.redis import RedisRunStore
from engine.redis.condition import Condition
from engine.run_store import LIVE
from engine.sealed_store import SealedRunStore

LIMIT_S = 5
CLOCKS_S = 1.0
"""By how much two clocks may differ."""
LATE_S = 60.0
"""What has been due for so long is done by nobody."""
SAMPLE = 200
"""How many runs are read to see whether the keys fit; a thorough look reads all."""

Level: TypeAlias = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: how it is, and what was found or is to be done. Only what fails must be repaired."""

    level: Level
    what: str
    told: str

    @property
    def well(self) -> bool:
        return self.level != "fail"

    def __str__(self) -> str:
        return f"{self.level if self.well else 'FAIL':4}  {self.what}: {self.told}"


async def examine(
    settings: Settings, *, thorough: bool = False, clock: Callable[[], float] = time.time
) -> list[Finding]:
    """Look at workflows, Redis and Slack. Settings were read already, so they are well.

    A *thorough* look reads every key in Redis, and every run that is not over. *clock* is this machine's, in POSIX
    seconds.
    """
    return [_workflows(settings), *await _redis(settings, thorough, clock), *await _slack(settings)]


def _workflows(settings: Settings) -> Finding:
    try:
        return Finding("ok", "workflows", ", ".join(discover(settings.workflows)))
    except PluginError as error:
        return Finding("fail", "workflows", str(error))


# --- the servers -----------------------------------------------------------------------------


async def _redis(settings: Settings, thorough: bool, clock: Callable[[], float]) -> list[Finding]:
    store = unsealed_store_of(settings)
    found: list[Finding] = []
    try:
        servers = await store.conditions(clock)
        found += _servers(servers, settings)
        found.append(await _writes(store))
        live = await store.runs(statuses=LIVE, limit=sys.maxsize if thorough else SAMPLE)
        found.append(await _readable(settings, store, [run.run_id for run in live]))
        parked = await store.runs(statuses=["parked"], limit=sys.maxsize)
        found.append(_parked([run.run_id for run in parked]))
        found.append(_late((await store.backlog()).late_s))
        if thorough:
            found.append(await _leftovers(store))
    except StoreUnavailable as error:
        told = str(error) if found else f"{error}; start it, or set REDIS_URL"
        found.append(Finding("fail", "Redis", told))
    finally:
        await store.close()
    return found


def _servers(servers: Sequence[Condition], settings: Settings) -> Iterator[Finding]:
    """Judge each thing by the server where it is worst."""
    checks = [_version, _appendonly, _appendfsync, _policy, _memory, _clocks]
    if settings.replicas:
        checks.append(_replicas)
    for check in checks:
        found = [check(server) for server in servers]
        yield max(found, key=lambda finding: ("ok", "warn", "fail").index(finding.level))


def _version(server: Condition) -> Finding:
    parts = tuple(int(part) for part in server.version.split(".")[:2] if part.isdigit())
    if parts >= (6, 2):
        return Finding("ok", "Redis", f"version {server.version}")
    return Finding("fail", "Redis", f"version {server.version}; 6.2 or newer is needed")


def _appendonly(server: Condition) -> Finding:
    if server.appendonly:
        return Finding("ok", "Redis appendonly", "yes")
    return Finding("fail", "Redis appendonly", "no; set it to yes, or a restart of Redis loses every waiting run")


def _appendfsync(server: Condition) -> Finding:
    what = "Redis appendfsync"
    match server.appendfsync:
        case "always":
            return Finding("ok", what, "always: no acknowledged answer is lost")
        case "everysec":
            return Finding("warn", what, "everysec may lose the last two seconds with the server; always loses nothing")
        case "":
            return Finding("warn", what, "the server does not tell; see to it that it is always, or everysec")
        case other:
            return Finding("fail", what, f"{other}; set it to always, or answers of the last half minute may be lost")


def _policy(server: Condition) -> Finding:
    what = "Redis maxmemory-policy"
    if server.policy == "noeviction":
        return Finding("ok", what, "noeviction")
    return Finding("fail", what, f"{server.policy}; set it to noeviction, or a full Redis drops runs without a word")


def _memory(server: Condition) -> Finding:
    what, used, limit = "Redis memory", server.used_bytes, server.limit_bytes
    if not limit:
        return Finding("warn", what, f"{_mib(used)} used; the server does not tell of how much")
    told = f"{_mib(used)} of {_mib(limit)} used"
    if used > 0.9 * limit:
        return Finding("fail", what, f"{told}; give it more: when it is full, no command and no answer is recorded")
    if used > 0.75 * limit:
        return Finding("warn", what, f"{told}; when it is full, no command and no answer is recorded")
    return Finding("ok", what, told)


def _clocks(server: Condition) -> Finding:
    what, ahead_s = "clocks", server.ahead_s
    told = f"Redis is {abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine"
    if abs(ahead_s) <= CLOCKS_S:
        return Finding("ok", what, told)
    return Finding("warn", what, f"{told}; set both by NTP: deadlines go by the one, Slack's signatures by the other")


def _replicas(server: Condition) -> Finding:
    what = "Redis replicas"
    if server.replicas:
        return Finding("ok", what, f"{server.replicas} connected")
    told = "none connected, so that nothing counts as recorded; start one, or set SIGNOFF_DURABILITY=local"
    return Finding("fail", what, told)


async def _writes(store: RedisRunStore) -> Finding:
    try:
        await store.try_writing()
    except StoreUnavailable as error:
        return Finding("fail", "Redis writes", f"{error}; until then no command and no answer is recorded")
    return Finding("ok", "Redis writes", "taken")


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"


# --- what they keep --------------------------------------------------------------------------


async def _readable(settings: Settings, store: RedisRunStore, runs: Sequence[str]) -> Finding:
    """Read runs that are not over, so that a missing key is found before a person's click meets it."""
    what, keyring = "encryption", settings.keyring
    sealed = SealedRunStore(store, keyring)
    for run_id in runs:
        try:
            await sealed.state(run_id)
            await sealed.open_asks(run_id)
        except ContextSerdeError as error:
            return Finding("fail", what, str(error))
    how = "on" if keyring.seals else "off; `signoff key` makes a key for SIGNOFF_ENCRYPTION_KEYS"
    if keyring.seals and keyring.reads_plain:
        how += f", and what is not encrypted is read, too; take ,{PLAIN} away when no run is left from before"
    return Finding("ok", what, f"{how}; runs read: {len(runs)}")


def _parked(runs: Sequence[str]) -> Finding:
    if not runs:
        return Finding("ok", "parked runs", "none")
    told = f"{len(runs)}; see why with `signoff runs show {runs[0]}`, mend it, then `signoff runs retry` each"
    return Finding("warn", "parked runs", told)


def _late(late_s: float) -> Finding:
    """Judge whether anybody does what is due."""
    if late_s < LATE_S:
        return Finding("ok", "work", "nothing waits long")
    waits = f"something has been due for {late_s:,.0f} s"
    return Finding("fail", "work", f"{waits}; start `signoff worker`, with every workflow that has runs")


async def _leftovers(store: RedisRunStore) -> Finding:
    left = await store.leftovers()
    if not left:
        return Finding("ok", "leftovers", "none")
    return Finding("warn", "leftovers", f"keys that would stay for ever: {len(left)}, such as {left[0]}; delete them")


# --- Slack -----------------------------------------------------------------------------------


async def _slack(settings: Settings) -> list[Finding]:
    client = AsyncWebClient(base_url=settings.api_base_url, timeout=LIMIT_S)
    found: list[Finding] = []
    asking = "SLACK_BOT_TOKEN"
    try:
        if settings.bot_token is not None:
            me = await client.auth_test(token=settings.bot_token.get_secret_value())
            found.append(Finding("ok", "Slack", f"{me.get('team')} as {me.get('user')}"))
            if granted := me.headers.get("x-oauth-scopes") or me.headers.get("X-OAuth-Scopes"):
                found.append(_scopes(granted, settings))
        if settings.app_token is not None:
            asking = "SLACK_APP_TOKEN"
            await client.apps_connections_open(app_token=settings.app_token.get_secret_value())
    except SlackApiError as error:
        return [*found, Finding("fail", "Slack", f"does not accept {asking}: {error.response.get('error')}")]
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return [*found, Finding("fail", "Slack", f"cannot be reached: {error}")]
    return [*found, *await _installs(settings)]


async def _installs(settings: Settings) -> list[Finding]:
    """Look where the app is installed, if many workspaces may install it."""
    if not settings.many_workspaces:
        return []
    what, installs = "installations", installs_of(settings)
    try:
        found = await installs.all()
    except (CodecError, StoreUnavailable) as error:
        return [Finding("fail", what, str(error))]
    finally:
        await installs.close()
    wrong = [made for made in found if made.refused or not made.bot_token]
    if wrong:
        told = f"{len(found)}; Slack does not accept the token of {len(wrong)}, as of {wrong[0].id}; install it there"
        return [Finding("warn", what, f"{told} again, or `signoff installs remove` it")]
    where = f"{len(found)}" if found else f"none yet; open {settings.public_url}{INSTALL}"
    return [Finding("ok", what, where), *(_scopes(",".join(made.scopes), settings) for made in found[:1])]


def _scopes(granted: str, settings: Settings) -> Finding:
    wanted = manifest.scopes(thread_replies=settings.thread_replies)
    missing = sorted(set(wanted) - {scope.strip() for scope in granted.split(",")})
    if not missing:
        return Finding("ok", "Slack scopes", "all there")
    return Finding("fail", "Slack scopes", f"missing: {', '.join(missing)}; add them and install the app anew")
