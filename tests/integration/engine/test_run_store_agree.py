"""Redis and memory say the same, whatever is asked of them and in whatever order."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import FencedError, NotJudged
from engine.memory_store import MemoryRunStore
from engine.redis import RedisRunStore
from engine.run_store import (
    LATE,
    Amendment,
    Answer,
    Claim,
    Commit,
    EffectClaim,
    NewAsk,
    NewEffect,
    NewRun,
    Refusal,
    RunStore,
    Shown,
    Timer,
)
from tests.integration.engine.stores import skewing

T0 = 1_700_000_000.0
RUNS = ("k0-one", "k1-two")
LANES = 2
# Times come in steps of 100 seconds and off the beat of leases and deadlines, so that the real
# clock under Redis, which also moves, decides nothing.
STEP_S = 100.0
LEASES = (50.0, 150.0, 250.0)

runs = st.sampled_from(RUNS)
asks = st.sampled_from(("a", "b"))
actors = st.sampled_from(("U1", "U2", "U3"))
workers = st.sampled_from(("w", "w2"))
later = st.sampled_from((50.0, 150.0, 350.0))
effects = st.sampled_from(
    (
        *("prompt:a", "prompt:b", "prompt:a:2", "lock:a", "lock:b", "remind:a:0", "note", "escalate:b:0"),
        *("update:a:1.1", "update:a:1.2", "update:b:1.1", "update:a:2.1", "copy:a:U1"),
    )
)


@dataclass
class Player:
    """Plays calls on one store and keeps what a caller would have in hand."""

    store: RunStore
    now: Callable[[], float]
    clock: Callable[[], Awaitable[float]]
    """The store's own, to the moment."""
    claims: dict[str, list[Claim]] = field(default_factory=lambda: {run: [] for run in RUNS})
    sent: list[EffectClaim] = field(default_factory=list)

    async def play(self, move: tuple[Any, ...]) -> Any:
        try:
            return await getattr(self, move[0])(*move[1:])
        except (FencedError, NotJudged, ValueError) as error:
            return type(error)

    def keep(self, claim: Claim | None) -> Claim | None:
        if claim is not None:
            self.claims[claim.run_id].append(claim)
        return claim

    async def start(self, run: str, worker: str, lease_s: float) -> Any:
        new = NewRun(run, "Deploy", "r1", b"start", requester="U3")
        created, claim = await self.store.start(new, worker=worker, lease_s=lease_s)
        return created, self.keep(claim)

    async def begin(self, run: str, change: Commit, off_s: float) -> Any:
        asks = [replace(ask, timers=(), deadline=None) for ask in change.asks]
        change = replace(change, consumed=1, asks=asks, wake_at=None)
        new, now = NewRun(run, "Deploy", "r1", b"start", requester="U3"), await self.clock()
        return self.keep(await self.store.begin(new, change, now + off_s, worker="w", lease_s=LEASES[0]))

    async def deliver(self, answer: Answer) -> Any:
        return await self.store.deliver(answer)

    async def claim(self, run: str, worker: str, lease_s: float, workflow: str) -> Any:
        return self.keep(await self.store.claim(run, worker, lease_s, [workflow]))

    async def leave(self, run: str, back: int) -> Any:
        claims = self.claims[run]
        return await self.store.leave(claims[-1 - min(back, len(claims) - 1)], "newer") if claims else None

    async def release(self, run: str, back: int) -> Any:
        claims = self.claims[run]
        return await self.store.release(claims[-1 - min(back, len(claims) - 1)]) if claims else None

    async def deliver_and_claim(self, answer: Answer, worker: str, workflow: str) -> Any:
        verdict, claim = await self.store.deliver_and_claim(answer, worker, LEASES[0], [workflow])
        return verdict, self.keep(claim)

    async def commit(self, run: str, back: int, change: Commit, ladder: list[tuple[str, str, float]]) -> Any:
        claims = self.claims[run]
        if not claims:
            return None
        claim = claims[-1 - min(back, len(claims) - 1)]
        timers = {
            ask.ask_id: tuple(
                Timer(kind, n, self.now() + after)  # type: ignore[arg-type]
                for n, (ask_id, kind, after) in enumerate(ladder)
                if ask_id == ask.ask_id
            )
            for ask in change.asks
        }
        opened = [
            replace(
                ask,
                timers=timers[ask.ask_id],
                deadline=None if ask.deadline is None else self.now() + ask.deadline,
            )
            for ask in change.asks
        ]
        wake_at = None if change.wake_at is None else self.now() + change.wake_at
        consumed = min(change.consumed, len(claim.inbox))
        return self.keep(
            await self.store.commit(claim, replace(change, asks=opened, wake_at=wake_at, consumed=consumed))
        )

    async def renew(self, run: str, back: int, lease_s: float) -> Any:
        claims = self.claims[run]
        return await self.store.renew(claims[-1 - min(back, len(claims) - 1)], lease_s) if claims else None

    async def remember(self, run: str, back: int, value: bytes) -> Any:
        claims = self.claims[run]
        return await self.store.remember(claims[-1 - min(back, len(claims) - 1)], "k", value) if claims else None

    async def claim_effect(self, run: str, effect: str, lease_s: float) -> Any:
        claim = await self.store.claim_effect(run, effect, lease_s)
        if claim is not None:
            self.sent.append(claim)
        return claim

    async def end_effect(self, which: int, how: str, ref: str) -> Any:
        if not self.sent:
            return None
        claim = self.sent[which % len(self.sent)]
        if how == "finish":
            return await self.store.finish_effect(claim, ref)
        if how in ("delay", "put back"):
            return await self.store.delay_effect(claim, self.now() + 150.0, untried=how == "put back")
        return await self.store.drop_effect(claim, "gone")

    async def fork(self, source: str, to: str) -> Any:
        whole = await self.store.export(source)
        return whole and await self.store.fork(replace(whole, run=replace(whole.run, run_id=to)), source, "U1")

    async def purge(self, run: str, force: bool) -> Any:
        return await self.store.purge(run, force=force)

    async def settle(self) -> Any:
        found = sorted(await self.store.doubtful())
        for doubt in found[:1]:
            await self.store.settle(*doubt)
        return found

    async def look(self, run: str) -> Any:
        """Return all there is to see of one run and of the indexes; ties in an index have no order."""
        return {
            "run": await self.store.run(run),
            "whole": await self.store.export(run),
            "closed": await self.store.last_closed(run),
            "of one": sorted(record.run_id for record in await self.store.runs(tenant="", requester="U3")),
            "runs": sorted(record.run_id for record in await self.store.runs(statuses={"ready", "failed"})),
            "asks": [await self.store.ask(run, ask) for ask in ("a", "b")],
            "open": await self.store.open_asks(run),
            "state": await self.store.state(run),
            "journal": await self.store.journal(run),
            "effects": await self.store.effects_of(run),
            "due": sorted(await self.store.due()),
            "owed": sorted(await self.store.due_effects()),
            "waiting": sorted((ask.run_id, ask.ask_id) for ask in await self.store.asks_for("", "U1")),
        }


