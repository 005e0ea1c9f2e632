"""The `RunStore` contract: an ask that is changed while it stays open, on Redis and in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.run_store import Amendment, Commit, NewEffect, copy_of
from engine.verdicts import Accepted, Already, Cancelled, Expired, Recorded, Stale, Unknown
from tests.integration.engine.contract import World, answer, question, world

__all__ = ["world"]  # the fixture


async def asked(world: World, **changes: object) -> str:
    """Ask U1 and U2, and return the run."""
    ask = question("a1", **({"allowed": ("U1", "U2")} | changes))
    return (await world.ask(ask)).run_id


def handover(run_id: str, delivery_id: str = "h1", **changes: object) -> Amendment:
    """U1 gives their place to U3."""
    change = Amendment(run_id, "a1", delivery_id, "U1", "reassigned", ("U3", "U2"), before=("U1", "U2"))
    return replace(change, **changes)  # type: ignore[arg-type]


async def waiting_for(world: World, actor: str) -> list[str]:
    return [ask.run_id for ask in await world.store.asks_for("T1", actor)]


async def test_a_question_given_to_somebody_else_is_theirs(world: World) -> None:
    run_id = await asked(world)
    before = await world.stored(run_id)

    told = await world.store.amend(handover(run_id, effects=[copy_of("a1", "U3")]))

    assert isinstance(told, Accepted)
    assert (told.by, told.response) == ("U1", "reassigned")
    assert await world.stored(run_id) == replace(before, allowed=("U3", "U2"))
    assert [await waiting_for(world, actor) for actor in ("U1", "U2", "U3")] == [[], [run_id], [run_id]]
    assert await world.store.effects_of(run_id) == ["prompt:a1", "update:a1:1.1", "copy:a1:U3"]
    line = (await world.store.journal(run_id))[-1]
    assert (line.what, line.by, dict(line.details)) == ("reassigned", "U1", {"ask": "a1", "allowed": "U3 U2"})


async def test_a_question_that_anybody_could_answer_becomes_somebodys(world: World) -> None:
    run_id = await asked(world, allowed=())

    await world.store.amend(handover(run_id, before=(), allowed=("U3",)))

    assert [await waiting_for(world, actor) for actor in ("", "U3")] == [[], [run_id]]


async def test_a_change_delivered_again_is_told_the_same(world: World) -> None:
    run_id = await asked(world)
    told = await world.store.amend(handover(run_id))

    again = [await world.store.amend(handover(run_id)) for _ in range(3)]

    assert again == [told] * 3
    assert (await world.whats(run_id)).count("reassigned") == 1


async def test_who_may_answer_must_be_who_the_caller_thinks(world: World) -> None:
    run_id = await asked(world)
    await world.store.amend(handover(run_id))

    told = await world.store.amend(handover(run_id, "h2", allowed=("U4", "U2")))
    again = await world.store.amend(handover(run_id, "h2", allowed=("U4", "U2"), before=("U3", "U2")))

    assert told == Stale()
    assert isinstance(again, Accepted)
    assert (await world.stored(run_id)).allowed == ("U4", "U2")


async def test_who_gives_their_place_away_takes_their_vote_along(world: World) -> None:
    run_id = await asked(world, quorum=2)
    for voter in ("U1", "U2"):
        await world.store.deliver(answer(run_id, voter, actor=voter, response=f"as {voter}"))

    await world.store.amend(handover(run_id))

    assert (await world.stored(run_id)).votes == (("U2", "as U2"),)
    told = await world.store.deliver(answer(run_id, "late", actor="U3", response="ship"))
    assert told == Recorded(1, 2)


async def test_a_question_to_the_requester_leaves_the_ask_as_it_is(world: World) -> None:
    run_id = await asked(world)
    before = await world.stored(run_id)
    made = NewEffect("details:d1", b"why?", "a1")

    await world.store.amend(
        Amendment(run_id, "a1", "d1", "U2", "asked back", effects=[made], note="why?", asks_back=True)
    )

    assert await world.stored(run_id) == replace(before, asks_back=True)
    assert await world.store.effects_of(run_id) == ["prompt:a1", "details:d1"]
    line = (await world.store.journal(run_id))[-1]
    assert (line.what, dict(line.details)) == ("asked back", {"ask": "a1", "note": "why?"})
    effect = await world.take(run_id, "prompt:a1")
    await world.store.finish_effect(effect, "C1:1")
    owed = await world.take(run_id, "details:d1")
    assert owed.body == b"why?"


async def test_a_question_that_was_decided_is_not_changed(world: World) -> None:
    run_id = await asked(world)
    decided = await world.store.deliver(answer(run_id))
    assert isinstance(decided, Accepted)

    told = await world.store.amend(handover(run_id))

    assert told == Already(decided.by, decided.at, decided.response)
    assert (await world.stored(run_id)).allowed == ("U1", "U2")


async def test_a_question_that_is_over_is_not_changed(world: World) -> None:
    run_id = await asked(world)
    await world.store.cancel(run_id, "U9")

    told = await world.store.amend(handover(run_id))

    assert isinstance(told, Cancelled)
    assert await world.store.amend(handover(run_id, "h2", ask_id="a9")) == Unknown()
    assert await world.store.amend(handover("k0-none")) == Unknown()


async def test_a_question_past_its_deadline_is_not_changed(world: World) -> None:
    claim = await world.start()
    ask = question("a1", allowed=("U1", "U2"), deadline=claim.now + 10)
    await world.store.commit(claim, Commit("waiting", 1, asks=[ask]))
    await world.pass_time(11)

    told = await world.store.amend(handover(claim.run_id))

    assert isinstance(told, Expired)
    assert told.at == pytest.approx(claim.now + 10)


async def test_a_question_given_away_and_closed_waits_for_nobody(world: World) -> None:
    run_id = await asked(world)
    await world.store.amend(handover(run_id))

    await world.store.deliver(answer(run_id, actor="U3"))

    assert [await waiting_for(world, actor) for actor in ("U1", "U2", "U3")] == [[], [], []]
