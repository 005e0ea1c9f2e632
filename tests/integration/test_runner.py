"""Durable runs on both stores: started, paused, answered and gone on with, by any runner."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import pytest

from engine import (
    AskExpired,
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    WorkflowTimeoutError,
    retry_policy,
    step,
)
from engine.drawing import mermaid_durable
from engine.errors import CodecError, RunNotFound, UnreconstructedException
from engine.redis import RedisRunStore
from engine.retry import stop_after_attempt, wait_fixed
from engine.run_store import RunStore
from engine.runner import Runner
from engine.serializers import PickleSerializer
from engine.verdicts import Accepted, Already, Expired, Invalid, NotAllowed, Recorded, Unknown
from tests.integration.stores import StoreWithClock, in_redis
from tests.unit.turns import until


class Draft(Event):
    text: str
    version: int


class Review(Workflow):
    """The main job in small: ask until somebody approves."""

    @step
    async def write(self, ctx: Context, ev: StartEvent | Draft) -> InputRequiredEvent:
        draft = ev if isinstance(ev, Draft) else Draft(text=f"on {ev.topic}", version=1)
        await ctx.store.set("draft", draft)
        return InputRequiredEvent(prefix=f"v{draft.version}: {draft.text}?")

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> Draft | StopEvent:
        draft: Draft = await ctx.store.get("draft")
        if ev.response == "approve":
            return StopEvent(result={"text": draft.text, "by": ev.user_id, "version": draft.version})
        return Draft(text=f"{draft.text}, {ev.response}", version=draft.version + 1)


class Inline(Workflow):
    """Two questions in one step, an expensive call before them, and a counter that must count once."""

    calls: list[str] = []  # noqa: RUF012 - shared by all instances on purpose: the outside world

    @step
    async def ask(self, ctx: Context, ev: StartEvent) -> StopEvent:
        count = await ctx.store.get("count", 0)
        await ctx.store.set("count", count + 1)
        text = await ctx.once("text", self.pay, ev.topic)
        first = await ctx.wait_for_event(HumanResponseEvent, prompt=f"{text}: first?")
        second = await ctx.wait_for_event(HumanResponseEvent, prompt="second?")
        return StopEvent(result=[text, first.response, second.response, await ctx.store.get("count")])

    async def pay(self, topic: str) -> str:
        self.calls.append(topic)
        return f"paid for {topic}"


class Odd(Workflow):
    """Keeps what has no stored form."""

    @step
    async def keep(self, ctx: Context, ev: StartEvent) -> StopEvent:
        await ctx.store.set("odd", Fraction(1, 3))
        return StopEvent()


class Trap:
    """Leaves a file behind when its pickle is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


