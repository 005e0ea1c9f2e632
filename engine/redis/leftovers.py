"""What a store would keep for ever though no open run needs it. There should be nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from engine.redis.keys import Keys
from engine.redis.scripts import Server
from engine.run_store import OVER

_OVER = {status.encode() for status in OVER}
_INDEXES = ("ready", "timers", "outq", "verify", "open", "live", "over")


async def _statuses(server: Server, names: Sequence[str]) -> dict[str, bytes]:
    metas = [name for name in names if name.endswith(":meta")]
    found = await server.read_each([("HGET", name, "s") for name in metas])
    return {_run_in(name): status for name, status in zip(metas, found, strict=True) if status is not None}


async def leftovers(server: Server, keys: Keys) -> Sequence[str]:
    """Return the keys, and index members as ``key: member``, that are of no open run and have no TTL."""
    names = await server.names(keys.prefix)
    lifetimes = await server.read_each([("PTTL", name) for name in names])
    kept = [name for name, lifetime in zip(names, lifetimes, strict=True) if lifetime == -1]
    runs = await _statuses(server, names)
    found: list[str] = []
    forgotten = await _forgotten(server, kept)
    for name in kept:
        kind = name.rpartition(":")[2]
        if ":r:" in name:
            if runs.get(_run_in(name), b"done") in _OVER:
                found.append(name)
        elif kind in _INDEXES:
            members = await server.read("ZRANGE", name, 0, -1)
            found += [
                f"{name}: {member}" for member in map(bytes.decode, members) if _is_left(kind, member, runs, forgotten)
            ]
        elif kind != "skew":
            found.append(name)
    return found


def _run_in(name: str) -> str:
    return name.partition(":r:")[2].partition(":")[0]


async def _forgotten(server: Server, names: Sequence[str]) -> set[str]:
    """Return the runs that a timer takes out of the index when they are gone."""
    timers = [name for name in names if name.endswith(":timers")]
    members = [member.decode() for name in timers for member in await server.read("ZRANGE", name, 0, -1)]
    return {member[:-1] for member in members if member.endswith("|")}


def _is_left(kind: str, member: str, runs: Mapping[str, bytes], forgotten: AbstractSet[str]) -> bool:
    """Return whether nobody will take *member* out again: what is owed outlives its run for a while."""
    if kind == "timers" and member.endswith("|"):
        return False
    parts = member.split("|")
    run_id = parts[0] if kind != "open" else parts[1] if parts[0] == "r" else parts[3]
    status = runs.get(run_id)
    if kind == "over":
        return run_id not in forgotten or (status is not None and status not in _OVER)
    return status is None or (status in _OVER and kind not in ("outq", "verify"))