def _at_rest(value: Any, start: float) -> Any:
    """Return *value* with times as the step they fall into, so that two clocks can be compared."""
    if isinstance(value, float) and value > 1e9:
        return round((value - start) / 10)
    if isinstance(value, Claim):
        value = replace(value, fence=0)  # whose it is tells, and that is compared; one of them has chance in it
    if is_dataclass(value) and not isinstance(value, type):
        return (type(value), *(_at_rest(getattr(value, item.name), start) for item in fields(value)))
    if isinstance(value, dict):
        return {key: _at_rest(item, start) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_at_rest(item, start) for item in value]
    return value


new_asks = st.builds(
    NewAsk,
    asks,
    st.just(b"?"),
    st.just("digest"),
    st.sampled_from(((), ("U1",))),
    st.sampled_from((1, 2)),
    self_approval=st.booleans(),
    options=st.sampled_from(((), ("yes",))),
    complete=st.sampled_from(((), ("yes",))),
    deadline=st.none() | later,
)
made = st.builds(NewEffect, st.just("note"), st.binary(max_size=2), asks | st.just("")) | st.just(
    NewEffect("copy:a:U1", b"U1", "a")
)
changes = st.builds(
    Commit,
    st.sampled_from(("waiting", "waiting", "waiting", "ready", "parked", "done", "failed", "cancelled")),
    consumed=st.integers(0, 3),
    written=st.dictionaries(st.sampled_from("xy"), st.binary(max_size=3), max_size=2),
    removed=st.lists(st.sampled_from("xy"), max_size=1),
    asks=st.lists(new_asks, max_size=2),
    withdrawn=st.lists(asks, max_size=1),
    effects=st.lists(made, max_size=1),
    forgotten=st.lists(st.just("k"), max_size=1),
    wake_at=st.none() | later,
    release=st.booleans(),
    note=st.sampled_from(("", "note")),
)
refusals = st.builds(
    Refusal,
    run_id=runs,
    ask_id=asks,
    delivery_id=st.sampled_from("123"),
    actor=actors,
    response=st.just("ship"),
    why=st.sampled_from(("not_named", LATE)),
    allowed=st.sampled_from(((), ("U1", "S2"))),
    via=st.sampled_from(("", "button")),
)
ladders = st.lists(st.tuples(asks, st.sampled_from(("remind", "escalate", "expire")), later), max_size=3)
amendments = st.builds(
    Amendment,
    runs,
    asks,
    st.sampled_from("1234567"),
    actors,
    st.just("changed"),
    st.sampled_from((None, ("U1",), ("U2", "U3"))),
    st.sampled_from(((), ("U1",), ("U2", "U3"))),
    st.sampled_from(((), (NewEffect("copy:a:U1", b"U1", "a"),))),
    st.sampled_from(("", "note")),
    st.booleans(),
)
answers = st.builds(
    Answer,
    runs,
    asks,
    st.sampled_from("1234567"),
    actors,
    st.sampled_from(("yes", "no")),
    st.just(b"body"),
    st.sampled_from((None, None, 1, 2)),
    st.sampled_from((False, False, True)),
    unseen=st.booleans()
    | st.builds(Shown, st.just(""), st.sampled_from(("digest", "other")), st.sampled_from(("", "P"))),
    allowed=st.sampled_from((None, None, (), ("U1",))),
)
back = st.sampled_from((0, 0, 0, 1))
moves = st.one_of(
    st.tuples(st.just("start"), runs, st.just("") | workers, st.sampled_from(LEASES)),
    st.tuples(st.just("begin"), runs, changes, st.sampled_from((0.0, 0.0, 0.0, 60.0))),
    st.tuples(st.just("claim"), runs, workers, st.sampled_from(LEASES), st.sampled_from(("Deploy", "Deploy", "Other"))),
    st.tuples(st.just("leave"), runs, back),
    st.tuples(st.just("release"), runs, back),
    st.tuples(st.just("commit"), runs, back, changes, ladders),
    st.tuples(st.just("commit"), runs, back, changes, ladders),
    st.tuples(st.just("renew"), runs, back, st.sampled_from(LEASES)),
    st.tuples(st.just("remember"), runs, back, st.binary(max_size=2)),
    st.tuples(st.just("claim_effect"), runs, effects, st.sampled_from(LEASES)),
    st.tuples(
        st.just("end_effect"),
        st.integers(0, 3),
        st.sampled_from(("finish", "finish", "delay", "put back", "drop")),
        st.sampled_from("PQ"),
    ),
    st.tuples(st.just("settle")),
    st.tuples(st.just("fork"), runs, runs),
    st.tuples(st.just("purge"), runs, st.booleans()),
    st.tuples(st.just("look"), runs),
    st.tuples(st.just("deliver"), answers),
    st.tuples(st.just("store"), st.just("refuse"), refusals),
    st.tuples(st.just("deliver_and_claim"), answers, workers, st.sampled_from(("Deploy", "Deploy", "Other"))),
    st.tuples(st.just("store"), st.just("amend"), amendments),
    st.tuples(st.just("store"), st.just("send"), runs, st.sampled_from("12"), st.just(b"event")),
    st.tuples(st.just("store"), st.just("cancel"), runs, actors),
    st.tuples(st.just("store"), st.just("reopen"), runs, actors),
    st.tuples(st.just("store"), st.just("replace_message"), runs, asks, st.sampled_from("PQ"), st.sampled_from("PQ")),
    st.tuples(st.just("store"), st.just("fire_timers")),
    st.tuples(st.just("pass"), st.integers(1, 3)),
)


