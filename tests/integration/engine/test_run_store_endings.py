"""The `RunStore` contract: questions that are withdrawn, runs that are cancelled or over."""

from __future__ import annotations

from engine.memory_store import MemoryRunStore
from engine.run_store import Commit, NewRun
from engine.verdicts import Cancelled
from tests.integration.engine.contract import LEASE_S, World, answer, question, world

__all__ = ["world"]  # the fixture


async def test_a_withdrawn_question_can_no_longer_be_answered(world: World) -> None:
    claim = await world.start()
    claim = await world.store.commit(claim, Commit("waiting", asks=[question("a1")], release=False))
    claim = await world.store.commit(claim, Commit("waiting", consumed=1, withdrawn=["a1", "never"]))

    assert await world.store.deliver(answer(claim.run_id)) == Cancelled("", claim.now)
    assert await world.store.effects_of(claim.run_id) == ["prompt:a1", "lock:a1"]


async def test_a_question_answered_meanwhile_is_not_withdrawn(world: World) -> None:
    claim = await world.start()
    claim = await world.store.commit(claim, Commit("waiting", consumed=1, asks=[question("a1")], release=False))
    verdict = await world.store.deliver(answer(claim.run_id))

    claim = await world.store.commit(claim, Commit("waiting", withdrawn=["a1"]))

    assert await world.store.deliver(answer(claim.run_id)) == verdict
    assert [entry.kind for entry in claim.inbox] == ["answered"]


async def test_a_run_that_ends_closes_its_questions(world: World) -> None:
    claim = await world.start()
    claim = await world.store.commit(claim, Commit("waiting", asks=[question("a1"), question("a2")], release=False))

    over = await world.store.commit(claim, Commit("failed", withdrawn=["a2"]))

    assert await world.store.open_asks(claim.run_id) == []
    assert await world.store.deliver(answer(claim.run_id)) == Cancelled("", over.now)
    owed = await world.store.effects_of(claim.run_id)
    assert sorted(owed) == ["lock:a1", "lock:a2", "prompt:a1", "prompt:a2"]


async def test_cancelling_closes_the_questions_at_once_and_tells_the_run(world: World) -> None:
    claim = await world.ask()

    assert await world.store.cancel(claim.run_id, "U7")
    assert await world.store.cancel(claim.run_id, "U8")

    verdict = await world.store.deliver(answer(claim.run_id))
    assert isinstance(verdict, Cancelled)
    assert verdict.by == "U7"
    assert await world.store.due() == [claim.run_id]
    woken = await world.claim(claim.run_id)
    assert [(entry.kind, entry.actor) for entry in woken.inbox] == [("cancelled", "U7")]
    await world.store.commit(woken, Commit("cancelled", consumed=1))
    assert not await world.store.cancel(claim.run_id, "U7")
    assert not await world.store.cancel(world.store.new_run_id(), "U7")


async def test_a_finished_run_can_still_be_read(world: World) -> None:
    claim = await world.ask()
    await world.store.deliver(answer(claim.run_id))
    over = await world.claim(claim.run_id)
    await world.store.commit(over, Commit("done", consumed=1, written={"result": b"1"}))

    run = await world.store.run(claim.run_id)

    assert run is not None
    assert run.status == "done"
    assert await world.store.state(claim.run_id) == {"result": b"1"}


async def test_memory_forgets_a_finished_run_after_its_time() -> None:
    now = [0.0]
    store = MemoryRunStore(lambda: now[0], ttl_s=100.0)
    _, claim = await store.start(NewRun("k0-a", "Deploy", "r1", b"start"), worker="w1", lease_s=LEASE_S)
    assert claim is not None
    await store.commit(claim, Commit("done"))
    await store.link("C1:1", "k0-a")

    now[0] = 101.0

    assert await store.run("k0-a") is None
    assert await store.linked("C1:1") == "k0-a"
    now[0] = 401 * 86_400.0
    assert await store.linked("C1:1") is None
