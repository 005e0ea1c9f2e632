"""Where the app is installed: one record for each workspace or organisation, its tokens sealed, in Redis.

All keys begin with ``{<prefix>-installs}:`` and so are in one slot, where a script can change several at once.

| key | type | what |
| --- | --- | --- |
| ``of:<id>`` | hash | an installation; its fields are below |
| ``all`` | set | ids of installations |
| ``due`` | sorted set | those whose tokens end, by when they should be refreshed |
| ``orgs`` | hash | team -> organisation that has installed the app for it |
| ``closing`` | sorted set | teams that have removed it, by when: their runs are to be closed |
| ``n`` | integer | counts changes |
| ``state:<hash>`` | string | a browser that is on its way to Slack to install the app; gone after ten minutes |

| field of an installation | what |
| --- | --- |
| ``v``, ``at`` | number of its last change; when it was made |
| ``who``, ``tokens`` | all the rest, sealed; without ``tokens`` it was revoked |
| ``r``, ``u`` | which process refreshes its tokens, and until when nobody else may |
| ``x``, ``xu`` | why Slack did not accept its token, and until when Slack is not asked again |
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias, cast

from engine.keyring import Keyring
from engine.redis.scripts import Server

STATE_S = 600
"""How long somebody may take to say yes on Slack's page."""
REFRESH_LEASE_S = 30
"""How long a refresh of tokens belongs to one process: longer than its call may take."""
REFUSED_S = 300
"""How long a token that Slack did not accept is left alone."""
TOKENS = ("bot_token", "refresh_token", "expires_at", "refresh_at")

_FIELDS = ("v", "at", "who", "tokens", "x", "xu")
_TOKENS = _FIELDS.index("tokens")
Turn: TypeAlias = Literal["ours", "held", "moved"]
"""Who refreshes: we; another process, now; or one that has already done so."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The app in one workspace, or, *org_wide*, in all of an organisation's. Times are POSIX seconds."""

    team_id: str
    team_name: str
    enterprise_id: str
    enterprise_name: str
    org_wide: bool
    bot_user_id: str
    scopes: tuple[str, ...]
    installed_by: str
    bot_token: str = field(default="", repr=False)
    """"" once it was revoked."""
    refresh_token: str = field(default="", repr=False)
    expires_at: float | None = None
    """When the bot token ends; None: never."""
    refresh_at: float | None = None
    """When there should be another one."""
    version: int = 0
    installed_at: float = 0.0
    refused: str = ""
    """Slack's word for why it did not accept the token."""
    refused_until: float = 0.0

    @property
    def id(self) -> str:
        return self.enterprise_id if self.org_wide else self.team_id

    @property
    def name(self) -> str:
        return self.enterprise_name if self.org_wide else self.team_name


