"""How a store's servers are, by what they say of themselves, and how much there is to do; for operators."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import StoreUnavailable
from engine.redis.pipe import Call, Refused
from engine.redis.scripts import Server


@dataclass(frozen=True, slots=True)
class Condition:
    """One server."""

    version: str
    appendonly: bool
    appendfsync: str
    """Empty where the server does not tell, as those of some clouds."""
    policy: str
    """What it drops when it is full."""
    used_bytes: int
    limit_bytes: int
    """What it may use, or else what its machine has; 0: unknown."""
    replicas: int
    """How many follow it now."""
    ahead_s: float
    """Its clock, ahead of ours."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a store holds that is not over."""

    runs: int
    """Not over: those at work, and those that wait, for the most part."""
    questions: int
    """Open ones."""
    effects: int
    """Messages and changes to them that Slack has not been sent yet."""
    late_s: float
    """For how long the run or the effect that waits longest has been due; 0: nothing is."""


async def conditions(server: Server, clock: Callable[[], float]) -> Sequence[Condition]:
    """Ask every server that has keys. *clock* is this machine's, in POSIX seconds.

    Raises:
        StoreUnavailable: one cannot be reached, or does not say.
    """
    await server.each(("PING",))  # or what it takes to connect would pass for a difference of clocks
    before = clock()
    times = await server.each(("TIME",))
    now = (before + clock()) / 2
    told = await server.each(("INFO",), ("CONFIG", "GET", "appendfsync"))
    return [
        _condition(_facts(info), config, int(seconds) + int(micros) / 1e6 - now)
        for ((seconds, micros),), (info, config) in zip(times, told, strict=True)
    ]


async def backlog(server: Server, lanes: Sequence[str]) -> Backlog:
    """Count what stands in the indexes of *lanes*, each given by what its keys begin with.

    Raises:
        StoreUnavailable: a server cannot be reached.
    """
    (((seconds, micros),), *_) = await server.each(("TIME",))
    calls: list[Call] = []
    for lane in lanes:
        calls.append(("ZCARD", f"{lane}live"))
        calls.append(("ZLEXCOUNT", f"{lane}open", "[r|", "(r}"))
        calls.append(("ZCARD", f"{lane}outq"))
        calls += [("ZRANGE", f"{lane}{index}", 0, 0, "WITHSCORES") for index in ("ready", "outq")]
    told = await server.read_each(calls)
    first_due = min((float(first[1]) for first in (*told[3::5], *told[4::5]) if first), default=math.inf)
    return Backlog(
        runs=sum(told[0::5]),
        questions=sum(told[1::5]),
        effects=sum(told[2::5]),
        late_s=max(0.0, int(seconds) + int(micros) / 1e6 - first_due),
    )


def _facts(info: bytes | Refused) -> Mapping[str, str]:
    if isinstance(info, Refused):
        raise StoreUnavailable(f"Redis does not say how it is: {info}; allow its user INFO")
    lines = info.decode(errors="replace").splitlines()
    return {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}


def _condition(facts: Mapping[str, str], config: Any, ahead_s: float) -> Condition:
    following = [value for name, value in facts.items() if name.startswith("slave") and "state=online" in value]
    return Condition(
        version=facts.get("valkey_version") or facts["redis_version"],
        appendonly=facts.get("aof_enabled") == "1",
        appendfsync="" if isinstance(config, Refused) or not config else config[1].decode(),
        policy=facts.get("maxmemory_policy", ""),
        used_bytes=int(facts.get("used_memory", 0)),
        limit_bytes=int(facts.get("maxmemory", 0)) or int(facts.get("total_system_memory", 0)),
        replicas=len(following),
        ahead_s=ahead_s,
    )