async def _compare(url: str, sequence: list[tuple[Any, ...]]) -> None:
    passed = [0.0]
    redis = RedisRunStore.from_url(url, prefix=f"t{secrets.token_hex(5)}", lanes=LANES)
    pass_time = skewing(redis, LANES)
    began = float((await redis.server.read("TIME"))[0])

    async def clock() -> float:
        seconds, micros = await redis.server.read("TIME")
        return float(seconds) + float(micros) / 1e6 + passed[0]

    async def model_clock() -> float:
        return T0 + passed[0]

    real = Player(redis, lambda: began + passed[0], clock)
    model = Player(MemoryRunStore(lambda: T0 + passed[0]), lambda: T0 + passed[0], model_clock)
    try:
        for move in (
            *sequence[:1],
            ("start", RUNS[0], "w", LEASES[0]),
            *sequence[1:],
            *(("look", run) for run in RUNS),
        ):
            if move[0] == "pass":
                passed[0] += move[1] * STEP_S
                await pass_time(move[1] * STEP_S)
                continue
            told = []
            for player, start in ((real, began), (model, T0)):
                if move[0] == "store":
                    answer = await getattr(player.store, move[1])(*move[2:])
                    answer = sorted(answer) if isinstance(answer, list) else answer
                else:
                    answer = await player.play(move)
                told.append(_at_rest(answer, start))
            assert told[0] == told[1], f"redis and memory differ after {move}"
        assert await redis.leftovers() == []
    finally:
        names = await redis.server.read("KEYS", f"{redis.prefix}:*")
        await redis.server.read("DEL", "none", *names)
        await redis.close()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=st.lists(moves, min_size=5, max_size=40))
def test_redis_and_memory_tell_the_same(redis_url: str, sequence: list[tuple[Any, ...]]) -> None:
    asyncio.run(_compare(redis_url, sequence))
