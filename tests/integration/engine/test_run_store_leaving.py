"""The `RunStore` contract: a run is given back before its work is done, on Redis and in memory.

For whoever comes next, or, since some workers cannot read it, for the others.
"""

from __future__ import annotations

import pytest

from engine.errors import FencedError
from engine.run_store import LEAVE_PAUSE_S, PATIENCE_S, Claim, Commit, NewRun
from engine.verdicts import Accepted
from tests.integration.engine.contract import LEASE_S, World, answer, world

__all__ = ["world"]  # the fixture


async def left(world: World) -> Claim:
    """Let "w1" leave a run that waits for its first commit."""
    claim = await world.start()
    assert await world.store.leave(claim, "newer")
    return claim


async def test_a_run_that_was_left_is_given_to_others_as_it_was(world: World) -> None:
    before = await left(world)

    assert await world.store.claim(before.run_id, "w1", LEASE_S) is None
    after = await world.claim(before.run_id, "w2")

    assert (after.inbox, after.version, after.attempts) == (before.inbox, before.version, before.attempts)
    assert after.fence > before.fence


async def test_a_run_that_was_left_is_looked_at_again_after_a_pause(world: World) -> None:
    claim = await left(world)
    assert await world.store.due() == []

    await world.pass_time(LEAVE_PAUSE_S)
    assert await world.store.due() == [claim.run_id]
    assert await world.store.claim(claim.run_id, "w1", LEASE_S) is None

    assert await world.store.due() == []


async def test_what_a_dead_worker_left_unfinished_is_still_to_be_done_once_it_was_left(world: World) -> None:
    claim = await world.store.commit(await world.start(), Commit("waiting", consumed=1, release=False))
    await world.pass_time(LEASE_S)

    assert await world.store.leave(await world.claim(claim.run_id, "w2"), "newer")

    assert (await world.claim(claim.run_id, "w3")).inbox == ()


async def test_whoever_comes_when_the_others_have_had_their_time_may_give_up(world: World) -> None:
    claim = await left(world)
    await world.pass_time(PATIENCE_S)

    claim = await world.claim(claim.run_id, "w1")
    assert not await world.store.leave(claim, "newer")
    after = await world.store.commit(claim, Commit("parked"))

    assert after.version == 1


async def test_others_have_their_time_from_when_the_first_left_it(world: World) -> None:
    claim = await left(world)
    await world.pass_time(PATIENCE_S / 2)
    assert await world.store.leave(await world.claim(claim.run_id, "w2"), "newer")
    await world.pass_time(PATIENCE_S / 2)

    assert not await world.store.leave(await world.claim(claim.run_id, "w3"), "newer")


async def test_work_on_a_run_gives_those_who_left_it_a_new_try(world: World) -> None:
    claim = await left(world)
    await world.store.commit(await world.claim(claim.run_id, "w2"), Commit("waiting", consumed=1))
    await world.pass_time(PATIENCE_S)
    await world.store.send(claim.run_id, "d1", b"event")

    claim = await world.claim(claim.run_id, "w1")

    assert await world.store.leave(claim, "newer")


async def test_what_comes_for_a_run_that_was_left_waits_for_others(world: World) -> None:
    claim = await world.ask()
    await world.store.send(claim.run_id, "d1", b"event")
    assert await world.store.leave(await world.claim(claim.run_id, "w2"), "newer")

    verdict, none = await world.store.deliver_and_claim(answer(claim.run_id), "w2", LEASE_S)

    assert isinstance(verdict, Accepted)
    assert none is None
    assert [entry.kind for entry in (await world.claim(claim.run_id, "w3")).inbox] == ["sent", "answered"]


async def test_a_run_whose_workflow_nobody_knows_is_given_up_in_the_end(world: World) -> None:
    run = NewRun(world.store.new_run_id(), "Deploy", "r1", b"start")
    await world.store.start(run)
    for worker in ("w1", "w2", "w1"):
        assert await world.store.claim(run.run_id, worker, LEASE_S, ["Other"]) is None
    await world.pass_time(PATIENCE_S)

    claim = await world.store.claim(run.run_id, "w1", LEASE_S, ["Other"])

    assert claim is not None
    assert not await world.store.leave(claim, "unknown")
    journal = await world.store.journal(run.run_id)
    assert [(line.by, line.details) for line in journal if line.what == "left"] == [
        ("w1", {"workflow": "Deploy"}),
    ]


async def test_the_journal_tells_why_a_run_was_left(world: World) -> None:
    claim = await left(world)

    line = (await world.store.journal(claim.run_id))[-1]

    assert (line.what, line.by, line.details) == ("left", "w1", {"note": "newer"})


async def test_only_its_holder_leaves_a_run(world: World) -> None:
    claim = await world.start()
    await world.pass_time(LEASE_S)
    await world.claim(claim.run_id, "w2")

    with pytest.raises(FencedError):
        await world.store.leave(claim, "newer")


async def test_a_run_that_is_released_can_be_had_at_once_as_it_was_last_saved(world: World) -> None:
    claim = await world.start()
    claim = await world.store.commit(claim, Commit("waiting", consumed=1, written={"s": b"1"}, release=False))

    await world.store.release(claim)

    assert await world.store.due() == [claim.run_id]
    again = await world.claim(claim.run_id, "w1")
    assert (dict(again.state), again.version, again.attempts) == ({"s": b"1"}, 1, 1)


async def test_only_its_holder_releases_a_run(world: World) -> None:
    claim = await world.start()
    await world.pass_time(LEASE_S)
    await world.claim(claim.run_id, "w2")

    with pytest.raises(FencedError):
        await world.store.release(claim)
