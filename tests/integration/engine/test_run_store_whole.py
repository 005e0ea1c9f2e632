"""The `RunStore` contract: a run as a whole is read, copied and removed, on Redis and in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.errors import FencedError
from engine.run_store import Claim, Commit, EffectRecord, Entry, NewEffect, Timer, WholeRun
from engine.verdicts import Cancelled, Unknown
from tests.integration.engine.contract import World, answer, question, world

__all__ = ["world"]  # the fixture


async def lived_in(world: World) -> Claim:
    """A run with one answered and one open question, something remembered, sent and shown; a worker holds it."""
    claim = await world.start()
    asks = [question("a1"), question("a2", allowed=("U1",), deadline=claim.now + 90, timers=(Timer("remind", 0, 1.0),))]
    effects = [NewEffect("note", b"body")]
    change = Commit("waiting", consumed=1, written={"s": b"1", "core": b"{}"}, asks=asks, effects=effects)
    claim = await world.store.commit(claim, change)
    await world.store.deliver(answer(claim.run_id))
    effect = await world.take(claim.run_id, "prompt:a1")
    await world.store.finish_effect(effect, "C1:1")
    claim = await world.claim(claim.run_id)
    await world.store.remember(claim, "call", b"done")
    return claim


async def whole_of(world: World, run_id: str) -> WholeRun:
    whole = await world.store.export(run_id)
    assert whole is not None
    return whole


async def test_a_run_can_be_read_as_a_whole(world: World) -> None:
    claim = await lived_in(world)

    whole = await whole_of(world, claim.run_id)

    assert whole.run == await world.store.run(claim.run_id)
    assert (whole.worker, whole.until, whole.attempts, whole.wake_at) == ("w2", claim.until, 1, None)
    assert (dict(whole.state), dict(whole.memo)) == ({"s": b"1", "core": b"{}"}, {"call": b"done"})
    assert [(entry.kind, entry.ask_id, entry.body) for entry in whole.inbox] == [("answered", "a1", b"yes")]
    assert [(ask.ask_id, ask.status) for ask in whole.asks] == [("a1", "answered"), ("a2", "open")]
    assert [ask for ask in whole.asks if ask.status == "open"] == await world.store.open_asks(claim.run_id)
    assert whole.effects == (
        EffectRecord("lock:a1", owed=True),
        EffectRecord("note", owed=True, body=b"body"),
        EffectRecord("prompt:a1", owed=False, ref="C1:1"),
        EffectRecord("prompt:a2", owed=True),
    )
    assert list(whole.journal) == await world.store.journal(claim.run_id)
    assert whole.unreadable == ""


async def test_what_is_unknown_has_nothing_to_be_read(world: World) -> None:
    assert await world.store.export(world.store.new_run_id()) is None


async def test_a_copy_has_the_state_and_the_questions_and_is_due(world: World) -> None:
    claim = await lived_in(world)
    whole = await whole_of(world, claim.run_id)
    new = replace(whole.run, run_id=world.store.new_run_id("copy"))
    inbox = (*whole.inbox, Entry("reopened", whole.at, actor="U9"))
    await world.pass_time(1)

    assert await world.store.fork(replace(whole, run=new, inbox=inbox), claim.run_id, "U9")

    assert await world.store.due() == [new.run_id]
    copy = await world.claim(new.run_id)
    assert (copy.version, copy.workflow, copy.requester) == (0, "Deploy", "U0")
    assert (dict(copy.state), dict(copy.memo)) == (dict(whole.state), dict(whole.memo))
    assert [(one.kind, one.body, one.actor) for one in copy.inbox] == [
        ("answered", b"yes", "U1"),
        ("reopened", b"", "U9"),
    ]
    assert copy.asks == ("a1", "a2")
    ask = await world.store.ask(new.run_id, "a2")
    assert ask is not None
    assert (ask.status, ask.event, ask.messages) == ("cancelled", question("a2").event, ())
    assert isinstance(await world.store.deliver(answer(new.run_id, "d9", ask_id="a2")), Cancelled)
    assert await world.store.effects_of(new.run_id) == []
    assert [run.run_id for run in await world.store.runs()] == [new.run_id, claim.run_id]


async def test_a_run_and_its_copy_name_each_other(world: World) -> None:
    claim = await lived_in(world)
    whole = await whole_of(world, claim.run_id)
    new = replace(whole.run, run_id=world.store.new_run_id("copy"))

    await world.store.fork(replace(whole, run=new), claim.run_id, "U9")
    again = await world.store.fork(replace(whole, run=new), claim.run_id, "U9")

    assert not again
    (first,) = await world.store.journal(new.run_id)
    last = (await world.store.journal(claim.run_id))[-1]
    assert (first.what, first.by, first.details) == ("forked", "U9", {"from": claim.run_id})
    assert (last.what, last.by, last.details) == ("forked", "U9", {"to": new.run_id})


async def test_a_copy_goes_its_own_way(world: World) -> None:
    claim = await lived_in(world)
    whole = await whole_of(world, claim.run_id)
    new = replace(whole.run, run_id=world.store.new_run_id("copy"))
    await world.store.fork(replace(whole, run=new), claim.run_id, "U9")

    copy = await world.store.commit(await world.claim(new.run_id), Commit("waiting", consumed=1, asks=[question("a3")]))
    await world.store.deliver(answer(new.run_id, "d3", ask_id="a3"))
    await world.store.commit(await world.claim(new.run_id), Commit("done"))

    assert copy.version == 1
    assert [ask.ask_id for ask in await world.store.open_asks(claim.run_id)] == ["a2"]
    await world.store.commit(claim, Commit("waiting", consumed=1))


async def test_a_purged_run_is_gone(world: World) -> None:
    claim = await lived_in(world)
    await world.store.commit(claim, Commit("done"))

    assert await world.store.purge(claim.run_id) == "done"

    assert await world.store.run(claim.run_id) is None
    assert await world.store.export(claim.run_id) is None
    assert (await world.store.runs(), await world.store.due_effects()) == ([], [])
    assert await world.store.ask(claim.run_id, "a2") is None
    assert await world.store.purge(claim.run_id) is None


async def test_a_run_that_is_not_over_is_purged_by_force_alone(world: World) -> None:
    claim = await lived_in(world)

    assert await world.store.purge(claim.run_id) == "ready"
    assert await world.store.run(claim.run_id) is not None
    assert await world.store.purge(claim.run_id, force=True) == "ready"

    assert await world.store.run(claim.run_id) is None
    assert isinstance(await world.store.deliver(answer(claim.run_id, "d2", ask_id="a2")), Unknown)
    assert (await world.store.due(), await world.store.asks_for("T1", "U1")) == ([], [])
    with pytest.raises(FencedError):
        await world.store.commit(claim, Commit("done"))
    assert await world.store.runs() == []
