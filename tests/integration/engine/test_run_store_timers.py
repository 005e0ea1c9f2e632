"""The `RunStore` contract: what time brings to a question."""

from __future__ import annotations

from engine.run_store import Commit, Timer
from engine.verdicts import Expired
from tests.integration.engine.contract import World, answer, question, world

__all__ = ["world"]  # the fixture


async def test_an_answer_past_the_deadline_is_told_so_before_any_timer_fired(world: World) -> None:
    claim = await world.start()
    deadline = claim.now + 100
    await world.store.commit(claim, Commit("waiting", consumed=1, asks=[question("a1", deadline=deadline)]))
    await world.pass_time(101)

    before = await world.store.deliver(answer(claim.run_id, "d1"))
    await world.store.fire_timers()
    after = await world.store.deliver(answer(claim.run_id, "d2"))

    assert before == after == Expired(deadline)


async def test_an_ask_expires_once_and_wakes_its_run(world: World) -> None:
    """Behaviour 14."""
    claim = await world.start()
    ladder = (Timer("expire", 0, claim.now + 100),)
    ask = question("a1", deadline=claim.now + 100, timers=ladder)
    await world.store.commit(claim, Commit("waiting", consumed=1, asks=[ask]))
    assert await world.store.fire_timers() == []
    await world.pass_time(101)

    fired = [await world.store.fire_timers(), await world.store.fire_timers()]

    assert fired == [[claim.run_id], []]
    woken = await world.claim(claim.run_id)
    assert [(entry.kind, entry.ask_id) for entry in woken.inbox] == [("expired", "a1")]
    stored = await world.stored(claim.run_id)
    assert (stored.status, stored.at) == ("expired", claim.now + 100)


async def test_a_deadline_needs_no_timer_of_its_own(world: World) -> None:
    claim = await world.start()
    await world.store.commit(claim, Commit("waiting", consumed=1, asks=[question("a1", deadline=claim.now + 100)]))
    await world.pass_time(101)

    assert await world.store.fire_timers() == [claim.run_id]


async def test_each_rung_of_the_ladder_fires_once(world: World) -> None:
    claim = await world.start()
    ladder = (
        Timer("escalate", 0, claim.now + 30),
        Timer("remind", 0, claim.now + 10),
        Timer("remind", 1, claim.now + 20),
    )
    await world.store.commit(claim, Commit("waiting", consumed=1, asks=[question("a1", timers=ladder)]))
    seen = []

    for _ in range(4):
        await world.pass_time(10.5)
        assert await world.store.fire_timers() == []
        assert await world.store.fire_timers() == []
        seen.append(await world.store.effects_of(claim.run_id))

    rungs = [["update:a1:1.1", "remind:a1:0"], ["update:a1:1.2", "remind:a1:1"], ["update:a1:1.3", "escalate:a1:0"]]
    whole = ["prompt:a1", *rungs[0], *rungs[1], *rungs[2]]
    assert seen == [whole[:3], whole[:5], whole, whole]


async def test_a_question_that_has_expired_is_not_reminded_of(world: World) -> None:
    claim = await world.start()
    ladder = (Timer("remind", 0, claim.now + 10), Timer("expire", 0, claim.now + 20))
    await world.store.commit(claim, Commit("waiting", consumed=1, asks=[question("a1", timers=ladder)]))
    await world.pass_time(21)

    await world.store.fire_timers()

    assert await world.store.effects_of(claim.run_id) == ["prompt:a1", "lock:a1"]


async def test_an_answered_question_has_no_timers_left(world: World) -> None:
    claim = await world.start()
    ladder = (Timer("remind", 0, claim.now + 10), Timer("expire", 0, claim.now + 20))
    await world.store.commit(claim, Commit("waiting", consumed=1, asks=[question("a1", timers=ladder)]))
    await world.store.deliver(answer(claim.run_id))
    await world.pass_time(100)

    assert await world.store.fire_timers() == []
    assert await world.store.effects_of(claim.run_id) == ["prompt:a1", "lock:a1"]
    assert len((await world.claim(claim.run_id)).inbox) == 1


async def test_timers_fire_oldest_first(world: World) -> None:
    claims = [await world.start(key) for key in ("a", "b", "c")]
    for n, claim in enumerate(claims):
        ask = question("a1", deadline=claim.now + 30 - n * 10)
        await world.store.commit(claim, Commit("waiting", consumed=1, asks=[ask]))
    await world.pass_time(100)

    fired = [await world.store.fire_timers(2), await world.store.fire_timers(2)]

    assert fired == [[claims[2].run_id, claims[1].run_id], [claims[0].run_id]]
