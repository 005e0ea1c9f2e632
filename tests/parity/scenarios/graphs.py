"""What is refused: steps that cannot be read, and graphs that make no sense."""

# Annotations are objects here: some of these scenarios are about text that is none.
import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

from engine import (
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
    Workflow,
    catch_error,
    step,
)
from tests.parity.seeing import Seen, end_of, plain, refusal, seen


class A(Event):
    pass


class B(Event):
    pass


class C(Event):
    pass


def checked(flow: type[Workflow], **options: Any) -> Seen:
    """Return what making and validating a workflow comes to."""
    return refusal(lambda: flow(**options).validate())


# --- Steps --------------------------------------------------------------------------------------


async def a_step_without_an_event() -> Seen:
    def declare() -> Any:
        class Flow(Workflow):
            @step
            async def a(self, ctx: Context) -> StopEvent:
                return StopEvent()

    return str(refusal(declare)).partition(" (")[0]


async def a_step_that_does_not_say_what_it_returns() -> Seen:
    def declare() -> Any:
        class Flow(Workflow):
            @step
            async def a(self, ev: StartEvent):  # type: ignore[no-untyped-def]  # the mistake
                return StopEvent()

    return str(refusal(declare)).partition(" (")[0]


async def a_free_function_without_a_workflow() -> Seen:
    def declare() -> Any:
        @step
        async def alone(ev: StartEvent) -> StopEvent:
            return StopEvent()

    return refusal(declare)


async def numbers_of_workers_that_make_no_sense() -> Seen:
    def declare(workers: Any) -> Any:
        @step(num_workers=workers, workflow=Workflow)
        async def some(ev: StartEvent) -> StopEvent:
            return StopEvent()

    return [refusal(lambda workers=workers: declare(workers)) for workers in (0, -1, 1.5, "2")]  # type: ignore[misc]  # mypy cannot infer a lambda with a default


async def numbers_of_runs_that_make_no_sense() -> Seen:
    wrong: tuple[Any, ...] = (0, -1, True, 1.5, "2")
    return [checked(Sound, num_concurrent_runs=runs) for runs in wrong]


async def a_step_name_that_is_taken() -> Seen:
    class Flow(Workflow):
        @step
        async def a(self, ev: StartEvent) -> StopEvent:
            return StopEvent()

    def twice() -> Any:
        @step(workflow=Flow)
        async def other(ev: A) -> StopEvent:
            return StopEvent()

        Flow.add_step(other)

    return refusal(twice)


async def a_function_that_is_no_step() -> Seen:
    class Flow(Workflow):
        pass

    async def another_step(ev: A) -> StopEvent:
        return StopEvent()

    return refusal(lambda: Flow.add_step(another_step))


async def a_step_that_yields() -> Seen:
    def declare() -> Any:
        class Flow(Workflow):
            @step
            async def a(self, ev: StartEvent) -> AsyncIterator[A]:
                yield A()

    return str(refusal(declare)).partition(" (")[0]


async def an_annotation_that_names_nothing() -> Seen:
    def declare() -> Any:
        class Flow(Workflow):
            @step
            async def a(self, ev: "Nothing") -> StopEvent:  # type: ignore[name-defined]  # noqa: F821  # the mistake
                return StopEvent()

    said = str(refusal(declare))
    return said.partition(" for ")[0], "Missing name: Nothing." in said, "from __future__ import annotations" in said


# --- Beginnings and ends --------------------------------------------------------------------------


class Sound(Workflow):
    @step
    async def a(self, ev: StartEvent) -> A:
        return A()

    @step
    async def b(self, ev: A) -> StopEvent:
        return StopEvent()


