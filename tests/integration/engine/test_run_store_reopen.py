"""The `RunStore` contract: a run that is parked, failed or cancelled goes on, on Redis and in memory."""

from __future__ import annotations

import pytest

from engine.run_store import Claim, Commit, NewEffect, RunStatus
from engine.verdicts import Cancelled
from tests.integration.engine.contract import LEASE_S, World, answer, question, world

__all__ = ["world"]  # the fixture

DAY_S = 86_400.0


async def over(world: World, status: RunStatus = "failed") -> Claim:
    """End a run that has a question open and something sent to it that nobody has looked at."""
    claim = await world.ask()
    claim = await world.sent(claim.run_id)
    await world.store.remember(claim, "call", b"done")
    return await world.store.commit(claim, Commit(status, written={"s": b"1"}, effects=[NewEffect("result")]))


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_a_run_that_is_over_goes_on(world: World, status: RunStatus) -> None:
    claim = await over(world, status)

    assert await world.store.reopen(claim.run_id, "U9") == status

    assert await world.store.due() == [claim.run_id]
    assert [run.status for run in await world.store.runs()] == ["ready"]
    claim = await world.claim(claim.run_id)
    assert [(entry.kind, entry.actor) for entry in claim.inbox] == [("reopened", "U9")]
    assert (claim.attempts, dict(claim.state), dict(claim.memo)) == (1, {"s": b"1"}, {"call": b"done"})
    assert [(line.what, line.by) for line in await world.store.journal(claim.run_id)][-1] == ("reopened", "U9")


async def test_the_asks_of_a_run_that_goes_on_stay_closed_and_can_be_read(world: World) -> None:
    claim = await over(world)

    await world.store.reopen(claim.run_id, "U9")

    assert isinstance(await world.store.deliver(answer(claim.run_id)), Cancelled)
    ask = await world.stored(claim.run_id)
    assert ask.event == question("a1").event
    assert (await world.claim(claim.run_id)).asks == ("a1",)


async def test_a_run_that_goes_on_lives_as_long_as_it_takes(world: World) -> None:
    claim = await over(world)
    await world.store.reopen(claim.run_id, "U9")

    await world.pass_time(31 * DAY_S)
    await world.store.fire_timers()

    assert [run.run_id for run in await world.store.runs()] == [claim.run_id]
    claim = await world.claim(claim.run_id)
    await world.store.commit(claim, Commit("waiting", consumed=1, asks=[question("a2")]))
    assert [ask.ask_id for ask in await world.store.open_asks(claim.run_id)] == ["a2"]


async def test_a_run_that_goes_on_can_end_and_go_on_again(world: World) -> None:
    run_id = (await over(world)).run_id

    for _ in range(2):
        await world.store.reopen(run_id, "U9")
        await world.store.cancel(run_id, "U9")
        await world.store.commit(await world.claim(run_id), Commit("cancelled", consumed=2))

    assert await world.store.reopen(run_id, "U9") == "cancelled"
    assert [run.status for run in await world.store.runs(statuses={"ready"})] == ["ready"]


async def test_a_parked_run_goes_on_with_what_it_had(world: World) -> None:
    claim = await world.start()
    await world.store.commit(claim, Commit("parked", consumed=1))

    assert await world.store.reopen(claim.run_id, "U9") == "parked"

    assert await world.store.due() == [claim.run_id]
    assert (await world.claim(claim.run_id)).inbox == ()


async def test_any_other_run_stays_as_it_is(world: World) -> None:
    waiting = await world.ask(key="waiting")
    done = await world.store.commit(await world.start("done"), Commit("done"))
    held = await world.start("held")

    told = [await world.store.reopen(claim.run_id, "U9") for claim in (waiting, done, held)]

    assert told == ["waiting", "done", "ready"]
    assert await world.store.reopen(world.store.new_run_id(), "U9") is None
    assert await world.store.due() == []
    assert "reopened" not in [what for claim in (waiting, done, held) for what in await world.whats(claim.run_id)]


async def test_a_run_that_somebody_works_on_is_not_taken_from_them(world: World) -> None:
    claim = await over(world)
    await world.store.reopen(claim.run_id, "U9")
    await world.claim(claim.run_id)

    assert await world.store.reopen(claim.run_id, "U9") == "ready"
    assert await world.store.claim(claim.run_id, "w3", LEASE_S) is None
