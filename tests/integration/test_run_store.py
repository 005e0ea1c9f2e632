"""The `RunStore` contract: runs, answers and timers, on Redis and in memory. Effects have a file of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from engine.errors import FencedError, NotJudged
from engine.keyring import Keyring, new_key
from engine.memory_store import MemoryRunStore
from engine.redis import RedisRunStore
from engine.run_store import LEAVE_PAUSE_S, Answer, Claim, Commit, Entry, NewAsk, NewEffect, NewRun, RunStore, Timer
from engine.sealed_store import SealedRunStore
from engine.verdicts import Accepted, Already, Cancelled, Expired, Recorded, Stale, Unknown

LEASE_S = 30.0
LANES = 3


@dataclass(frozen=True)
class World:
    """A store and the way to let its clock run."""

    store: RunStore
    pass_time: Callable[[float], Awaitable[None]]

    async def start(self, key: str = "run") -> Claim:
        run = NewRun(self.store.new_run_id(key), "Deploy", "r1", b"start", tenant="T1", requester="U0", address="C1")
        _, claim = await self.store.start(run, worker="w1", lease_s=LEASE_S)
        assert claim is not None
        return claim

    async def ask(self, *asks: NewAsk, key: str = "run") -> Claim:
        """Start a run and let it wait for *asks*; by default for "a1"."""
        claim = await self.start(key)
        return await self.store.commit(claim, Commit("waiting", consumed=1, asks=asks or (question("a1"),)))

    async def claim(self, run_id: str, worker: str = "w2") -> Claim:
        claim = await self.store.claim(run_id, worker, LEASE_S)
        assert claim is not None
        return claim

    async def sent(self, run_id: str) -> Claim:
        """Send a waiting run something and claim it."""
        await self.store.send(run_id, "more", b"more")
        return await self.claim(run_id)

    async def whats(self, run_id: str) -> list[str]:
        return [entry.what for entry in await self.store.journal(run_id)]


@pytest.fixture(params=["memory", "redis", "cluster", "sealed"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "memory":
        now = [1_700_000_000.0]

        async def pass_time(seconds: float) -> None:
            now[0] += seconds

        yield World(MemoryRunStore(lambda: now[0]), pass_time)
        return
    url = request.getfixturevalue("cluster_url" if request.param == "cluster" else "redis_url")
    prefix = request.getfixturevalue("prefix")
    store = RedisRunStore.from_url(url, prefix=prefix, lanes=LANES)
    try:
        sealed = SealedRunStore(store, Keyring([new_key()]))
        yield World(sealed if request.param == "sealed" else store, skewing(store))
        assert await store.leftovers() == []
    finally:
        await store.close()


def skewing(store: RedisRunStore, lanes: int = LANES) -> Callable[[float], Awaitable[None]]:
    """Return what moves a Redis store's clock."""
    names = [f"{store.prefix}:{{{lane}}}:skew" for lane in range(lanes)]

    async def pass_time(seconds: float) -> None:
        for name in names:
            await store.server.read("INCRBYFLOAT", name, seconds)

    return pass_time


def question(ask_id: str, **changes: object) -> NewAsk:
    return replace(NewAsk(ask_id, b"Ship it?", "digest"), **changes)  # type: ignore[arg-type]


def answer(run_id: str, delivery_id: str = "d1", **changes: object) -> Answer:
    return replace(Answer(run_id, "a1", delivery_id, "U1", "ship", b"yes"), **changes)  # type: ignore[arg-type]


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
    assert (claim.fence, claim.version, claim.attempts, dict(claim.state)) == (1, 0, 1, {})


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
    assert (claim.fence, claim.version, claim.inbox, claim.state, claim.asks) == (1, 1, (), {"core": b"1"}, ("a1",))
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
    assert (await world.claim(run.run_id)).fence == 2


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
    assert (again.fence, again.attempts, again.inbox) == (2, 2, claim.inbox)


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
    claim = await world.store.commit(claim, Commit("waiting", written={"b": b"3", "c": b"\x00\xff"}, removed=["a"]))

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


# --- answering ---------------------------------------------------------------------------------------


async def test_an_open_ask_can_be_read(world: World) -> None:
    opened = question("a1", allowed=("U1", "U2"), quorum=2, self_approval=False)
    claim = await world.ask(opened, question("a2"))

    asks = await world.store.open_asks(claim.run_id)

    assert [ask.ask_id for ask in asks] == ["a1", "a2"]
    first = await world.store.ask(claim.run_id, "a1")
    assert first == asks[0]
    assert (first.status, first.revision, first.event, first.digest) == ("open", 1, b"Ship it?", "digest")
    assert (first.allowed, first.quorum, first.self_approval) == (("U1", "U2"), 2, False)
    assert (first.opened_at, first.deadline, first.votes, first.messages) == (claim.now, None, (), ())
    assert await world.store.ask(claim.run_id, "a9") is None


