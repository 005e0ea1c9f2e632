"""A worker, a sender and a person's clicks, crashed before and after each of their calls to the store.

The law at every point: one answer decides each question, what the run applied is what was accepted,
versions have no gap, one message per effect stays visible, and nothing is owed in the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from engine.errors import FencedError
from engine.redis import RedisRunStore
from engine.run_store import Answer, Claim, Commit, EffectClaim, NewAsk, NewEffect, NewRun, Timer
from engine.verdicts import Accepted, Unknown, Verdict
from tests.chaos.crashing import Crash, CrashingStore, Fuse, pairs, singles
from tests.integration.engine.stores import skewing

pytestmark = pytest.mark.chaos

LEASE_S = 30.0
LANES = 2
CLICKS = (
    ("U1", "a1", "revise", "d1"),
    ("U2", "a1", "ship", "d2"),
    ("U1", "a2", "ship", "d3"),
    ("U1", "a2", "ship", "d3"),
)


@dataclass
class World:
    """What is outside: messages that people see, and what they were told."""

    visible: dict[str, tuple[str, str]] = field(default_factory=dict)
    posted: int = 0
    told: dict[tuple[str, str], Verdict] = field(default_factory=dict)

    def post(self, run_id: str, effect_id: str) -> str:
        self.posted += 1
        self.visible[f"m{self.posted}"] = (run_id, effect_id)
        return f"m{self.posted}"

    def find(self, run_id: str, effect_id: str) -> str | None:
        return next((ref for ref, name in self.visible.items() if name == (run_id, effect_id)), None)


async def work(store: Any, run_id: str) -> None:
    """Claim the run if it is due, apply one entry and commit."""
    if run_id not in await store.due():
        return
    claim: Claim | None = await store.claim(run_id, "w", LEASE_S)
    if claim is None:
        return
    try:
        await store.remember(claim, "draft", b"text")
        applied = claim.state.get("applied", b"").decode().split()
        for entry in claim.inbox:
            applied.append(f"{entry.kind}:{entry.ask_id}:{entry.actor}")
        asked = 1 if len(applied) == 1 else 2
        over = len(applied) >= 3
        ladder = (Timer("remind", 0, claim.now + 5),)
        await store.commit(
            claim,
            Commit(
                "done" if over else "waiting",
                consumed=len(claim.inbox),
                written={"applied": " ".join(applied).encode()},
                asks=[] if over else [NewAsk(f"a{asked}", b"?", "digest", timers=ladder)],
                effects=[NewEffect("result")] if over else [],
                forgotten=["draft"],
            ),
        )
    except FencedError:
        pass


async def send(store: Any, world: World, run_id: str) -> None:
    """Do what is owed, as a careful surface does."""
    for effect_id in await store.effects_of(run_id):
        claim: EffectClaim | None = await store.claim_effect(run_id, effect_id, LEASE_S)
        if claim is None:
            continue
        ref = world.find(run_id, effect_id) if claim.again else None
        ref = ref or world.post(run_id, effect_id)
        if await store.finish_effect(claim, ref) != ref:
            world.visible.pop(ref, None)
    for run, effect_id, ref in await store.doubtful():
        for copy in [copy for copy, name in world.visible.items() if name == (run, effect_id) and copy != ref]:
            del world.visible[copy]
        await store.settle(run, effect_id, ref)


async def click(store: Any, world: World, run_id: str, n: int) -> None:
    """Click, as often as it takes to be told something."""
    actor, ask_id, response, delivery = CLICKS[n]
    if world.find(run_id, f"prompt:{ask_id}") is None or (str(n), delivery) in world.told:
        return
    verdict = await store.deliver(Answer(run_id, ask_id, delivery, actor, response, response.encode()))
    if not isinstance(verdict, Unknown):
        world.told[str(n), delivery] = verdict


async def play(store: RedisRunStore, fuse: Fuse) -> None:
    """Play the scenario with crashes, and check what is left."""
    fragile, world = CrashingStore(store, fuse), World()
    pass_time = skewing(store, LANES)
    run_id = store.new_run_id(str(fuse))
    for _ in range(60):
        turns: list[Coroutine[Any, Any, Any]] = [
            fragile.start(NewRun(run_id, "Deploy", "r1", b"start")),
            fragile.fire_timers(),
            work(fragile, run_id),
            send(fragile, world, run_id),
            *[click(fragile, world, run_id, n) for n in range(len(CLICKS))],
        ]
        for turn in turns:
            try:
                await turn
            except Crash:
                continue
        await pass_time(LEASE_S / 2)
        run = await store.run(run_id)
        if run is not None and run.status == "done" and len(world.told) == 4 and not await owed(store):
            break
    await check(store, world, run_id)


async def owed(store: RedisRunStore) -> list[object]:
    """Return all that stands in an index of any lane, now or later, but when a run is to be forgotten."""
    indexes = ("ready", "timers", "outq", "verify", "open")
    names = [f"{store.prefix}:{{{lane}}}:{index}" for lane in range(LANES) for index in indexes]
    members = [member for name in names for member in await store.server.read("ZRANGE", name, 0, -1)]
    return [member for member in members if not member.endswith(b"|")]


async def check(store: RedisRunStore, world: World, run_id: str) -> None:
    run = await store.run(run_id)
    assert run is not None
    assert run.status == "done"
    assert await owed(store) == []
    applied = (await store.state(run_id))["applied"].decode().split()
    assert len(applied) == len(set(applied)) == 3
    for ask_id in ("a1", "a2"):
        verdicts = [world.told[str(n), d] for n, (_, ask, _, d) in enumerate(CLICKS) if ask == ask_id]
        winners = {verdict for verdict in verdicts if isinstance(verdict, Accepted)}
        assert [f"answered:{ask_id}:{winner.by}" for winner in winners] == [a for a in applied if f":{ask_id}:" in a]
    messages = Counter(world.visible.values())
    assert set(messages.values()) == {1}
    shown = {effect for _, effect in messages if not effect.startswith(("remind", "update"))}
    assert shown == {"prompt:a1", "lock:a1", "prompt:a2", "lock:a2", "result"}
    versions = [line.details["version"] for line in await store.journal(run_id) if line.what == "committed"]
    assert versions == [str(n + 1) for n in range(len(versions))]


async def test_a_crash_at_any_call_changes_nothing_that_counts(redis_url: str, prefix: str) -> None:
    store = RedisRunStore.from_url(redis_url, prefix=prefix, lanes=LANES)
    whole = Fuse()
    await play(store, whole)

    for fuse in [*singles(len(whole.calls)), *pairs(len(whole.calls))]:
        try:
            await play(store, fuse)
        except Exception as error:
            error.add_note(f"{fuse}; calls: {fuse.calls}")
            raise

    assert await store.leftovers() == []
    await store.close()
