"""The `RunStore` contract: runs are started, claimed and committed, on Redis and in memory."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import pytest

from engine.errors import FencedError
from engine.run_store import LEAVE_PAUSE_S, Commit, NewEffect, NewRun, Timer
from engine.verdicts import Accepted
from tests.integration.engine.contract import LEASE_S, World, answer, question, world

__all__ = ["world"]  # the fixture

# --- starting ------------------------------------------------------------------------------------


async def test_a_key_names_one_run_and_chance_names_another(world: World) -> None:
    ids = {world.store.new_run_id("k"), world.store.new_run_id("k"), world.store.new_run_id(), world.store.new_run_id()}

    assert len(ids) == 3
    assert all(run_id.replace("-", "").isalnum() and len(run_id) < 24 for run_id in ids)


async def test_a_started_run_is_due_and_brings_its_start_event(world: World) -> None:
    run = NewRun(world.store.new_run_id(), "Deploy", "r1", b"start", tenant="T1", requester="U0", address="C1")

    created, claim = await world.store.start(run)

    assert (created, claim) == (True, None)
    assert await world.store.due() == [run.run_id]
    claim = await world.claim(run.run_id)
    assert [(entry.kind, entry.body) for entry in claim.inbox] == [("sent", b"start")]
    assert (claim.workflow, claim.revision, claim.tenant, claim.requester) == ("Deploy", "r1", "T1", "U0")
    assert (claim.version, claim.attempts, dict(claim.state)) == (0, 1, {})


async def test_starting_with_a_worker_is_starting_and_claiming(world: World) -> None:
    claim = await world.start()

    assert (claim.fence, claim.version, claim.attempts) == (1, 0, 1)
    assert claim.until - claim.now == pytest.approx(LEASE_S)
    assert await world.store.due() == []
    assert await world.store.claim(claim.run_id, "w2", LEASE_S) is None


async def test_a_run_starts_once(world: World) -> None:
    run = NewRun(world.store.new_run_id("k"), "Deploy", "r1", b"start")
    await world.store.start(run)

    again = await world.store.start(replace(run, event=b"other"))
    created, claim = await world.store.start(run, worker="w1", lease_s=LEASE_S)

    assert again == (False, None)
    assert not created
    assert claim is not None
    assert [entry.body for entry in claim.inbox] == [b"start"]
    assert await world.store.start(run, worker="w2", lease_s=LEASE_S) == (False, None)


async def test_what_was_started_can_be_read(world: World) -> None:
    claim = await world.start()

    run = await world.store.run(claim.run_id)

    assert run is not None
    assert (run.workflow, run.revision, run.status, run.version) == ("Deploy", "r1", "ready", 0)
    assert (run.tenant, run.requester, run.address, run.thread) == ("T1", "U0", "C1", "")
    assert run.created_at == claim.now
    assert await world.store.run(world.store.new_run_id()) is None
    assert await world.whats(claim.run_id) == ["started"]


# --- beginning: started and committed at once ------------------------------------------------------


async def test_a_run_is_begun_with_its_first_transition(world: World) -> None:
    now = (await world.start("other")).now
    run = NewRun(world.store.new_run_id(), "Deploy", "r1", b"start", tenant="T1", requester="U0", address="C1")
    change = Commit("waiting", consumed=1, written={"core": b"1"}, asks=[question("a1")], note="asked")

    claim = await world.store.begin(run, change, now, worker="w1", lease_s=LEASE_S)

    assert claim is not None
    assert (claim.fence, claim.version, claim.inbox, claim.state, claim.asks) == (1, 1, (), {}, ())
    stored = await world.store.run(run.run_id)
    assert stored is not None
    assert (stored.status, stored.version, stored.requester, stored.address) == ("waiting", 1, "U0", "C1")
    assert await world.store.state(run.run_id) == {"core": b"1"}
    assert stored.run_id in [one.run_id for one in await world.store.runs(tenant="T1", requester="U0")]
    assert await world.whats(run.run_id) == ["started", "committed"]
    assert await world.store.effects_of(run.run_id) == ["prompt:a1"]
    assert await world.store.claim(run.run_id, "w2", LEASE_S) is None, "it waits"
    assert isinstance(await world.store.deliver(answer(run.run_id)), Accepted)
    assert [entry.kind for entry in (await world.claim(run.run_id)).inbox] == ["answered"]


async def test_a_run_that_was_begun_and_not_released_is_held(world: World) -> None:
    now = (await world.start("other")).now
    run = NewRun(world.store.new_run_id(), "Deploy", "r1", b"start")
    change = Commit("waiting", consumed=1, written={"core": b"1"}, release=False)

    begun = await world.store.begin(run, change, now, worker="w1", lease_s=LEASE_S)

    assert begun is not None
    assert begun.until == pytest.approx(begun.now + LEASE_S)
    assert await world.store.claim(run.run_id, "w2", LEASE_S) is None
    await world.store.commit(begun, Commit("waiting", release=False))
    await world.pass_time(LEASE_S + 1)
    assert run.run_id in await world.store.due()
    assert (await world.claim(run.run_id)).fence > 1


async def test_a_run_may_end_as_it_begins(world: World) -> None:
    now = (await world.start("other")).now
    run = NewRun(world.store.new_run_id(), "Deploy", "r1", b"start", tenant="T1", requester="U7")
    change = Commit("done", consumed=1, effects=[NewEffect("result")])

    await world.store.begin(run, change, now, worker="w1", lease_s=LEASE_S)

    stored = await world.store.run(run.run_id)
    assert stored is not None
    assert stored.status == "done"
    assert await world.store.effects_of(run.run_id) == ["result"]
    assert await world.store.runs(tenant="T1", requester="U7") == [stored]


async def test_a_run_that_exists_is_not_begun(world: World) -> None:
    claim = await world.start()
    run = NewRun(claim.run_id, "Other", "r2", b"start")

    with pytest.raises(FencedError):
        await world.store.begin(run, Commit("done", consumed=1), claim.now, worker="w2", lease_s=LEASE_S)

    assert await world.whats(claim.run_id) == ["started"]
    await world.store.commit(claim, Commit("waiting", consumed=1))


@pytest.mark.parametrize("off_s", [-60.0, 60.0])
async def test_a_run_is_not_begun_by_a_clock_that_is_wrong(world: World, off_s: float) -> None:
    now = (await world.start("other")).now
    run = NewRun(world.store.new_run_id(), "Deploy", "r1", b"start")
    change = Commit("waiting", consumed=1, asks=[question("a1")])

    assert await world.store.begin(run, change, now + off_s, worker="w1", lease_s=LEASE_S) is None

    assert await world.store.run(run.run_id) is None
    assert await world.store.ask(run.run_id, "a1") is None


# --- claiming and committing -----------------------------------------------------------------------


async def test_a_waiting_run_is_not_due_and_cannot_be_claimed(world: World) -> None:
    claim = await world.ask()

    assert await world.store.due() == []
    assert await world.store.claim(claim.run_id, "w2", LEASE_S) is None


async def test_a_worker_leaves_workflows_it_does_not_know(world: World) -> None:
    run = NewRun(world.store.new_run_id(), "Deploy", "r1", b"start")
    await world.store.start(run)

    assert await world.store.claim(run.run_id, "w1", LEASE_S, ["Other"]) is None
    await world.pass_time(LEAVE_PAUSE_S)
    assert await world.store.due() == [run.run_id]
    assert await world.store.claim(run.run_id, "w1", LEASE_S, ["Other", "Deploy"]) is not None


async def test_a_dead_workers_run_comes_back_at_the_end_of_its_lease(world: World) -> None:
    claim = await world.start()

    await world.pass_time(LEASE_S + 1)

    assert await world.store.due() == [claim.run_id]
    again = await world.claim(claim.run_id)
    assert again.fence > claim.fence
    assert (again.attempts, again.inbox) == (2, claim.inbox)


async def test_a_renewed_lease_ends_later(world: World) -> None:
    claim = await world.start()
    await world.pass_time(LEASE_S - 1)

    await world.store.renew(claim, LEASE_S)
    await world.pass_time(LEASE_S - 1)

    assert await world.store.due() == []
    assert await world.store.claim(claim.run_id, "w2", LEASE_S) is None


async def test_an_overtaken_worker_is_refused_everything(world: World) -> None:
    """Behaviour 50."""
    claim = await world.start()
    await world.pass_time(LEASE_S + 1)
    new = await world.claim(claim.run_id)

    for refused in (
        world.store.renew(claim, LEASE_S),
        world.store.remember(claim, "k", b"v"),
        world.store.commit(claim, Commit("done", written={"a": b"1"})),
        world.store.commit(replace(new, version=7), Commit("done", written={"a": b"1"})),
    ):
        with pytest.raises(FencedError):
            await refused

    assert await world.store.state(claim.run_id) == {}
    assert await world.whats(claim.run_id) == ["started"]


async def test_a_commit_sent_twice_counts_once(world: World) -> None:
    claim = await world.start()
    change = Commit("waiting", consumed=1, written={"n": b"1"}, effects=[NewEffect("e")], release=False)
    await world.store.commit(claim, change)

    with pytest.raises(FencedError):
        await world.store.commit(claim, change)

    assert await world.store.effects_of(claim.run_id) == ["e"]


async def test_a_worker_that_gave_the_run_back_does_not_hold_it(world: World) -> None:
    claim = await world.ask()

    with pytest.raises(FencedError):
        await world.store.renew(claim, LEASE_S)
    with pytest.raises(FencedError):
        await world.store.commit(claim, Commit("done"))


async def test_a_worker_whose_lease_ran_out_unnoticed_may_still_commit(world: World) -> None:
    claim = await world.start()
    await world.pass_time(LEASE_S + 1)

    done = await world.store.commit(claim, Commit("waiting", consumed=1))

    assert done.version == 1


async def test_only_what_changed_is_written(world: World) -> None:
    claim = await world.start()
    change = Commit("waiting", consumed=1, written={"a": b"1", "b": b"2"}, release=False)

    claim = await world.store.commit(claim, change)
    change = Commit("waiting", written={"b": b"3", "c": b"\x00\xff"}, removed=["a"], release=False)
    claim = await world.store.commit(claim, change)

    assert dict(claim.state) == await world.store.state(claim.run_id) == {"b": b"3", "c": b"\x00\xff"}
    assert (claim.version, claim.attempts) == (2, 0)


async def test_a_commit_that_keeps_the_lease_sees_what_arrived(world: World) -> None:
    claim = await world.start()
    await world.store.send(claim.run_id, "d1", b"one")
    await world.store.send(claim.run_id, "d2", b"two")

    claim = await world.store.commit(claim, Commit("waiting", consumed=1, release=False))

    assert [entry.body for entry in claim.inbox] == [b"one", b"two"]
    assert await world.store.due() == []
    claim = await world.store.commit(claim, Commit("waiting", consumed=1))
    assert [entry.body for entry in claim.inbox] == [b"two"]
    assert await world.store.due() == [claim.run_id]


async def test_work_kept_beyond_a_commit_is_not_lost_with_its_worker(world: World) -> None:
    claim = await world.start()
    await world.store.commit(claim, Commit("waiting", consumed=1, release=False))

    await world.pass_time(LEASE_S + 1)

    assert await world.store.due() == [claim.run_id]
    assert (await world.claim(claim.run_id)).version == 1


async def test_a_run_wakes_when_it_wished_to(world: World) -> None:
    claim = await world.start()
    await world.store.commit(claim, Commit("waiting", consumed=1, wake_at=claim.now + 100))
    assert await world.store.claim(claim.run_id, "w2", LEASE_S) is None

    await world.pass_time(101)

    assert await world.store.due() == [claim.run_id]
    assert (await world.claim(claim.run_id)).inbox == ()


async def test_a_run_that_is_ready_goes_on_at_once(world: World) -> None:
    claim = await world.start()

    await world.store.commit(claim, Commit("ready", consumed=1))

    assert await world.store.due() == [claim.run_id]
    assert (await world.claim(claim.run_id)).inbox == ()


async def test_a_parked_run_rests_whatever_is_sent_to_it(world: World) -> None:
    claim = await world.ask(question("a1"), question("a2", deadline=(await world.start("clock")).now + 10))
    claim = await world.store.commit(await world.sent(claim.run_id), Commit("parked", note="unreadable"))

    told = await world.store.deliver_and_claim(answer(claim.run_id), "w3", LEASE_S)
    await world.pass_time(20)

    assert await world.store.fire_timers() == []
    assert [type(told[0]), told[1]] == [Accepted, None]
    assert claim.run_id not in await world.store.due()
    assert await world.store.claim(claim.run_id, "w3", LEASE_S) is None
    run = await world.store.run(claim.run_id)
    assert run is not None
    assert run.status == "parked"


async def test_a_parked_run_is_given_back(world: World) -> None:
    claim = await world.start()
    parked = await world.store.commit(claim, Commit("parked", release=False, wake_at=claim.now + 5))

    with pytest.raises(FencedError):
        await world.store.commit(parked, Commit("waiting"))
    await world.pass_time(LEASE_S + 10)

    assert await world.store.due() == []


async def test_a_parked_run_that_is_cancelled_is_given_out_with_all_that_was_sent(world: World) -> None:
    claim = await world.start()
    await world.store.commit(claim, Commit("parked"))
    await world.store.send(claim.run_id, "d1", b"again")

    assert await world.store.cancel(claim.run_id, "U1")

    assert await world.store.due() == [claim.run_id]
    kinds = [entry.kind for entry in (await world.claim(claim.run_id)).inbox]
    assert kinds == ["sent", "sent", "cancelled"]


async def test_a_run_that_is_cancelled_as_it_is_parked_is_given_out_for_that(world: World) -> None:
    """Whoever parks it has read its inbox before; whoever cancels it was told that it stops."""
    claim = await world.start()
    await world.store.cancel(claim.run_id, "U1")

    await world.store.commit(claim, Commit("parked"))

    assert await world.store.due() == [claim.run_id]
    run = await world.store.run(claim.run_id)
    assert run is not None
    assert run.status == "ready"
    kinds = [entry.kind for entry in (await world.claim(claim.run_id)).inbox]
    assert kinds == ["sent", "cancelled"]


async def test_the_longest_waiting_run_is_due_first(world: World) -> None:
    ids = []
    for key in ("a", "b", "c"):
        run = NewRun(world.store.new_run_id(key), "Deploy", "r1", b"start")
        await world.store.start(run)
        await world.pass_time(1)
        ids.append(run.run_id)

    assert await world.store.due() == ids
    assert await world.store.due(2) == ids[:2]


async def test_the_first_memory_of_a_call_counts(world: World) -> None:
    claim = await world.start()

    first = await world.store.remember(claim, "call", b"1")
    second = await world.store.remember(claim, "call", b"2")

    assert (first, second) == (b"1", b"1")
    await world.pass_time(LEASE_S + 1)
    again = await world.claim(claim.run_id)
    assert dict(again.memo) == {"call": b"1"}
    again = await world.store.commit(again, Commit("waiting", consumed=1, forgotten=["call"], release=False))
    assert dict(again.memo) == {}


async def test_a_run_that_is_over_takes_nothing_more(world: World) -> None:
    claim = await world.start()
    await world.store.send(claim.run_id, "d1", b"late")
    over = await world.store.commit(claim, Commit("done", consumed=1))

    assert over.inbox == ()
    assert await world.store.due() == []
    assert not await world.store.send(claim.run_id, "d2", b"later")
    assert not await world.store.cancel(claim.run_id, "U1")
    assert await world.store.claim(claim.run_id, "w2", LEASE_S) is None
    with pytest.raises(FencedError):
        await world.store.commit(over, Commit("waiting"))


async def test_a_run_that_is_over_opens_no_asks(world: World) -> None:
    claim = await world.start()

    with pytest.raises(ValueError, match="opens no asks"):
        await world.store.commit(claim, Commit("done", asks=[question("a1")]))


async def test_a_commit_opens_an_ask_once(world: World) -> None:
    claim = await world.start()

    with pytest.raises(ValueError, match="twice"):
        await world.store.commit(claim, Commit("waiting", asks=[question("a1"), question("a1")]))


@pytest.mark.parametrize(
    "change",
    [
        Commit("waiting", consumed=1, written={"x": b"1"}, wake_at=nan),
        Commit("waiting", consumed=1, written={"x": b"1"}, asks=[question("a1", deadline=nan)]),
        Commit("waiting", consumed=1, written={"x": b"1"}, asks=[question("a1", timers=(Timer("remind", 0, nan),))]),
    ],
    ids=["wake", "deadline", "rung"],
)
async def test_a_commit_with_a_time_that_is_none_is_refused_whole(world: World, change: Commit) -> None:
    claim = await world.start()

    with pytest.raises(ValueError, match="not a number"):
        await world.store.commit(claim, change)

    assert await world.store.state(claim.run_id) == {}
    await world.store.commit(claim, Commit("done", consumed=1))


async def test_an_ask_id_is_never_used_again(world: World) -> None:
    claim = await world.start()
    claim = await world.store.commit(claim, Commit("waiting", asks=[question("a1")], release=False))
    claim = await world.store.commit(claim, Commit("waiting", withdrawn=["a1"], release=False))

    with pytest.raises(ValueError, match="closed"):
        await world.store.commit(claim, Commit("waiting", asks=[question("a1")]))


# --- sending -----------------------------------------------------------------------------------------


async def test_an_event_arrives_once_however_often_it_is_delivered(world: World) -> None:
    claim = await world.ask()

    told = [await world.store.send(claim.run_id, "d1", b"event") for _ in range(3)]

    assert told == [True, True, True]
    assert [entry.body for entry in (await world.claim(claim.run_id)).inbox] == [b"event"]


async def test_nobody_can_send_to_a_run_that_is_not(world: World) -> None:
    assert not await world.store.send(world.store.new_run_id(), "d1", b"event")
    assert not await world.store.send("forged|{0}:id", "d1", b"event")
