"""Somebody has spoilt a value in Redis: that run cannot be read, and says so; all others go on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.asyncio import Redis

from engine import Context, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.errors import CodecError
from engine.keyring import Keyring, new_key
from engine.redis import RedisRunStore
from engine.redis.keys import Keys
from engine.run_store import Commit, NewEffect, Timer
from engine.runner import Runner
from engine.sealed_store import SealedRunStore
from tests.integration.engine.contract import LEASE_S, World, answer, question
from tests.integration.engine.stores import skewing

SPOILT = b"\xfe spoilt"
HASHES = {"meta": "wgsvflnkitucahexz", "ask:a1": "ehowqpckdlvsbtraymnugi", "outbox": ["prompt:a1"], "state": [SPOILT]}
FIELDS = [(name, field) for name, fields in HASHES.items() for field in fields]
KEYS = ["meta", "ask:a1", "inbox", "memo", "state", "seen", "outbox", "journal"]


@pytest.fixture
async def world(redis_url: str, prefix: str, redis: Redis) -> AsyncIterator[World]:
    store = RedisRunStore.from_url(redis_url, prefix=prefix, lanes=1)
    yield World(store, skewing(store, 1))
    await redis.delete(*[name async for name in redis.scan_iter(f"{prefix}:*")])
    await store.close()


async def waiting(world: World, key: str) -> str:
    """Return a run that has everything: an open question with a vote and a rung to come, an inbox, an outbox."""
    ask = question("a1", allowed=("U1", "U2"), quorum=2, timers=(Timer("remind", 0, 1.0),))
    claim = await world.start(key)
    change = Commit("waiting", consumed=1, written={"a": b"1"}, asks=[ask], effects=[NewEffect("result", b"r")])
    await world.store.commit(claim, change)
    await world.store.deliver(answer(claim.run_id, key))
    await world.store.send(claim.run_id, "more", b"more")
    return claim.run_id


async def goes_on(world: World, run_id: str) -> None:
    """Check that a run is found, in every way that it is looked for."""
    await world.store.fire_timers()
    assert "reminded" in await world.whats(run_id)
    assert run_id in await world.store.due()
    assert (run_id, "prompt:a1") in await world.store.due_effects()
    assert run_id in [run.run_id for run in await world.store.runs()]
    assert run_id in [run.run_id for run in await world.store.runs(tenant="T1", requester="U0")]
    assert run_id in [ask.run_id for ask in await world.store.asks_for("T1", "U2")]


async def is_told_of(world: World, run_id: str) -> None:
    """Check that whoever looks at a spoilt run gets what is well, or is told that it cannot be read: else it raises."""
    store = world.store
    looks: list[Callable[[], Awaitable[object]]] = [
        lambda: store.claim(run_id, "w2", LEASE_S),
        lambda: store.effects_of(run_id),
        lambda: store.claim_effect(run_id, "prompt:a1", LEASE_S),
        lambda: store.run(run_id),
        lambda: store.journal(run_id),
        lambda: store.export(run_id),
        lambda: store.reopen(run_id, "U1"),
        lambda: store.last_closed(run_id),
    ]
    for look in looks:
        with contextlib.suppress(CodecError):
            await look()


@pytest.mark.parametrize(("name", "field"), FIELDS)
async def test_a_spoilt_value_stops_no_other_run(
    world: World, prefix: str, redis: Redis, name: str, field: str
) -> None:
    bad, good = await waiting(world, "bad"), await waiting(world, "good")

    await redis.hset(Keys(prefix, 1).at(bad, name), field, SPOILT)

    await goes_on(world, good)
    await is_told_of(world, bad)


@pytest.mark.parametrize("name", KEYS)
async def test_a_key_that_holds_something_else_stops_no_other_run(
    world: World, prefix: str, redis: Redis, name: str
) -> None:
    bad, good = await waiting(world, "bad"), await waiting(world, "good")

    await redis.set(Keys(prefix, 1).at(bad, name), SPOILT)

    await goes_on(world, good)
    await is_told_of(world, bad)


@pytest.mark.parametrize("name", ["inbox", "journal"])
async def test_a_spoilt_line_stops_no_other_run(world: World, prefix: str, redis: Redis, name: str) -> None:
    bad, good = await waiting(world, "bad"), await waiting(world, "good")

    await redis.lset(Keys(prefix, 1).at(bad, name), 0, SPOILT)  # type: ignore[arg-type]  # redis-py wants text

    await goes_on(world, good)
    await is_told_of(world, bad)


class Busy(Workflow):
    """Asks once it may, while another step is at work."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = asyncio.Event(), asyncio.Event()

    @step
    async def ask(self, ctx: Context, ev: StartEvent) -> StopEvent:
        self.begun.set()
        await self.go.wait()
        await ctx.wait_for_event(HumanResponseEvent, waiter_event=InputRequiredEvent(prefix="Ship?"))
        return StopEvent()

    @step
    async def work(self, ev: StartEvent) -> StopEvent:
        await asyncio.Event().wait()
        return StopEvent()


async def test_a_run_that_is_spoilt_while_steps_are_at_work_is_told_of_by_itself(
    world: World, prefix: str, redis: Redis
) -> None:
    """In a group of errors, whoever works on several runs would not know it again."""
    workflow = Busy()
    runner = Runner(world.store, [workflow])
    run_id = await runner.start(workflow)

    async def spoil() -> None:
        await workflow.begun.wait()
        await redis.hset(Keys(prefix, 1).at(run_id, "meta"), "e", SPOILT)  # counts what is owed
        workflow.go.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(spoil())
        with pytest.raises(CodecError, match="hash value is not an integer"):
            await runner.work(run_id)


async def test_the_log_names_the_run_that_is_spoilt(
    world: World, prefix: str, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = await waiting(world, "bad"), await waiting(world, "good")
    await redis.hset(Keys(prefix, 1).at(bad, "ask:a1"), "l", SPOILT)
    await redis.hset(Keys(prefix, 1).at(bad, "meta"), "v", SPOILT)

    with caplog.at_level(logging.WARNING):
        await goes_on(world, good)

    told = {(record.getMessage(), getattr(record, "run_id", "")) for record in caplog.records}
    assert told == {("timer not fired", bad), ("run left out of a list", bad)}


async def test_a_question_that_cannot_be_decrypted_hides_no_other(world: World) -> None:
    elsewhere, here = [World(SealedRunStore(world.store, Keyring([new_key()])), world.pass_time) for _ in range(2)]
    await waiting(elsewhere, "bad")
    good = await waiting(here, "good")

    found = await here.store.asks_for("T1", "U2")

    assert [ask.run_id for ask in found] == [good]