class InstallStore:
    """Every change of an installation, each atomic.

    Every verb raises `StoreUnavailable` when Redis did not take the call.
    """

    def __init__(self, server: Server, prefix: str, keyring: Keyring) -> None:
        """*keyring* seals the tokens; the caller sees to it that it does."""
        self._server = server
        self._base = f"{{{prefix}-installs}}:"
        self._keyring = keyring

    async def find(self, tenant: str) -> Installation | None:
        """Return the installation that speaks for a team or an organisation, its own if that has tokens; or None.

        Raises:
            CodecError: it was sealed with a key that is not here.
        """
        own, org = await self._server.read_each([self._read_of(tenant), ("HGET", f"{self._base}orgs", tenant)])
        if own[_TOKENS] is None and org is not None:
            tenant = org.decode()
            own = await self._server.read(*self._read_of(tenant))
        return self._installation(tenant, own)

    async def all(self) -> Sequence[Installation]:
        """Return every installation, by id.

        Raises:
            CodecError: see `find`.
        """
        ids = sorted(name.decode() for name in await self._server.read("SMEMBERS", f"{self._base}all"))
        found = await self._server.read_each([self._read_of(id_) for id_ in ids])
        each = [self._installation(id_, values) for id_, values in zip(ids, found, strict=True)]
        return [installation for installation in each if installation is not None]

    async def save(self, made: Installation, *, owner: str = "") -> bool:
        """Store an installation in place of the one with its id.

        With *owner*, only if that process still has the right to refresh the one that is there: else it was made
        anew, revoked or taken away meanwhile, and False is returned.
        """
        told: int = await self._run(
            _SAVE,
            made.id,
            self._seal("who", made.id, {name: value for name, value in _plain(made).items() if name not in TOKENS}),
            self._seal("tokens", made.id, {name: value for name, value in _plain(made).items() if name in TOKENS}),
            "" if made.refresh_at is None else made.refresh_at,
            owner,
        )
        return told == 1

    async def speak_for(self, team: str, org: str) -> None:
        """Remember that an organisation's installation speaks for one of its teams."""
        await self._server.keep(f"{self._base}orgs", "HSET", f"{self._base}orgs", team, org)

    async def begin_refresh(self, old: Installation, owner: str) -> Turn:
        """Ask for the right to refresh the tokens of *old*, for `REFRESH_LEASE_S`. *owner* is nobody else's name."""
        told: bytes = await self._run(_BEGIN, old.id, old.version, owner, REFRESH_LEASE_S)
        return cast("Turn", told.decode())

    async def end_refresh(self, old: Installation, owner: str) -> None:
        """Give that right back; the tokens stay as they are."""
        await self._run(_END, old.id, owner)

    async def due(self, now: float, limit: int = 20) -> Sequence[str]:
        """Return the ids of installations whose tokens should be refreshed by *now*, longest due first."""
        found = await self._server.read("ZRANGE", f"{self._base}due", "-inf", now, "BYSCORE", "LIMIT", 0, limit)
        return [name.decode() for name in found]

    async def put_off(self, id_: str, until: float) -> None:
        """Have the tokens of one refreshed later, if it is still there."""
        await self._server.keep(f"{self._base}due", "ZADD", f"{self._base}due", "XX", until, id_)

    async def refuse(self, old: Installation, code: str) -> None:
        """Remember that Slack did not accept the token of *old*, unless there is another one by now."""
        await self._run(_REFUSE, old.id, old.version, code, REFUSED_S)

    async def revoke(self, id_: str, at: float) -> bool:
        """Delete the tokens of an installation that is not younger than *at*, the time of Slack's event."""
        told: int = await self._run(_REVOKE, id_, at)
        return told == 1

    async def remove(self, id_: str, at: float) -> bool:
        """Delete an installation that is not younger than *at*; the runs of its teams are to be closed."""
        told: int = await self._run(_REMOVE, id_, at)
        return told == 1

    async def leave(self, team: str, org: str, at: float) -> bool:
        """An organisation's installation no longer speaks for one of its teams, since *at*, the time of Slack's event.

        The runs that the team had until then are to be closed, unless it has an installation of its own.
        """
        told: int = await self._run(_LEAVE, team, org, at)
        return told == 1

    async def closing(self) -> tuple[str, float] | None:
        """Return a team whose runs from before a time are to be closed, or None."""
        found = await self._server.read("ZRANGE", f"{self._base}closing", 0, 0, "WITHSCORES")
        return (found[0].decode(), float(found[1])) if found else None

    async def closed(self, tenant: str, before: float) -> None:
        """The runs of a team from before that time are closed."""
        await self._run(_CLOSED, tenant, before)

    # --- on the way to Slack and back ----------------------------------------------------------

    async def expect(self, state: str, browser: str) -> None:
        """Remember that a *browser* was sent to Slack with *state*."""
        key = self._state(state)
        await self._server.keep(key, "SET", key, _digest(browser), "EX", STATE_S)

    async def came_back(self, state: str) -> str | None:
        """Return the digest of the browser that was sent to Slack with *state*, the first time it is asked for."""
        key = self._state(state)
        found: bytes | None = await self._server.keep(key, "GETDEL", key)
        return None if found is None else found.decode()

    def _state(self, state: str) -> str:
        return f"{self._base}state:{_digest(state)}"

    async def close(self) -> None:
        """Give the connection back."""
        await self._server.close()

    # --- what is written -----------------------------------------------------------------------

    def _read_of(self, id_: str) -> tuple[str, ...]:
        return ("HMGET", f"{self._base}of:{id_}", *_FIELDS)

    def _installation(self, id_: str, values: Sequence[bytes | None]) -> Installation | None:
        version, at, who, tokens, refused, until = values
        if version is None or at is None or who is None:
            return None
        told = {**self._open("who", id_, who), **(self._open("tokens", id_, tokens) if tokens else {})}
        return Installation(
            **{**told, "scopes": tuple(told["scopes"])},
            version=int(version),
            installed_at=float(at),
            refused=(refused or b"").decode(),
            refused_until=float(until or 0),
        )

    def _seal(self, name: str, id_: str, value: dict[str, Any]) -> bytes:
        return self._keyring.seal(id_, "installation", name, json.dumps(value).encode())

    def _open(self, name: str, id_: str, value: bytes) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._keyring.open(id_, "installation", name, value))
        return found

    async def _run(self, script: str, id_: str, *arguments: str | float | bytes) -> Any:
        names = [f"{self._base}{name}" for name in (f"of:{id_}", "all", "due", "orgs", "closing", "n")]
        return await self._server.keep(names[0], "EVAL", _START + script, len(names), *names, id_, *arguments)