async def test_a_run_is_read_with_its_ask_in_one_go(world: World) -> None:
    claim = await world.ask()

    assert await world.store.asked(claim.run_id, "a1") == (
        await world.store.run(claim.run_id),
        await world.store.ask(claim.run_id, "a1"),
    )
    assert await world.store.asked(claim.run_id, "a9") is None
    assert await world.store.asked(world.store.new_run_id(), "a1") is None


async def test_the_first_answer_decides_and_wakes_the_run(world: World) -> None:
    claim = await world.ask()

    verdict = await world.store.deliver(answer(claim.run_id))

    assert isinstance(verdict, Accepted)
    assert (verdict.by, verdict.response) == ("U1", "ship")
    assert await world.store.due() == [claim.run_id]
    assert await world.store.open_asks(claim.run_id) == []
    woken = await world.claim(claim.run_id)
    assert woken.inbox == (Entry("answered", verdict.at, b"yes", "a1", "U1"),)
    ask = await world.store.ask(claim.run_id, "a1")
    assert ask is not None
    assert (ask.status, ask.by, ask.at, ask.response, ask.answer) == ("answered", "U1", verdict.at, "ship", b"yes")


async def test_a_second_answer_is_told_who_was_first(world: World) -> None:
    claim = await world.ask()
    first = await world.store.deliver(answer(claim.run_id))
    assert isinstance(first, Accepted)

    second = await world.store.deliver(answer(claim.run_id, "d2", actor="U2", response="keep"))

    assert second == Already("U1", first.at, "ship")
    assert len((await world.claim(claim.run_id)).inbox) == 1


async def test_a_redelivery_is_told_the_same_for_ever(world: World) -> None:
    claim = await world.ask(question("a1", quorum=2))
    recorded = await world.store.deliver(answer(claim.run_id, "d1"))
    stale = await world.store.deliver(answer(claim.run_id, "d2", revision=9))
    accepted = await world.store.deliver(answer(claim.run_id, "d3", actor="U2"))
    already = await world.store.deliver(answer(claim.run_id, "d4", actor="U3"))
    told = [recorded, stale, accepted, already]
    assert [type(verdict) for verdict in told] == [Recorded, Stale, Accepted, Already]
    over = await world.claim(claim.run_id)
    await world.store.commit(over, Commit("done", consumed=1))
    await world.pass_time(1000)

    again = [
        await world.store.deliver(answer(claim.run_id, "d1")),
        await world.store.deliver(answer(claim.run_id, "d2", revision=9)),
        await world.store.deliver(answer(claim.run_id, "d3", actor="U2")),
        await world.store.deliver(answer(claim.run_id, "d4", actor="U3")),
    ]

    assert again == told


async def test_of_a_hundred_answers_at_once_one_decides(world: World) -> None:
    """Behaviour 19."""
    claim = await world.ask()

    async with asyncio.TaskGroup() as tasks:
        clicks = [
            tasks.create_task(world.store.deliver(answer(claim.run_id, f"d{n}", actor=f"U{n}"))) for n in range(100)
        ]

    verdicts = [click.result() for click in clicks]
    accepted = [verdict for verdict in verdicts if isinstance(verdict, Accepted)]
    assert len(accepted) == 1
    winner = Already(accepted[0].by, accepted[0].at, accepted[0].response)
    assert [verdict for verdict in verdicts if verdict != accepted[0]] == [winner] * 99
    assert [entry.actor for entry in (await world.claim(claim.run_id)).inbox] == [winner.by]


async def test_an_answer_that_decides_may_take_the_run_along(world: World) -> None:
    claim = await world.ask()

    verdict, taken = await world.store.deliver_and_claim(answer(claim.run_id), "w2", LEASE_S, ("Deploy",))

    assert isinstance(verdict, Accepted)
    assert taken is not None
    assert (taken.fence, taken.state, [entry.ask_id for entry in taken.inbox]) == (claim.fence + 1, claim.state, ["a1"])
    assert await world.store.claim(claim.run_id, "w3", LEASE_S) is None
    await world.store.commit(taken, Commit("done", consumed=1))


