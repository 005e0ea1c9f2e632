"""What the contract of run stores is tested with: stores of each kind, and what they are given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from engine.keyring import Keyring, new_key
from engine.run_store import PATIENCE_S, Answer, AskRecord, Claim, Commit, EffectClaim, NewAsk, NewRun
from engine.sealed_store import SealedRunStore
from tests.integration.engine.stores import StoreWithClock, in_memory, in_redis

LEASE_S = 30.0
SENDING_S = 20.0
"""For how long an effect is taken."""


class World(StoreWithClock):
    """A store and the way to let its clock run, with what most tests begin with."""

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

    async def stored(self, run_id: str, ask_id: str = "a1") -> AskRecord:
        ask = await self.store.ask(run_id, ask_id)
        assert ask is not None
        return ask

    async def take(self, run_id: str, effect_id: str) -> EffectClaim:
        claim = await self.store.claim_effect(run_id, effect_id, SENDING_S)
        assert claim is not None
        return claim

    async def whats(self, run_id: str) -> list[str]:
        return [entry.what for entry in await self.store.journal(run_id)]


@pytest.fixture(params=["memory", "redis", "cluster", "sealed"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "memory":
        memory = in_memory(PATIENCE_S)
        yield World(memory.store, memory.pass_time)
        return
    url = request.getfixturevalue("cluster_url" if request.param == "cluster" else "redis_url")
    async with in_redis(url, request.getfixturevalue("prefix"), PATIENCE_S) as redis:
        store = SealedRunStore(redis.store, Keyring([new_key()])) if request.param == "sealed" else redis.store
        yield World(store, redis.pass_time)


def question(ask_id: str, **changes: object) -> NewAsk:
    return replace(NewAsk(ask_id, b"Ship it?", "digest"), **changes)  # type: ignore[arg-type]


def answer(run_id: str, delivery_id: str = "d1", **changes: object) -> Answer:
    return replace(Answer(run_id, "a1", delivery_id, "U1", "ship", b"yes"), **changes)  # type: ignore[arg-type]
