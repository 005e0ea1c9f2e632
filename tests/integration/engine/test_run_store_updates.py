"""The `RunStore` contract: what is shown of an ask follows what is stored of it, in order, on Redis and in memory."""

from __future__ import annotations

import pytest

from engine.run_store import Commit, NewEffect, Timer
from engine.verdicts import Recorded
from tests.integration.engine.contract import SENDING_S, World, answer, question, world

__all__ = ["world"]  # the fixture


async def asked_of_three(world: World, *copies: str) -> str:
    """Ask for three votes, in so many places beside the first, which shows it; return the run."""
    claim = await world.start()
    effects = [NewEffect(f"copy:a1:{place}", place.encode(), "a1") for place in copies]
    await world.store.commit(claim, Commit("waiting", 1, asks=[question("a1", quorum=3)], effects=effects))
    await world.store.finish_effect(await world.take(claim.run_id, "prompt:a1"), "C1:1")
    return claim.run_id


async def vote(world: World, run_id: str, actor: str, response: str = "ship") -> None:
    delivery = f"{actor} {response}"
    told = await world.store.deliver(answer(run_id, delivery, actor=actor, response=response))
    assert isinstance(told, Recorded)


async def test_each_vote_owes_an_update(world: World) -> None:
    run_id = await asked_of_three(world)

    await vote(world, run_id, "U1")

    assert await world.store.effects_of(run_id) == ["update:a1:1.1"]
    update = await world.take(run_id, "update:a1:1.1")
    assert update.ask is not None
    assert update.ask.votes == (("U1", "ship"),)


async def test_the_same_vote_again_changes_nothing_that_is_shown(world: World) -> None:
    run_id = await asked_of_three(world)
    await vote(world, run_id, "U1")
    await world.store.finish_effect(await world.take(run_id, "update:a1:1.1"), "")

    told = await world.store.deliver(answer(run_id, "another click"))

    assert told == Recorded(1, 3)
    assert await world.store.effects_of(run_id) == []


async def test_an_update_waits_for_the_one_before_it(world: World) -> None:
    run_id = await asked_of_three(world)
    await vote(world, run_id, "U1")
    first = await world.take(run_id, "update:a1:1.1")
    await vote(world, run_id, "U2")
    assert await world.store.claim_effect(run_id, "update:a1:1.2", SENDING_S) is None
    assert await world.store.due_effects() == []

    await world.store.finish_effect(first, "")

    assert await world.store.due_effects() == [(run_id, "update:a1:1.2")]
    second = await world.take(run_id, "update:a1:1.2")
    assert second.ask is not None
    assert len(second.ask.votes) == 2


async def test_of_updates_that_wait_only_the_newest_is_done(world: World) -> None:
    run_id = await asked_of_three(world)
    await vote(world, run_id, "U1")
    await vote(world, run_id, "U1", "hold")
    await vote(world, run_id, "U2")

    taken = [await world.store.claim_effect(run_id, name, SENDING_S) for name in await world.store.effects_of(run_id)]

    assert [claim.effect_id for claim in taken if claim is not None] == ["update:a1:1.3"]
    assert await world.store.due_effects() == []


async def test_a_decision_takes_the_place_of_updates_that_wait(world: World) -> None:
    run_id = await asked_of_three(world)
    await vote(world, run_id, "U1")
    await world.store.deliver(answer(run_id, "no", actor="U2", response="no", final=True))

    taken = [await world.store.claim_effect(run_id, name, SENDING_S) for name in await world.store.effects_of(run_id)]

    assert [claim.effect_id for claim in taken if claim is not None] == ["lock:a1"]


async def test_a_decision_is_shown_after_an_update_that_is_on_its_way(world: World) -> None:
    run_id = await asked_of_three(world)
    await vote(world, run_id, "U1")
    update = await world.take(run_id, "update:a1:1.1")
    await world.store.deliver(answer(run_id, "no", actor="U2", response="no", final=True))
    assert await world.store.claim_effect(run_id, "lock:a1", SENDING_S) is None

    await world.store.finish_effect(update, "")

    assert await world.store.due_effects() == [(run_id, "lock:a1")]
    await world.take(run_id, "lock:a1")


@pytest.mark.parametrize("how", ["done", "later", "not at all"])
async def test_what_somebody_drew_who_was_overtaken_is_drawn_again(world: World, how: str) -> None:
    """They may have been stopped for longer than their turn, and gone on with what they knew before."""
    run_id = await asked_of_three(world)
    await vote(world, run_id, "U1")
    stopped = await world.take(run_id, "update:a1:1.1")
    await world.pass_time(SENDING_S + 1)
    await world.store.finish_effect(await world.take(run_id, "update:a1:1.1"), "C1:1")
    assert await world.store.effects_of(run_id) == []

    if how == "done":
        await world.store.finish_effect(stopped, "C1:1")
    elif how == "later":
        await world.store.delay_effect(stopped, stopped.now + 5)
    else:
        await world.store.drop_effect(stopped, "msg_too_long")

    assert await world.store.effects_of(run_id) == ["update:a1:1.2"]