async def test_an_answer_does_not_take_along_what_it_may_not_have(world: World) -> None:
    """A redelivery decides nothing; a run may be held, of a workflow the worker does not know, or want more votes."""
    claim = await world.ask(question("a1"), question("a2"), question("a3", quorum=2))

    _, unknown = await world.store.deliver_and_claim(answer(claim.run_id, "d1"), "w2", LEASE_S, ("Other",))
    again, redelivered = await world.store.deliver_and_claim(answer(claim.run_id, "d1"), "w2", LEASE_S)
    _, voted = await world.store.deliver_and_claim(answer(claim.run_id, "d3", ask_id="a3"), "w2", LEASE_S)
    await world.claim(claim.run_id)
    other, held = await world.store.deliver_and_claim(answer(claim.run_id, "d2", ask_id="a2"), "w3", LEASE_S)

    assert isinstance(other, Accepted)
    assert isinstance(again, Accepted | Already)
    assert (unknown, redelivered, voted, held) == (None, None, None, None)


@pytest.mark.parametrize(
    ("actor", "response", "taken"),
    [("U1", "ship", True), ("U2", "wait", True), ("U9", "ship", False), ("U0", "ship", False), ("U1", "burn", False)],
)
async def test_an_unseen_question_takes_only_what_it_clearly_takes(
    world: World, actor: str, response: str, taken: bool
) -> None:
    allowed, options = ("U0", "U1", "U2"), ("ship", "wait")
    claim = await world.ask(question("a1", allowed=allowed, self_approval=False, options=options))
    given = answer(claim.run_id, actor=actor, response=response, unseen=True)

    if taken:
        assert isinstance(await world.store.deliver(given), Accepted)
    else:
        with pytest.raises(NotJudged):
            await world.store.deliver(given)
        with pytest.raises(NotJudged):
            await world.store.deliver_and_claim(given, "w2", LEASE_S)
        assert await world.whats(claim.run_id) == ["started", "committed"]
        assert isinstance(await world.store.deliver(replace(given, unseen=False)), Accepted), "nothing was recorded"


async def test_an_unseen_question_for_all_takes_anything_and_tells_the_same_again(world: World) -> None:
    claim = await world.ask()

    first = await world.store.deliver(answer(claim.run_id, unseen=True))
    again = await world.store.deliver(answer(claim.run_id, unseen=True))
    late = await world.store.deliver(answer(claim.run_id, "d2", actor="U9", unseen=True))
    none = await world.store.deliver(answer(claim.run_id, "d3", ask_id="a9", unseen=True))

    assert isinstance(first, Accepted)
    assert again == first
    assert late == Already("U1", first.at, "ship")
    assert none == Unknown()


async def test_nobody_can_answer_what_was_not_asked(world: World) -> None:
    claim = await world.ask()

    assert await world.store.deliver(answer(claim.run_id, ask_id="a9")) == Unknown()
    assert await world.store.deliver(answer(world.store.new_run_id())) == Unknown()
    assert await world.store.deliver(answer("k99-forged")) == Unknown()


async def test_an_answer_to_an_older_question_is_stale(world: World) -> None:
    claim = await world.start()
    claim = await world.store.commit(claim, Commit("waiting", consumed=1, asks=[question("a1")], release=False))
    await world.store.commit(claim, Commit("waiting", asks=[question("a1", event=b"Ship v3?", digest="new")]))

    assert await world.store.deliver(answer(claim.run_id, "d1", revision=1)) == Stale()

    ask = await world.store.ask(claim.run_id, "a1")
    assert ask is not None
    assert (ask.revision, ask.event, ask.digest) == (2, b"Ship v3?", "new")
    assert isinstance(await world.store.deliver(answer(claim.run_id, "d2", revision=2)), Accepted)


async def test_votes_for_one_response_add_up(world: World) -> None:
    claim = await world.ask(question("a1", quorum=2))

    first = await world.store.deliver(answer(claim.run_id, "d1", actor="U1", response="ship"))
    other = await world.store.deliver(answer(claim.run_id, "d2", actor="U2", response="keep"))
    last = await world.store.deliver(answer(claim.run_id, "d3", actor="U3", response="ship"))

    assert (first, other) == (Recorded(1, 2), Recorded(1, 2))
    assert isinstance(last, Accepted)
    assert (last.by, last.response) == ("U3", "ship")
    ask = await world.store.ask(claim.run_id, "a1")
    assert ask is not None
    assert ask.votes == (("U1", "ship"), ("U2", "keep"), ("U3", "ship"))


async def test_one_person_counts_once(world: World) -> None:
    claim = await world.ask(question("a1", quorum=2))

    told = [await world.store.deliver(answer(claim.run_id, f"d{n}")) for n in range(3)]

    assert told == [Recorded(1, 2)] * 3
    assert await world.store.due() == []


