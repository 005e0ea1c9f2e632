"""Durable runs on both stores: who may answer what, what it counts for, and what silence means."""

from __future__ import annotations

from typing import cast

from engine import (
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)
from engine.redis import RedisRunStore
from engine.run_store import Amendment
from engine.runner import Runner
from engine.verdicts import Accepted, Already, Expired, Invalid, NotAllowed, Recorded, Unknown
from tests.integration.engine.reviewing import Draft, Guarded, Review, Signing, fresh
from tests.integration.engine.stores import StoreWithClock, in_redis


async def test_a_second_click_changes_nothing_and_is_told_who_was_first(world: StoreWithClock) -> None:
    """Behaviour 18, 19."""
    runner = fresh(world.store)
    run_id = await runner.start(Review(), topic="tea")
    (ask,) = (await runner.drain(run_id)).asks
    first = await runner.answer(run_id, ask.id, "approve", user_id="U2", delivery_id="d1")

    late = await runner.answer(run_id, ask.id, "warmer", user_id="U3", delivery_id="d2")
    again = await runner.answer(run_id, ask.id, "approve", user_id="U2", delivery_id="d1")

    assert isinstance(first, Accepted)
    assert late == Already("U2", first.at, "approve")
    assert again == first
    assert (await runner.drain(run_id)).result == {"text": "on tea", "by": "U2", "version": 1}


async def test_an_answer_comes_as_the_kind_of_event_its_asker_waits_for(world: StoreWithClock) -> None:
    runner = fresh(world.store, Signing())
    run_id = await runner.start(Signing())

    for response in ("a", "b"):
        (ask,) = (await runner.drain(run_id)).asks
        await runner.answer(run_id, ask.id, response, user_id="U2")

    assert (await runner.drain(run_id)).result == ["SignedaU2", "SignedbU2"]


async def test_what_an_author_registered_goes_along_with_an_answer(world: StoreWithClock) -> None:
    class Weighing(Workflow):
        types = (Draft,)

        @step
        async def ask(self, ev: StartEvent) -> InputRequiredEvent:
            return InputRequiredEvent(prefix="How?")

        @step
        async def decide(self, ev: HumanResponseEvent) -> StopEvent:
            return StopEvent(result=ev.draft.text)

    runner = Runner(world.store, [Weighing()])
    run_id = await runner.start(Weighing())
    (ask,) = (await runner.drain(run_id)).asks

    verdict = await runner.answer(run_id, ask.id, "so", user_id="U1", draft=Draft(text="short", version=2))

    assert isinstance(verdict, Accepted)
    assert (await runner.drain(run_id)).result == "short"


async def test_a_question_asked_by_an_older_version_is_looked_at_before_it_is_answered(
    redis_url: str, prefix: str
) -> None:
    async with in_redis(redis_url, prefix) as world:
        runner = fresh(world.store)
        run_id = await runner.start(Guarded(), options=["ship", "wait"])
        (ask,) = (await runner.drain(run_id)).asks
        lane = run_id[1 : run_id.index("-")]
        store = cast(RedisRunStore, world.store)
        await store.server.read("HDEL", f"{prefix}:{{{lane}}}:r:{run_id}:ask:{ask.id}", "c")

        wrong = await runner.answer(run_id, ask.id, "burn", user_id="U1")
        right = await runner.answer(run_id, ask.id, "ship", user_id="U1")

    assert isinstance(wrong, Invalid)
    assert isinstance(right, Accepted)


async def test_only_those_named_may_answer(world: StoreWithClock) -> None:
    runner = fresh(world.store)
    run_id = await runner.start(Guarded(), requester="U1", allowed=["U1", "U2"], self_approval=False)
    (ask,) = (await runner.drain(run_id)).asks

    verdicts = [await runner.answer(run_id, ask.id, "yes", user_id=user) for user in ("U9", "U1", "U2")]

    assert verdicts[:2] == [NotAllowed(("U2",)), NotAllowed(("U2",))]
    assert isinstance(verdicts[2], Accepted)


async def test_whoever_acts_as_a_group_may_answer_for_it(world: StoreWithClock) -> None:
    runner = fresh(world.store)
    run_id = await runner.start(Guarded(), requester="U1", allowed=["S1"], self_approval=False)
    (open_ask,) = (await runner.drain(run_id)).asks
    asked = await runner.asked(run_id, open_ask.id)
    assert asked is not None

    outsider = await runner.decide(asked, "yes", user_id="U9", acting_as=["S2"])
    requester = await runner.decide(asked, "yes", user_id="U1", acting_as=["S1"])
    member = await runner.decide(asked, "yes", user_id="U2", acting_as=["S2", "S1"])

    assert (outsider, requester) == (NotAllowed(("S1",)), NotAllowed(("S1",)))
    assert isinstance(member, Accepted)
    assert [ask.ask_id for ask in await runner.store.asks_for("", "S1")] == []