def same_browser(browser: str, digest: str) -> bool:
    """Whether *digest*, of `InstallStore.came_back`, is of *browser*."""
    return _digest(browser) == digest


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(made: Installation) -> dict[str, Any]:
    beside = ("version", "installed_at", "refused", "refused_until")
    return {name: value for name, value in asdict(made).items() if name not in beside}


_START = """
local OF, ALL, DUE, ORGS, CLOSING, N = unpack(KEYS)
local ID = ARGV[1]
local t = redis.call('TIME')
local NOW = t[1] + t[2] / 1000000
local STAMP = string.format('%.6f', NOW)
-- Slack tells times in whole seconds; what is younger than an event is not what the event is about.
local function is_younger(than)
  local at = redis.call('HGET', OF, 'at')
  return at and math.floor(tonumber(at)) > tonumber(than)
end
"""

_SAVE = """
local who, tokens, refresh_at, owner = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if owner == '' then
  redis.call('HSET', OF, 'at', STAMP)
elseif redis.call('HGET', OF, 'r') ~= owner then
  return 0
end
redis.call('HSET', OF, 'v', redis.call('INCR', N), 'who', who, 'tokens', tokens)
redis.call('HDEL', OF, 'r', 'u', 'x', 'xu')
redis.call('SADD', ALL, ID)
if refresh_at == '' then redis.call('ZREM', DUE, ID) else redis.call('ZADD', DUE, refresh_at, ID) end
return 1
"""

_BEGIN = """
local version, owner, lease_s = ARGV[2], ARGV[3], tonumber(ARGV[4])
local found = redis.call('HMGET', OF, 'v', 'u')
if found[1] ~= version then return 'moved' end
if found[2] and tonumber(found[2]) > NOW then return 'held' end
redis.call('HSET', OF, 'r', owner, 'u', string.format('%.6f', NOW + lease_s))
return 'ours'
"""

_END = """
if redis.call('HGET', OF, 'r') == ARGV[2] then redis.call('HDEL', OF, 'r', 'u') end
return 1
"""

_REFUSE = """
local version, code, pause_s = ARGV[2], ARGV[3], tonumber(ARGV[4])
if redis.call('HGET', OF, 'v') ~= version then return 0 end
redis.call('HSET', OF, 'x', code, 'xu', string.format('%.6f', NOW + pause_s))
return 1
"""

_REVOKE = """
if is_younger(ARGV[2]) or redis.call('HDEL', OF, 'tokens', 'r', 'u') == 0 then return 0 end
redis.call('HSET', OF, 'v', redis.call('INCR', N))
redis.call('ZREM', DUE, ID)
return 1
"""

_REMOVE = """
if is_younger(ARGV[2]) then return 0 end
local was = redis.call('DEL', OF)
redis.call('SREM', ALL, ID)
redis.call('ZREM', DUE, ID)
redis.call('ZADD', CLOSING, STAMP, ID)
local orgs = redis.call('HGETALL', ORGS)
for i = 1, #orgs, 2 do
  if orgs[i + 1] == ID then
    redis.call('HDEL', ORGS, orgs[i])
    redis.call('ZADD', CLOSING, STAMP, orgs[i])
  end
end
return was
"""

_LEAVE = """
local org, at = ARGV[2], tonumber(ARGV[3])
if redis.call('HGET', ORGS, ID) ~= org then return 0 end
redis.call('HDEL', ORGS, ID)
if redis.call('HEXISTS', OF, 'tokens') == 0 then redis.call('ZADD', CLOSING, math.min(NOW, math.floor(at) + 1), ID) end
return 1
"""

_CLOSED = """
local score = redis.call('ZSCORE', CLOSING, ID)
if score and tonumber(score) <= tonumber(ARGV[2]) then redis.call('ZREM', CLOSING, ID) end
return 1
"""