class Guarded(Workflow):
    """A question with every guard the engine knows."""

    @step
    async def ask(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent(prefix="Ship?", **ev.to_dict())

    @step
    async def decide(self, ev: HumanResponseEvent | AskExpired) -> StopEvent:
        return StopEvent(result=ev.response if isinstance(ev, HumanResponseEvent) else "expired")


class Signed(HumanResponseEvent):
    """An answer of an author's own kind."""

    response: str
    user_id: str


class Signing(Workflow):
    """Asks twice for that kind: once by returning a question, once in the middle of a step."""

    @step
    async def ask(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent(prefix="first?")

    @step
    async def again(self, ctx: Context, ev: Signed) -> StopEvent:
        second = await ctx.wait_for_event(Signed, prompt="second?")
        return StopEvent(result=[type(one).__name__ + one.response + one.user_id for one in (ev, second)])


class Flaky(Workflow):
    """Fails a while, then goes through."""

    failures = 0

    @step(retry_policy=retry_policy(wait=wait_fixed(60), stop=stop_after_attempt(3)))
    async def work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        attempt = ctx.retry_info().retry_number
        if attempt < ev.until:
            raise ConnectionError(f"attempt {attempt}")
        return StopEvent(result=attempt)


class Holding(Workflow):
    """Puts something into its state that cannot be stored."""

    @step
    async def ask(self, ctx: Context, ev: StartEvent) -> InputRequiredEvent:
        await ctx.store.set("fine", 1)
        await ctx.store.set("connection", object())
        return InputRequiredEvent(prefix="?")

    @step
    async def end(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent()


def fresh(store: RunStore, *workflows: Workflow) -> Runner:
    """A runner as another process would make it: nothing is shared but the store."""
    return Runner(store, workflows or (Review(), Inline(), Guarded(), Flaky(), Holding()))


async def test_each_round_may_be_run_by_another_process(world: StoreWithClock) -> None:
    """Behaviour 5, 35, 38, 70."""
    run_id = await fresh(world.store).start(Review(), topic="tea")
    responses = ["warmer", "shorter", "approve"]

    for response in responses:
        (ask,) = (await fresh(world.store).drain(run_id)).asks
        await fresh(world.store).answer(run_id, ask.id, response, user_id="U2")
    view = await fresh(world.store).drain(run_id)

    assert view.status == "done"
    assert view.result == {"text": "on tea, warmer, shorter", "by": "U2", "version": 3}


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


async def test_an_eager_runner_works_on_what_it_starts_and_answers_at_once(world: StoreWithClock) -> None:
    woken: list[str] = []

    async def wake(run_id: str) -> None:
        woken.append(run_id)

    runner = Runner(world.store, [Review()], wake=wake, eager=True)
    run_id = await runner.start(Review(), topic="tea")
    asked = await runner.view(run_id)

    verdict = await runner.answer(run_id, asked.asks[0].id, "approve", user_id="U2")

    assert isinstance(verdict, Accepted)
    assert (await runner.view(run_id)).status == "done"
    assert set(woken) == {run_id}, "its surface has something to show"


async def test_the_same_key_starts_one_run(world: StoreWithClock) -> None:
    runner = fresh(world.store)

    ids = {await runner.start(Review(), key="delivery-1", topic="tea") for _ in range(3)}

    assert len(ids) == 1
    assert (await runner.drain(ids.pop())).status == "waiting"


async def test_waits_in_one_step_get_each_their_own_answer_and_effects_count_once(world: StoreWithClock) -> None:
    """Behaviour 8, 17."""
    Inline.calls.clear()
    run_id = await fresh(world.store).start(Inline(), topic="tea")

    for response in ("one", "two"):
        (ask,) = (await fresh(world.store).drain(run_id)).asks
        await fresh(world.store).answer(run_id, ask.id, response, user_id="U2")
    view = await fresh(world.store).drain(run_id)

    assert view.result == ["paid for tea", "one", "two", 1]
    assert Inline.calls == ["tea"]


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


async def test_a_retry_waits_in_the_store_and_in_no_process(world: StoreWithClock) -> None:
    """Behaviour 45."""
    run_id = await fresh(world.store).start(Flaky(), until=2)
    statuses = [(await fresh(world.store).drain(run_id)).status]

    for _ in range(2):
        await world.pass_time(61)
        statuses.append((await fresh(world.store).drain(run_id)).status)

    assert statuses == ["waiting", "waiting", "done"]
    assert (await fresh(world.store).view(run_id)).result == 2


async def test_a_run_whose_retries_are_used_up_fails_with_the_step_s_error(world: StoreWithClock) -> None:
    run_id = await fresh(world.store).start(Flaky(), until=99)

    for _ in range(3):
        await fresh(world.store).drain(run_id)
        await world.pass_time(61)
    view = await fresh(world.store).view(run_id)

    assert view.status == "failed"
    assert "ConnectionError: attempt 2" in str(view.error)


async def test_time_spent_waiting_for_a_person_is_not_charged_to_the_run(world: StoreWithClock) -> None:
    """Behaviour 51."""
    runner = fresh(world.store)
    run_id = await runner.start(Review(timeout=45), topic="tea")
    (ask,) = (await runner.drain(run_id)).asks
    await world.pass_time(90 * 86_400)

    await runner.answer(run_id, ask.id, "approve", user_id="U2")

    assert (await runner.drain(run_id)).status == "done"


async def test_what_cannot_be_stored_fails_the_run_and_is_named(world: StoreWithClock) -> None:
    """Behaviour 54."""
    runner = fresh(world.store)
    run_id = await runner.start(Holding())

    view = await runner.drain(run_id)

    assert view.status == "failed"
    assert "state.connection" in str(view.error)


async def test_a_start_event_that_cannot_be_stored_is_refused_at_once(world: StoreWithClock) -> None:
    with pytest.raises(CodecError, match="start event"):
        await fresh(world.store).start(Review(), topic=object())


async def test_a_cancelled_run_closes_its_question(world: StoreWithClock) -> None:
    runner = fresh(world.store)
    run_id = await runner.start(Review(), topic="tea")
    (ask,) = (await runner.drain(run_id)).asks

    cancelled = await runner.cancel(run_id, by="U1")
    view = await runner.drain(run_id)

    assert cancelled
    assert (view.status, view.asks) == ("cancelled", ())
    assert not isinstance(await runner.answer(run_id, ask.id, "approve", user_id="U2"), Accepted)
    assert not await runner.cancel(run_id, by="U1")


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


async def test_an_event_can_be_sent_to_a_run_and_to_no_other(world: StoreWithClock) -> None:
    """Behaviour 33."""
    runner = fresh(world.store)
    run_id = await runner.start(Review(), topic="tea")
    await runner.drain(run_id)

    await runner.send(run_id, HumanResponseEvent(response="approve", user_id="U5"))

    assert (await runner.drain(run_id)).result["by"] == "U5"
    with pytest.raises(RunNotFound):
        await runner.send("k0-nosuchrun", Event())


async def test_a_worker_leaves_workflows_it_does_not_know_to_others(world: StoreWithClock) -> None:
    run_id = await fresh(world.store).start(Review(), topic="tea")

    worked = await fresh(world.store, Flaky()).work(run_id)

    assert not worked
    assert await fresh(world.store).reopen(run_id, "U9") == "parked", "here others have no time to take it"
    assert (await fresh(world.store).drain(run_id)).status == "waiting"


async def test_a_serializer_is_no_help_to_a_durable_run(world: StoreWithClock) -> None:
    """Behaviour 54: its state is what the engine can store, whatever serializer the workflow has for itself."""
    runner = Runner(world.store, [])
    run_id = await runner.start(Odd(serializer=PickleSerializer()))

    view = await runner.drain(run_id)

    assert isinstance(view.error, UnreconstructedException)
    assert "state.odd: a fractions.Fraction cannot be stored" in str(view.error)


async def test_a_pickle_in_a_run_store_is_not_read(world: StoreWithClock, tmp_path: Path) -> None:
    """Behaviour 54, 55."""
    trap = tmp_path / "sprung"
    runner = Runner(world.store, [])
    run_id = await runner.start(Review(serializer=PickleSerializer()), topic="birds")
    await runner.drain(run_id)
    forged = PickleSerializer().serialize(Trap(trap))

    await world.store.send(run_id, "d1", forged.encode())
    view = await runner.drain(run_id)

    assert view.status == "parked"
    assert not trap.exists()


async def test_a_run_that_this_code_cannot_read_is_parked_with_the_reason(world: StoreWithClock) -> None:
    """Behaviour 49."""
    run_id = await fresh(world.store).start(Review(), topic="tea")
    (ask,) = (await fresh(world.store).drain(run_id)).asks
    renamed = type("Review", (Inline,), {"__module__": "elsewhere"})
    await fresh(world.store).answer(run_id, ask.id, "warmer", user_id="U2")

    await fresh(world.store, renamed()).drain(run_id)

    run = await world.store.run(run_id)
    assert run is not None
    assert run.status == "parked"
    assert any("Draft" in str(entry.details) for entry in await world.store.journal(run_id))


async def test_work_that_is_cancelled_gives_its_run_back_at_once(world: StoreWithClock) -> None:
    """What the run has come to is kept, and the step in hand runs again."""
    begun, woken = [], []

    class Slow(Workflow):
        @step
        async def first(self, ctx: Context, ev: StartEvent) -> Draft:
            await ctx.store.set("begun", True)
            return Draft(text="tea", version=1)

        @step
        async def second(self, ctx: Context, ev: Draft) -> StopEvent:
            begun.append(await ctx.store.get("begun"))
            if len(begun) == 1:
                await asyncio.Event().wait()
            return StopEvent(result=ev.text)

    async def wake(run_id: str) -> None:
        woken.append(run_id)

    runner = Runner(world.store, [Slow()], wake=wake)
    run_id = await runner.start(Slow())
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(runner.work(run_id))
        await until(lambda: bool(begun))
        work.cancel()
    assert await world.store.due() == [run_id]

    view = await fresh(world.store, Slow()).drain(run_id)

    assert (view.result, begun, woken) == ("tea", [True, True], [run_id, run_id])


async def test_two_runners_never_work_on_one_run_at_once(world: StoreWithClock) -> None:
    """Behaviour 50."""
    running, most = 0, 0

    class Counting(Workflow):
        @step
        async def work(self, ev: StartEvent) -> StopEvent:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            return StopEvent()

    runners = [fresh(world.store, Counting()) for _ in range(5)]
    run_id = await runners[0].start(Counting())

    async with asyncio.TaskGroup() as tasks:
        for runner in runners:
            tasks.create_task(runner.work(run_id))

    assert most == 1
    assert (await runners[0].view(run_id)).status == "done"


class Slow(Workflow):
    """Asks, and then takes its time with the answer; counts who gets to it and who to its end."""

    begun: list[str] = []  # noqa: RUF012 - shared by all instances on purpose: the outside world

    def __init__(self, hold: asyncio.Event) -> None:
        super().__init__()
        self.hold = hold

    @step
    async def ask(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent(prefix="?")

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
        self.begun.append(ev.response)
        await self.hold.wait()
        return StopEvent(result=len(self.begun))


async def test_of_many_who_resume_a_paused_run_one_wins(world: StoreWithClock) -> None:
    """Behaviour 50."""
    Slow.begun.clear()
    hold = asyncio.Event()
    hold.set()
    runners = [fresh(world.store, Slow(hold)) for _ in range(5)]
    run_id = await runners[0].start(Slow(hold))
    (ask,) = (await runners[0].drain(run_id)).asks
    await runners[0].answer(run_id, ask.id, "yes", user_id="U2")

    async with asyncio.TaskGroup() as tasks:
        worked = [tasks.create_task(runner.work(run_id)) for runner in runners]

    assert Slow.begun == ["yes"]
    assert sum(one.result() for one in worked) == 1
    assert (await runners[0].view(run_id)).result == 1


async def test_whoever_comes_back_after_its_lease_has_lost_the_run(world: StoreWithClock) -> None:
    """Behaviour 50: what the one who was overtaken comes to counts for nothing."""
    Slow.begun.clear()
    hold, free = asyncio.Event(), asyncio.Event()
    free.set()
    stalled, other = fresh(world.store, Slow(hold)), fresh(world.store, Slow(free))
    run_id = await stalled.start(Slow(hold))
    (ask,) = (await stalled.drain(run_id)).asks
    await stalled.answer(run_id, ask.id, "yes", user_id="U2")

    async with asyncio.TaskGroup() as tasks:
        late = tasks.create_task(stalled.work(run_id))
        await until(lambda: Slow.begun)
        await world.pass_time(stalled.lease_s + 1)
        assert await other.work(run_id)
        hold.set()

    assert not late.result()
    assert (await other.view(run_id)).result == 2, "the second who got to the step is the one whose end counts"


async def test_the_number_of_runs_at_work_is_limited_and_a_paused_one_is_not_at_work(world: StoreWithClock) -> None:
    """Behaviour 62."""
    working, most = 0, 0

    class Limited(Workflow):
        @step
        async def ask(self, ev: StartEvent) -> InputRequiredEvent:
            nonlocal working, most
            working += 1
            most = max(most, working)
            await asyncio.sleep(0)
            working -= 1
            return InputRequiredEvent(prefix="?")

        @step
        async def end(self, ev: HumanResponseEvent) -> StopEvent:
            return StopEvent()

    flow = Limited(num_concurrent_runs=1)
    runner = fresh(world.store, flow)
    run_ids = [await runner.start(flow) for _ in range(3)]

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        for run_id in run_ids:
            tasks.create_task(runner.work(run_id))

    assert most == 1
    assert [len((await runner.view(run_id)).asks) for run_id in run_ids] == [1, 1, 1]


async def test_one_class_runs_in_process_and_durably_with_the_same_result(world: StoreWithClock) -> None:
    """Behaviour 70."""
    handler = Review().run(topic="tea")
    local, replies = [], ["warmer", "approve"]
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            local.append(event.prefix)
            handler.ctx.send_event(HumanResponseEvent(response=replies[len(local) - 1], user_id="U2"))

    runner = fresh(world.store)
    run_id = await runner.start(Review(), topic="tea")
    durable = []
    for response in replies:
        (ask,) = (await runner.drain(run_id)).asks
        durable.append(ask.event.prefix)
        await runner.answer(run_id, ask.id, response, user_id="U2")

    assert durable == local == ["v1: on tea?", "v2: on tea, warmer?"]
    assert (await runner.drain(run_id)).result == await handler


async def test_a_durable_run_is_drawn_with_its_path_and_its_questions(world: StoreWithClock) -> None:
    """Behaviour 66."""
    runner = fresh(world.store)
    run_id = await runner.start(Review(), topic="tea")
    unborn = await mermaid_durable(runner, run_id)
    (ask,) = (await runner.drain(run_id)).asks
    asking = await mermaid_durable(runner, run_id)
    await runner.answer(run_id, ask.id, "approve", user_id="U2")
    answered = await mermaid_durable(runner, run_id)
    await runner.drain(run_id)
    done = await mermaid_durable(runner, run_id)

    assert "==>" not in unborn
    assert "v1#58; on tea?" in asking
    assert "step_write ==> event_InputRequiredEvent" in asking
    assert ":::open" in asking
    assert ":::open" not in answered
    assert '"StopEvent<br/>done"' in done
    with pytest.raises(RunNotFound):
        await mermaid_durable(runner, "k0-nosuchrun")


async def test_a_paused_run_leaves_no_task_behind(world: StoreWithClock) -> None:
    """Behaviour 64."""
    runner = fresh(world.store)
    before = asyncio.all_tasks()

    for n in range(5):
        await runner.drain(await runner.start(Review(), topic=str(n)))

    assert asyncio.all_tasks() == before


async def test_a_parallel_step_that_ends_the_run_stops_the_others(world: StoreWithClock) -> None:
    stopped: list[Any] = []
    begun = asyncio.Event()

    class Racing(Workflow):
        @step
        async def quick(self, ev: StartEvent) -> StopEvent:
            await begun.wait()
            return StopEvent(result="quick")

        @step
        async def slow(self, ev: StartEvent) -> StopEvent:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                stopped.append("slow")
            return StopEvent(result="slow")

    runner = fresh(world.store, Racing())

    view = await runner.drain(await runner.start(Racing()))

    assert view.result == "quick"
    assert stopped == ["slow"]


async def test_a_step_over_its_budget_of_time_fails_the_run(world: StoreWithClock) -> None:
    class Stuck(Workflow):
        @step
        async def hang(self, ev: StartEvent) -> StopEvent:
            await asyncio.Event().wait()
            return StopEvent()

    runner = fresh(world.store, Stuck(timeout=0.02))

    view = await runner.drain(await runner.start(Stuck(timeout=0.02)))

    assert view.status == "failed"
    assert "timed out after 0.02 seconds. Currently active steps: hang" in str(view.error)
    assert not isinstance(view.error, WorkflowTimeoutError), "read back, an error is a description of itself"