async def test_a_refused_try_is_told_the_same_again_though_its_author_may_answer_by_now(world: StoreWithClock) -> None:
    runner = fresh(world.store)
    run_id = await runner.start(Guarded(), requester="U1", allowed=["S1"])
    (open_ask,) = (await runner.drain(run_id)).asks
    asked = await runner.asked(run_id, open_ask.id)
    assert asked is not None
    await runner.decide(asked, "yes", user_id="U2", delivery_id="d1")

    again = await runner.decide(asked, "yes", user_id="U2", delivery_id="d1", acting_as=["S1"])
    anew = await runner.decide(asked, "yes", user_id="U2", delivery_id="d2", acting_as=["S1"])

    assert again == NotAllowed(("S1",))
    assert isinstance(anew, Accepted)


async def test_an_answer_that_is_no_option_never_consumes_the_question(world: StoreWithClock) -> None:
    runner = fresh(world.store)
    run_id = await runner.start(Guarded(), options=["ship", "wait"])
    (ask,) = (await runner.drain(run_id)).asks

    verdict = await runner.answer(run_id, ask.id, "perhaps", user_id="U2")

    assert isinstance(verdict, Invalid)
    assert "ship, wait" in verdict.problems[0][1]
    assert (await runner.drain(run_id)).asks[0].id == ask.id


async def test_a_quorum_counts_people(world: StoreWithClock) -> None:
    runner = fresh(world.store)
    run_id = await runner.start(Guarded(), quorum=2)
    (ask,) = (await runner.drain(run_id)).asks

    told = [await runner.answer(run_id, ask.id, "ship", user_id=user) for user in ("U1", "U1", "U2")]

    assert told[:2] == [Recorded(1, 2), Recorded(1, 2)]
    assert isinstance(told[2], Accepted)
    assert (await runner.drain(run_id)).result == "ship"


async def test_a_question_expires_once_and_the_step_decides_what_then(world: StoreWithClock) -> None:
    """Behaviour 14."""
    runner = fresh(world.store)
    run_id = await runner.start(Guarded(), timeout=60.0)
    (ask,) = (await runner.drain(run_id)).asks
    await world.pass_time(61)

    view = await runner.drain(run_id)

    assert view.result == "expired"
    assert isinstance(await runner.answer(run_id, ask.id, "ship", user_id="U2"), Expired)


async def test_silence_may_stand_for_an_answer(world: StoreWithClock) -> None:
    runner = fresh(world.store)
    run_id = await runner.start(Guarded(), timeout=60.0, on_timeout="wait")
    await runner.drain(run_id)
    await world.pass_time(61)

    assert (await runner.drain(run_id)).result == "wait"


async def test_silence_may_end_the_run(world: StoreWithClock) -> None:
    runner = fresh(world.store)
    run_id = await runner.start(Guarded(), timeout=60.0, on_timeout="fail")
    await runner.drain(run_id)
    await world.pass_time(61)

    view = await runner.drain(run_id)

    assert view.status == "failed"
    assert "Nobody answered" in str(view.error)


async def test_a_forged_question_is_unknown(world: StoreWithClock) -> None:
    """Behaviour 18."""
    runner = fresh(world.store)
    run_id = await runner.start(Review(), topic="tea")
    await runner.drain(run_id)

    verdicts = [
        await runner.answer(run_id, "a99", "approve", user_id="U2"),
        await runner.answer("k0-nosuchrun", "a1", "approve", user_id="U2"),
    ]

    assert verdicts == [Unknown(), Unknown()]


async def test_who_has_handed_a_question_on_meanwhile_does_not_answer_it(world: StoreWithClock) -> None:
    runner = fresh(world.store, Guarded())
    run_id = await runner.start(Guarded(), allowed=["U1", "U2"])
    (ask,) = (await runner.drain(run_id)).asks
    before = await runner.asked(run_id, ask.id)
    assert before is not None
    await runner.amend(Amendment(run_id, ask.id, "d0", "U1", "handed on", ("U2", "U3"), ("U1", "U2")))

    late = await runner.decide(before, "approve", user_id="U1")
    other = await runner.decide(before, "approve", user_id="U2")

    assert late == NotAllowed(("U2", "U3"))
    assert isinstance(other, Accepted)
