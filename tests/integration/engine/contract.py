"""What the contract of run stores is tested with: stores of each kind, and what they are given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from engine.keyring import Keyring, new_key
from engine.memory_store import MemoryRunStore
from engine.redis import RedisRunStore
from engine.run_store import Answer, Claim, Commit, NewAsk, NewRun, RunStore
from engine.sealed_store import SealedRunStore

LEASE_S = 30.0
LANES = 3


@dataclass(frozen=True)
class World:
    """A store and the way to let its clock run."""

    store: RunStore
    pass_time: Callable[[float], Awaitable[None]]

    async def start(self, key: str = "run") -> Claim:
        run = NewRun(self.store.new_run_id(key), "Deploy", "r1", b"start", tenant="T1", requester="U0", address="C1")
        _, claim = await self.store.start(run, worker="w1", lease_s=LEASE_S)
        assert claim is not None
        return claim

    async def ask(self, *asks: NewAsk, key: str = "run") -> Claim:
        """Start a run and let it wait for *asks*; by default for "a1"."""
        claim = await self.start(key)
        return await self.store.commit(claim, Commit("waiting", consumed=1, asks=asks or (question("a1"),)))

    async def claim(self, run_id: str, worker: str = "w2") -> Claim:
        claim = await self.store.claim(run_id, worker, LEASE_S)
        assert claim is not None
        return claim

    async def sent(self, run_id: str) -> Claim:
        """Send a waiting run something and claim it."""
        await self.store.send(run_id, "more", b"more")
        return await self.claim(run_id)

    async def whats(self, run_id: str) -> list[str]:
        return [entry.what for entry in await self.store.journal(run_id)]


@pytest.fixture(params=["memory", "redis", "cluster", "sealed"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "memory":
        now = [1_700_000_000.0]

        async def pass_time(seconds: float) -> None:
            now[0] += seconds

        yield World(MemoryRunStore(lambda: now[0]), pass_time)
        return
    url = request.getfixturevalue("cluster_url" if request.param == "cluster" else "redis_url")
    prefix = request.getfixturevalue("prefix")
    store = RedisRunStore.from_url(url, prefix=prefix, lanes=LANES)
    try:
        sealed = SealedRunStore(store, Keyring([new_key()]))
        yield World(sealed if request.param == "sealed" else store, skewing(store))
        assert await store.leftovers() == []
    finally:
        await store.close()


def skewing(store: RedisRunStore, lanes: int = LANES) -> Callable[[float], Awaitable[None]]:
    """Return what moves a Redis store's clock."""
    names = [f"{store.prefix}:{{{lane}}}:skew" for lane in range(lanes)]

    async def pass_time(seconds: float) -> None:
        for name in names:
            await store.server.read("INCRBYFLOAT", name, seconds)

    return pass_time


def question(ask_id: str, **changes: object) -> NewAsk:
    return replace(NewAsk(ask_id, b"Ship it?", "digest"), **changes)  # type: ignore[arg-type]


def answer(run_id: str, delivery_id: str = "d1", **changes: object) -> Answer:
    return replace(Answer(run_id, "a1", delivery_id, "U1", "ship", b"yes"), **changes)  # type: ignore[arg-type]