async def test_a_question_asked_anew_is_shown_after_the_updates_of_the_old_one(world: World) -> None:
    claim = await world.start()
    claim = await world.store.commit(claim, Commit("waiting", 1, asks=[question("a1", quorum=3)], release=False))
    await world.store.finish_effect(await world.take(claim.run_id, "prompt:a1"), "C1:1")
    await vote(world, claim.run_id, "U1")
    update = await world.take(claim.run_id, "update:a1:1.1")
    await world.store.commit(claim, Commit("waiting", asks=[question("a1", event=b"v3?", quorum=3)]))
    assert await world.store.claim_effect(claim.run_id, "prompt:a1:2", SENDING_S) is None

    await world.store.finish_effect(update, "")

    await world.store.finish_effect(await world.take(claim.run_id, "prompt:a1:2"), "C1:2")
    await vote(world, claim.run_id, "U2")
    assert await world.store.effects_of(claim.run_id) == ["update:a1:2.1"]


async def test_a_rung_tells_when_it_fired_and_owes_an_update(world: World) -> None:
    claim = await world.start()
    ask = question("a1", timers=(Timer("remind", 0, claim.now + 10),))
    await world.store.commit(claim, Commit("waiting", 1, asks=[ask]))
    await world.store.finish_effect(await world.take(claim.run_id, "prompt:a1"), "C1:1")
    assert (await world.stored(claim.run_id)).reminded_at is None
    await world.pass_time(25)

    await world.store.fire_timers()

    reminded_at = (await world.stored(claim.run_id)).reminded_at
    assert reminded_at is not None
    assert 24 < reminded_at - claim.now < 30
    assert sorted(await world.store.effects_of(claim.run_id)) == ["remind:a1:0", "update:a1:1.1"]


async def test_a_copy_comes_after_the_first_message_and_is_one_of_them(world: World) -> None:
    claim = await world.start()
    made = [NewEffect("copy:a1:U2", b"U2", "a1")]
    await world.store.commit(claim, Commit("waiting", 1, asks=[question("a1")], effects=made))
    assert await world.store.claim_effect(claim.run_id, "copy:a1:U2", SENDING_S) is None
    await world.store.finish_effect(await world.take(claim.run_id, "prompt:a1"), "C1:1")
    assert await world.store.due_effects() == [(claim.run_id, "copy:a1:U2")]

    copy = await world.take(claim.run_id, "copy:a1:U2")
    await world.store.finish_effect(copy, "D2:1")

    assert copy.body == b"U2"
    assert (await world.stored(claim.run_id)).messages == ("C1:1", "D2:1")
    assert await world.store.effects_of(claim.run_id) == []


async def test_a_copy_is_not_the_thread(world: World) -> None:
    claim = await world.start()
    made = [NewEffect("copy:a1:U2", b"U2", "a1")]
    await world.store.commit(claim, Commit("waiting", 1, asks=[question("a1")], effects=made))
    await world.store.drop_effect(await world.take(claim.run_id, "prompt:a1"), "no")

    await world.store.finish_effect(await world.take(claim.run_id, "copy:a1:U2"), "D2:1")

    run = await world.store.run(claim.run_id)
    assert run is not None
    assert run.thread == ""


async def test_a_copy_that_was_on_its_way_during_a_vote_is_updated(world: World) -> None:
    run_id = await asked_of_three(world, "U2")
    copy = await world.take(run_id, "copy:a1:U2")
    await vote(world, run_id, "U1")
    await world.store.finish_effect(await world.take(run_id, "update:a1:1.1"), "")

    await world.store.finish_effect(copy, "D2:1")

    assert await world.store.effects_of(run_id) == ["update:a1:1.2"]
    update = await world.take(run_id, "update:a1:1.2")
    assert update.ask is not None
    assert update.ask.messages == ("C1:1", "D2:1")


async def test_a_copy_that_was_on_its_way_during_the_decision_is_updated(world: World) -> None:
    run_id = await asked_of_three(world, "U2")
    copy = await world.take(run_id, "copy:a1:U2")
    await world.store.deliver(answer(run_id, "no", response="no", final=True))
    await world.store.finish_effect(await world.take(run_id, "lock:a1"), "")

    await world.store.finish_effect(copy, "D2:1")

    update = await world.take(run_id, "update:a1:1.1")
    assert update.ask is not None
    assert (update.ask.status, update.ask.messages) == ("answered", ("C1:1", "D2:1"))


async def test_a_message_that_is_gone_is_replaced_also_as_the_thread(world: World) -> None:
    run_id = await asked_of_three(world)

    await world.store.replace_message(run_id, "a1", "C1:1", "C1:2")
    await world.store.replace_message(run_id, "a1", "C1:1", "C1:3")

    run = await world.store.run(run_id)
    assert run is not None
    assert (run.thread, (await world.stored(run_id)).messages) == ("C1:2", ("C1:2",))
    assert (await world.whats(run_id)).count("shown again") == 1
