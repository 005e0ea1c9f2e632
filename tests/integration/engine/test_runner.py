"""Durable runs on both stores: started, paused, gone on with by any runner, and ended."""

from __future__ import annotations

import asyncio
import logging
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from engine import (
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    WorkflowTimeoutError,
    step,
)
from engine.drawing import mermaid_durable
from engine.errors import CodecError, RunNotFound, StoreUnavailable, UnreconstructedException
from engine.memory_store import MemoryRunStore
from engine.run_store import Claim
from engine.runner import Runner
from engine.serializers import PickleSerializer
from engine.verdicts import Accepted
from tests.integration.engine.reviewing import Flaky, Holding, Inline, Review, fresh
from tests.integration.engine.stores import StoreWithClock


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


async def test_the_log_tells_of_each_attempt_and_once_that_the_run_failed(
    world: StoreWithClock, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = await fresh(world.store).start(Flaky(), until=99)

    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await fresh(world.store).drain(run_id)
            await world.pass_time(61)

    told = [(record.levelname, record.message, record.__dict__["error"]) for record in caplog.records]
    assert told == [("WARNING", "step failed", "ConnectionError")] * 3 + [("ERROR", "run failed", "ConnectionError")]
    assert {record.__dict__["run_id"] for record in caplog.records} == {run_id}


async def test_the_log_and_the_journal_tell_of_a_run_that_leads_nowhere(
    world: StoreWithClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Forgot(Workflow):
        @step
        async def ask(self, ev: StartEvent) -> InputRequiredEvent:  # type: ignore[return]  # that is the point
            InputRequiredEvent(prefix="Ship?")

        @step
        async def end(self, ev: HumanResponseEvent) -> StopEvent:
            return StopEvent()

    runner = Runner(world.store, [Forgot()])
    run_id = await runner.start(Forgot())

    with caplog.at_level(logging.WARNING):
        view = await runner.drain(run_id)

    told = "nothing is asked and no step is at work; most often one has returned None"
    assert view.status == "waiting"
    assert [(line.message, line.__dict__["reason"]) for line in caplog.records] == [("run leads nowhere", told)]
    assert (await world.store.journal(run_id))[-1].details["note"] == f"leads nowhere: {told}"


async def test_a_store_that_goes_away_while_a_step_works_is_told_as_that_alone() -> None:
    class Leaving(MemoryRunStore):
        async def renew(self, claim: Claim, lease_s: float) -> None:
            raise StoreUnavailable("gone")

    class Long(Workflow):
        @step
        async def work(self, ev: StartEvent) -> StopEvent:
            await asyncio.Event().wait()
            return StopEvent()

    runner = Runner(Leaving(), [Long()], lease_s=0.03)
    run_id = await runner.start(Long())

    with pytest.raises(StoreUnavailable, match="gone"):
        await runner.work(run_id)


async def test_the_log_tells_of_a_run_that_a_worker_did_not_finish(
    world: StoreWithClock, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = await fresh(world.store).start(Flaky(), until=0)
    await world.store.claim(run_id, "dead", 30.0)
    await world.pass_time(31)

    with caplog.at_level(logging.WARNING):
        await fresh(world.store).drain(run_id)

    (told,) = caplog.records
    assert told.message.startswith("run taken up again")
    assert (told.__dict__["run_id"], told.__dict__["attempt"]) == (run_id, 2)


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


async def test_an_event_can_be_sent_to_a_run_and_to_no_other(world: StoreWithClock) -> None:
    """Behaviour 33."""
    runner = fresh(world.store)
    run_id = await runner.start(Review(), topic="tea")
    await runner.drain(run_id)

    await runner.send(run_id, HumanResponseEvent(response="approve", user_id="U5"))

    assert (await runner.drain(run_id)).result["by"] == "U5"
    with pytest.raises(RunNotFound):
        await runner.send("k0-nosuchrun", Event())


class Asking(Workflow):
    """Asks with whatever rules it is started with."""

    @step
    async def ask(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent(prefix="?", **ev.rules)

    @step
    async def end(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)


async def test_what_an_author_keeps_by_the_name_of_a_rule_is_none(world: StoreWithClock) -> None:
    """Events of LlamaIndex may carry anything."""
    rules = {"remind": "soon", "escalate": [math.nan, {"after": 5}], "options": 3, "complete_options": [1], "copies": 7}
    runner = Runner(world.store, [Asking()])
    run_id = await runner.start(Asking(), rules=rules)
    (ask,) = (await runner.drain(run_id)).asks

    await world.pass_time(10)
    await runner.sweep()
    owed = await world.store.effects_of(run_id)
    await runner.answer(run_id, ask.id, "anything", user_id="U1")

    assert owed == [f"prompt:{ask.id}"]
    assert (await runner.drain(run_id)).result == "anything"


@pytest.mark.parametrize("rules", [{"allowed": "U1"}, {"allowed": [7]}, {"quorum": "two"}, {"quorum": -1}], ids=str)
async def test_a_question_that_does_not_tell_who_decides_it_is_not_asked(
    world: StoreWithClock, rules: dict[str, object]
) -> None:
    """Nobody is let in by a mistake; its step fails with what to mend."""
    runner = Runner(world.store, [Asking()])
    run_id = await runner.start(Asking(), rules=rules)

    view = await runner.drain(run_id)

    assert view.status == "failed"
    (name,) = rules
    assert f"{name} is" in str(view.error)
    assert view.asks == ()


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