class Human(Workflow):
    @step
    async def a(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent()

    @step
    async def b(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent()


class OnlyAsks(Workflow):
    @step
    async def a(self, ev: StartEvent) -> InputRequiredEvent | StopEvent:
        return StopEvent()


async def whether_a_person_is_in_the_loop() -> Seen:
    return [checked(flow) for flow in (Sound, Human, OnlyAsks)]


async def a_workflow_without_steps() -> Seen:
    class Empty(Workflow):
        pass

    return checked(Empty)


async def a_workflow_without_a_beginning() -> Seen:
    class NoStart(Workflow):
        @step
        async def a(self, ev: A) -> StopEvent:
            return StopEvent()

    return checked(NoStart)


async def a_workflow_with_two_beginnings() -> Seen:
    class Other(StartEvent):
        pass

    class TwoStarts(Workflow):
        @step
        async def a(self, ev: StartEvent) -> StopEvent:
            return StopEvent()

        @step
        async def b(self, ev: Other) -> StopEvent:
            return StopEvent()

    return _in_any_order(checked(TwoStarts))


async def a_workflow_without_an_end() -> Seen:
    class NoStop(Workflow):
        @step
        async def a(self, ev: StartEvent) -> A:
            return A()

        @step
        async def b(self, ev: A) -> None:
            return None

    return checked(NoStop)


async def a_workflow_with_two_ends() -> Seen:
    class Other(StopEvent):
        pass

    class TwoStops(Workflow):
        @step
        async def a(self, ev: StartEvent) -> StopEvent | Other:
            return StopEvent()

    return _in_any_order(checked(TwoStops))


def _in_any_order(said: Seen) -> Seen:
    """Sort the names at the end of a message: theirs come from a set."""
    head, _, names = str(said).rpartition(": ")
    return head, sorted(re.findall(r"(\w+)(?:'>)?(?:, |$)", names.partition("}")[0]))


# --- Graphs -----------------------------------------------------------------------------------------


async def a_step_that_takes_the_end() -> Seen:
    class TakesStop(Workflow):
        @step
        async def a(self, ev: StartEvent) -> StopEvent:
            return StopEvent()

        @step
        async def bad_step(self, ev: StopEvent) -> None:
            return None

    return checked(TakesStop)


async def an_event_that_nobody_makes() -> Seen:
    class Orphans(Workflow):
        @step
        async def a(self, ev: StartEvent) -> StopEvent:
            return StopEvent()

        @step
        async def b(self, ev: A | B) -> StopEvent:
            return StopEvent()

    return _in_any_order(checked(Orphans))


async def an_event_that_nobody_wants() -> Seen:
    class Unused(Workflow):
        @step
        async def a(self, ev: StartEvent) -> A | B | StopEvent:
            return StopEvent()

    return _in_any_order(checked(Unused))


class Island(Workflow):
    @step
    async def a(self, ev: StartEvent) -> StopEvent:
        return StopEvent()

    @step
    async def i(self, ev: A) -> B:
        return B()

    @step
    async def j(self, ev: B) -> A:
        return A()


async def steps_that_cannot_be_reached() -> Seen:
    skips: list[Any] = [{"reachability"}, {"dead_end"}, {"reachability", "dead_end"}]
    return checked(Island), [checked(Island, skip_graph_checks=skip) for skip in skips]


class Dead(Workflow):
    @step
    async def a(self, ev: StartEvent) -> A | StopEvent:
        return StopEvent()

    @step
    async def l1(self, ev: A) -> B:
        return B()

    @step
    async def l2(self, ev: B) -> A:
        return A()


async def steps_that_lead_nowhere() -> Seen:
    return checked(Dead), checked(Dead, skip_graph_checks={"dead_end"})


async def a_step_that_returns_nothing() -> Seen:
    class Sink(Workflow):
        @step
        async def a(self, ev: StartEvent) -> A | StopEvent:
            return StopEvent()

        @step
        async def b_sink(self, ev: A) -> None:
            return None

    return checked(Sink)


async def checks_skipped_for_a_step() -> Seen:
    class Flow(Workflow):
        @step
        async def a(self, ev: StartEvent) -> A | StopEvent:
            return StopEvent()

        @step(skip_graph_checks=["dead_end"])
        async def l1(self, ev: A) -> B:
            return B()

        @step(skip_graph_checks=["dead_end"])
        async def l2(self, ev: B) -> A:
            return A()

    return checked(Flow)


async def checks_that_do_not_exist() -> Seen:
    return checked(Sound, skip_graph_checks={"luck"})


async def an_unsound_graph_is_told_at_its_first_run() -> Seen:
    return refusal(lambda: Dead().run()), await seen(Dead(disable_validation=True).run()), checked(Dead)


class Child(A):
    pass


async def subclasses_in_a_graph() -> Seen:
    class Strict(Workflow):
        @step
        async def a(self, ev: StartEvent) -> Child:
            return Child()

        @step
        async def b(self, ev: A) -> StopEvent:
            return StopEvent()

    class Loose(Workflow):
        @step
        async def a(self, ev: StartEvent) -> Child:
            return Child()

        @step(accept_event_subclasses=True)
        async def b(self, ev: A) -> StopEvent:
            return StopEvent()

    return checked(Strict), checked(Loose)


async def questions_and_answers_in_a_graph() -> Seen:
    class Question(InputRequiredEvent):
        pass

    class Answer(HumanResponseEvent):
        pass

    class OnlyAnswers(Workflow):
        @step
        async def a(self, ev: StartEvent) -> Question | StopEvent:
            return StopEvent()

        @step
        async def b(self, ev: Answer) -> Answer | StopEvent:
            return StopEvent()

    class AnswersFromNowhere(Workflow):
        @step
        async def a(self, ev: StartEvent) -> StopEvent:
            return StopEvent()

        @step
        async def b(self, ev: Answer) -> StopEvent:
            return StopEvent()

    return checked(OnlyAnswers), checked(AnswersFromNowhere)


# --- Handlers of errors -------------------------------------------------------------------------------


async def a_budget_that_makes_no_sense() -> Seen:
    def declare(times: Any) -> Any:
        @catch_error(max_recoveries=times)
        async def handle(self: Any, ev: StepFailedEvent) -> StopEvent:
            return StopEvent()

    return [refusal(lambda times=times: declare(times)) for times in (0, -1)]  # type: ignore[misc]  # mypy cannot infer a lambda with a default


async def a_handler_of_something_else() -> Seen:
    def declare() -> Any:
        class Flow(Workflow):
            @catch_error
            async def handle(self, ev: A) -> StopEvent:
                return StopEvent()

    return str(refusal(declare)).partition(" handler ")[2] or refusal(declare)


async def two_handlers_for_everything() -> Seen:
    class Flow(Sound):
        @catch_error
        async def h1(self, ev: StepFailedEvent) -> StopEvent:
            return StopEvent()

        @catch_error
        async def h2(self, ev: StepFailedEvent) -> StopEvent:
            return StopEvent()

    return checked(Flow)


async def a_handler_of_an_unknown_step() -> Seen:
    class Flow(Sound):
        @catch_error(for_steps=["x"])
        async def h1(self, ev: StepFailedEvent) -> StopEvent:
            return StopEvent()

    return checked(Flow)


async def a_handler_of_a_handler() -> Seen:
    class Flow(Sound):
        @catch_error(for_steps=["h2"])
        async def h1(self, ev: StepFailedEvent) -> StopEvent:
            return StopEvent()

        @catch_error(for_steps=["a"])
        async def h2(self, ev: StepFailedEvent) -> StopEvent:
            return StopEvent()

    return checked(Flow)


async def two_handlers_of_one_step() -> Seen:
    class Flow(Sound):
        @catch_error(for_steps=["a"])
        async def h1(self, ev: StepFailedEvent) -> StopEvent:
            return StopEvent()

        @catch_error(for_steps=["a", "b"])
        async def h2(self, ev: StepFailedEvent) -> StopEvent:
            return StopEvent()

    return checked(Flow)


# --- What a workflow tells of itself -------------------------------------------------------------------


async def a_workflow_tells_of_itself() -> Seen:
    flows: list[Workflow] = [Sound(), Human(), Sound(workflow_name="sound")]
    return plain([(flow.workflow_name, flow.start_event_class, flow.stop_event_class) for flow in flows])


async def words_around_a_start_event() -> Seen:
    async def run(*args: Any, **kwargs: Any) -> Any:
        return await Sound().run(*args, **kwargs)

    return [
        await end_of(run(start_event=A())),
        await end_of(run(start_event=StartEvent(x=1))),
        await end_of(run(anything="goes")),
    ]


async def runs_of_one_name() -> Seen:
    flow = Human()
    first = flow.run(run_id="twins")
    await asyncio.sleep(0)
    refused = refusal(lambda: flow.run(run_id="twins"))
    first.ctx.send_event(HumanResponseEvent())
    await first
    return refused, first.run_id