async def test_a_person_may_change_their_vote(world: World) -> None:
    claim = await world.ask(question("a1", quorum=2))
    await world.store.deliver(answer(claim.run_id, "d1", actor="U1", response="ship"))
    await world.store.deliver(answer(claim.run_id, "d2", actor="U1", response="keep"))

    verdict = await world.store.deliver(answer(claim.run_id, "d3", actor="U2", response="ship"))

    assert verdict == Recorded(1, 2)
    ask = await world.store.ask(claim.run_id, "a1")
    assert ask is not None
    assert ask.votes == (("U1", "keep"), ("U2", "ship"))


async def test_a_final_answer_needs_no_quorum(world: World) -> None:
    claim = await world.ask(question("a1", quorum=3))

    verdict = await world.store.deliver(answer(claim.run_id, response="reject", final=True))

    assert isinstance(verdict, Accepted)


async def test_an_answer_that_looks_like_our_own_format_is_kept_whole(world: World) -> None:
    claim = await world.ask(question("a1", quorum=2, allowed=("3:a|b", "ü{}")))
    odd = "5:x|\n\x00{y}"
    await world.store.deliver(answer(claim.run_id, "d1", actor=odd, response=odd))

    verdict = await world.store.deliver(answer(claim.run_id, "d2", actor="ü{}", response=odd, body=b"\xff1:"))

    assert isinstance(verdict, Accepted)
    ask = await world.store.ask(claim.run_id, "a1")
    assert ask is not None
    assert (ask.allowed, ask.votes) == (("3:a|b", "ü{}"), ((odd, odd), ("ü{}", odd)))
    assert ask.answer == (await world.claim(claim.run_id)).inbox[0].body == b"\xff1:"


# --- deadlines and timers -----------------------------------------------------------------------------


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
    stored = await world.store.ask(claim.run_id, "a1")
    assert stored is not None
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


# --- ending and cancelling -----------------------------------------------------------------------------


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


# --- reading -------------------------------------------------------------------------------------------


async def test_the_journal_says_what_happened_and_who_did_it(world: World) -> None:
    claim = await world.ask(question("a1", quorum=2))
    await world.store.deliver(answer(claim.run_id, "d1", via="thread"))
    await world.store.deliver(answer(claim.run_id, "d2", actor="U2", approves="0123abcd"))
    decided = {"ask": "a1", "response": "ship", "revision": "1", "digest": question("a1").digest}
    over = await world.claim(claim.run_id)
    await world.store.commit(over, Commit("done", consumed=1, note="shipped"))

    lines = [(line.what, line.by, dict(line.details)) for line in await world.store.journal(claim.run_id)]

    assert lines == [
        ("started", "U0", {"workflow": "Deploy"}),
        ("committed", "", {"version": "1", "status": "waiting", "asks": "a1"}),
        ("voted", "U1", {**decided, "via": "thread", "count": "1", "quorum": "2"}),
        ("answered", "U2", {**decided, "approves": "0123abcd"}),
        ("committed", "", {"version": "2", "status": "done", "note": "shipped"}),
    ]


async def test_the_question_that_closed_last_is_found_though_the_run_is_over(world: World) -> None:
    claim = await world.ask(question("a1"), question("a2"))
    assert await world.store.last_closed(claim.run_id) is None
    await world.store.deliver(answer(claim.run_id, "d2", ask_id="a2"))
    await world.store.deliver(answer(claim.run_id, "d1"))
    over = await world.claim(claim.run_id)
    await world.store.commit(over, Commit("done", consumed=2))

    found = await world.store.last_closed(claim.run_id)

    assert found is not None
    assert (found.ask_id, found.status, found.event) == ("a1", "answered", question("a1").event)
    assert await world.store.last_closed("k0-none") is None


async def test_people_find_the_questions_that_wait_for_them(world: World) -> None:
    """Behaviour 42."""
    first = await world.ask(question("a1", allowed=("U1", "U2")), key="one")
    await world.pass_time(1)
    second = await world.ask(question("a1", allowed=("U1",)), question("a2"), key="two")

    async def waiting(tenant: str, actor: str) -> list[tuple[str, str]]:
        return [(ask.run_id, ask.ask_id) for ask in await world.store.asks_for(tenant, actor)]

    assert await waiting("T1", "U1") == [(first.run_id, "a1"), (second.run_id, "a1")]
    assert await waiting("T1", "U2") == [(first.run_id, "a1")]
    assert await waiting("T1", "") == [(second.run_id, "a2")]
    assert await waiting("T2", "U1") == []
    await world.store.deliver(answer(first.run_id))
    assert await waiting("T1", "U1") == [(second.run_id, "a1")]


async def test_a_thread_leads_to_its_run(world: World) -> None:
    await world.store.link("C1:17.5", "run-1")

    assert await world.store.linked("C1:17.5") == "run-1"
    assert await world.store.linked("C1:17.6") is None
