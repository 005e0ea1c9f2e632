"""``@catch_error``: who decides when a step has failed for good, and how often."""

from __future__ import annotations

import json

import pytest

from engine import Context, Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, retry_policy
from engine.decorators import catch_error, step
from engine.errors import WorkflowValidationError
from engine.events import StepFailedEvent
from engine.retry import stop_after_attempt, wait_fixed


class Again(Event):
    tries: int


class Forgiving(Workflow):
    """Fails, and says so in its result."""

    @step(retry_policy=retry_policy(wait=wait_fixed(0), stop=stop_after_attempt(3)))
    async def work(self, ev: StartEvent) -> StopEvent:
        raise ConnectionError("no line")

    @catch_error
    async def rescue(self, ev: StepFailedEvent) -> StopEvent:
        return StopEvent(result=(ev.step_name, str(ev.exception), ev.attempts, type(ev.input_event)))


async def test_a_failure_reaches_its_handler_once_retries_are_used_up() -> None:
    """Behaviour 60."""
    assert await Forgiving().run() == ("work", "no line", 3, StartEvent)


class Looping(Workflow):
    """Its handler sends the work back, as often as it may."""

    @step
    async def work(self, ctx: Context, ev: StartEvent | Again) -> StopEvent:
        await ctx.store.set("tries", await ctx.store.get("tries", 0) + 1)
        raise ValueError("still broken")

    @catch_error(max_recoveries=2)
    async def again(self, ev: StepFailedEvent) -> Again:
        return Again(tries=1)


async def test_a_handler_steps_in_no_more_often_than_it_may() -> None:
    """Behaviour 60: then the failure is the run's."""
    handler = Looping().run()

    with pytest.raises(ValueError, match="still broken"):
        await handler

    assert await handler.ctx.store.get("tries") == 3


class Divided(Workflow):
    """One handler for a named step, one for all others."""

    @step
    async def first(self, ev: StartEvent) -> Again:
        if ev.broken == "first":
            raise ValueError("first")
        return Again(tries=1)

    @step
    async def second(self, ev: Again) -> StopEvent:
        raise ValueError("second")

    @catch_error(for_steps=["second"])
    async def named(self, ev: StepFailedEvent) -> StopEvent:
        return StopEvent(result=f"named: {ev.exception}")

    @catch_error
    async def any_other(self, ev: StepFailedEvent) -> StopEvent:
        return StopEvent(result=f"other: {ev.exception}")


@pytest.mark.parametrize(("broken", "told"), [("first", "other: first"), ("second", "named: second")])
async def test_the_handler_that_names_a_step_goes_before_the_one_for_all(broken: str, told: str) -> None:
    """Behaviour 60."""
    assert await Divided().run(broken=broken) == told


class Failing(Workflow):
    """Its handler fails too."""

    @step
    async def work(self, ev: StartEvent) -> StopEvent:
        raise ValueError("work")

    @catch_error
    async def rescue(self, ev: StepFailedEvent) -> StopEvent:
        raise KeyError("rescue")


async def test_a_handler_s_own_failure_is_the_run_s() -> None:
    """Behaviour 60."""
    with pytest.raises(KeyError, match="rescue"):
        await Failing().run()


class Asking(Workflow):
    """Its handler asks a person before it sends the work on."""

    @step
    async def work(self, ev: StartEvent) -> StopEvent:
        raise ValueError("no")

    @catch_error
    async def ask(self, ctx: Context, ev: StepFailedEvent) -> Again:
        await ctx.wait_for_event(HumanResponseEvent, prompt=f"{ev.exception}: now what?")
        return Again(tries=1)

    @step
    async def once_more(self, ev: Again) -> StopEvent:
        raise ValueError("never again")


async def test_how_often_it_stepped_in_survives_a_snapshot() -> None:
    """Behaviour 45, 60."""
    handler = Asking().run()
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            break
    saved = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()
    ctx: Context = Context.from_dict(Asking(), saved)
    ctx.send_event(HumanResponseEvent(response="try"))

    with pytest.raises(ValueError, match="never again"):
        await Asking().run(ctx=ctx)


def test_handlers_that_make_no_sense_are_refused() -> None:
    with pytest.raises(WorkflowValidationError, match="max_recoveries must be an integer >= 1"):
        catch_error(max_recoveries=0)

    with pytest.raises(WorkflowValidationError, match="must accept StepFailedEvent"):

        class Deaf(Workflow):
            @catch_error
            async def rescue(self, ev: StartEvent) -> StopEvent:
                return StopEvent()


class Two(Divided):
    @catch_error
    async def second_wildcard(self, ev: StepFailedEvent) -> StopEvent:
        return StopEvent()


class Lost(Divided):
    @catch_error(for_steps=["nowhere"])
    async def lost(self, ev: StepFailedEvent) -> StopEvent:
        return StopEvent()


class Covering(Divided):
    @catch_error(for_steps=["named"])
    async def covering(self, ev: StepFailedEvent) -> StopEvent:
        return StopEvent()


class Claimed(Divided):
    @catch_error(for_steps=["second"])
    async def also(self, ev: StepFailedEvent) -> StopEvent:
        return StopEvent()


@pytest.mark.parametrize(
    ("workflow", "told"),
    [
        (Two, "Only one wildcard @catch_error handler is allowed per workflow, found 2: any_other, second_wildcard"),
        (Lost, "lists unknown step 'nowhere' in for_steps"),
        (Covering, "cannot cover another handler step 'named'"),
        (Claimed, "Step 'second' is claimed by two @catch_error handlers: 'named' and 'also'"),
    ],
)
def test_handlers_that_contradict_each_other_are_refused(workflow: type[Workflow], told: str) -> None:
    with pytest.raises(WorkflowValidationError, match=told):
        workflow().validate()
