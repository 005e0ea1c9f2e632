"""What makes a workflow's graph sound, in LlamaIndex's words where it is not."""

from typing import Any

import pytest

from engine import (
    AskExpired,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    WorkflowConfigurationError,
    WorkflowValidationError,
    step,
)


class A(Event): ...


class B(Event): ...


class SmallA(A): ...


class Mine(StartEvent): ...


class Yours(StartEvent): ...


class Done(StopEvent): ...


class Ask(InputRequiredEvent): ...


class Reply(HumanResponseEvent): ...


def workflow(*steps: tuple[str, Any, Any], **options: Any) -> type[Workflow]:
    """Return a workflow of steps given as (name, what it takes, what it makes)."""
    cls = type("Flow", (Workflow,), {})
    for name, takes, makes in steps:

        async def code(ev: Any) -> Any: ...

        code.__name__, code.__annotations__ = name, {"ev": takes, "return": makes}
        step(workflow=cls, **options)(code)
    return cls


WHOLE = ("whole", StartEvent, StopEvent)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([], "At least one Event of type StartEvent must be received by any step. (Workflow 'Flow' has no @step that"),
        ([("a", A, StopEvent)], "At least one Event of type StartEvent must be received by any step."),
        ([("a", StartEvent, None)], "At least one Event of type StopEvent must be returned by any step."),
        ([("a", Mine | Yours, StopEvent)], "Only one type of StartEvent is allowed per workflow, found 2: Mine, Yours"),
        (
            [("a", Mine, StopEvent | Done)],
            "Only one type of StopEvent is allowed per workflow, found 2: Done, StopEvent",
        ),
    ],
)
def test_a_workflow_without_one_start_and_one_end_is_not_made(steps: list[tuple[str, Any, Any]], said: str) -> None:
    """Behaviour 61."""
    with pytest.raises(WorkflowConfigurationError) as refused:
        workflow(*steps)()

    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([WHOLE, ("bad", StopEvent, None)], "Step 'bad' cannot accept StopEvent. StopEvent signals the end of the"),
        ([("a", StartEvent | B | A, StopEvent)], "The following events are consumed but never produced: A, B"),
        ([("a", StartEvent, StopEvent | B | A)], "The following events are produced but never consumed: A, B"),
        ([("a", StartEvent, SmallA), ("b", A, StopEvent)], "The following events are consumed but never produced: A"),
        (
            [WHOLE, ("b", A, B), ("c", B, A | StopEvent)],
            "Graph validation failed:\n  - [reachability] Unreachable steps: b, c\n"
            "    Steps must be reachable from StartEvent or HumanResponseEvent.",
        ),
        (
            [("a", StartEvent, StopEvent | A), ("l2", A, B), ("l1", B, A)],
            "Graph validation failed:\n  - [dead_end] Dead-end steps: l1, l2\n"
            "    Steps must have a path to StopEvent or InputRequiredEvent.",
        ),
    ],
)
def test_an_unsound_graph_is_told_in_full(steps: list[tuple[str, Any, Any]], said: str) -> None:
    """Behaviour 61."""
    with pytest.raises(WorkflowValidationError) as refused:
        workflow(*steps)().validate()

    assert str(refused.value).startswith(said)


def test_all_faults_of_a_graph_are_in_one_message() -> None:
    """Behaviour 61."""
    with pytest.raises(WorkflowValidationError) as refused:
        workflow(WHOLE, ("b", A, B), ("c", B, A))().validate()

    assert "[reachability] Unreachable steps: b, c" in str(refused.value)
    assert "[dead_end] Dead-end steps: b, c" in str(refused.value)


@pytest.mark.parametrize(
    "steps",
    [
        [("a", StartEvent, SmallA | A), ("b", SmallA, StopEvent), ("c", A, None)],
        [("a", StartEvent, A), ("b", A, None), ("c", A, StopEvent)],
        [("a", StartEvent | A, A | StopEvent)],
        [("a", StartEvent, Event), ("b", Event, StopEvent)],
    ],
)
def test_a_sound_graph_without_a_person_says_so(steps: list[tuple[str, Any, Any]]) -> None:
    """Behaviour 61."""
    assert workflow(*steps)().validate() is False


@pytest.mark.parametrize(
    "steps",
    [
        [("a", StartEvent, InputRequiredEvent), ("b", HumanResponseEvent, StopEvent)],
        [("a", StartEvent, Ask), ("b", Reply, StopEvent)],
        [WHOLE, ("b", Reply, StopEvent)],
        [("a", StartEvent, Ask), ("b", Reply | AskExpired, StopEvent)],
        [("a", StartEvent, InputRequiredEvent), ("b", InputRequiredEvent, StopEvent)],
    ],
)
def test_a_sound_graph_with_a_person_says_so(steps: list[tuple[str, Any, Any]]) -> None:
    """Behaviour 61."""
    assert workflow(*steps)().validate() is True


def test_a_step_may_opt_in_to_subclasses_of_what_it_takes() -> None:
    cls = workflow(("a", StartEvent, SmallA), ("b", A, StopEvent), accept_event_subclasses=True)

    assert cls().validate() is False


LOOSE = [WHOLE, ("b", A, B), ("c", B, A)]


def test_graph_checks_can_be_skipped_for_a_workflow() -> None:
    """Behaviour 61."""
    flow = workflow(*LOOSE)(skip_graph_checks={"reachability", "dead_end"})

    assert flow.validate() is False


def test_graph_checks_can_be_skipped_for_a_step() -> None:
    """Behaviour 61."""
    flow = workflow(*LOOSE, skip_graph_checks=["reachability", "dead_end"])()

    assert flow.validate() is False


def test_a_check_that_is_not_skipped_is_made() -> None:
    """Behaviour 61."""
    with pytest.raises(WorkflowValidationError, match="dead_end"):
        workflow(*LOOSE)(skip_graph_checks={"reachability"}).validate()


def test_a_graph_check_that_does_not_exist_is_refused() -> None:
    """Behaviour 61."""
    said = "Unknown graph check names: x, y. Valid names are: dead_end, reachability, terminal_event"

    with pytest.raises(WorkflowValidationError, match=said):
        workflow(WHOLE)(skip_graph_checks={"y", "x"})
    with pytest.raises(WorkflowValidationError, match=said):
        workflow(WHOLE, skip_graph_checks=["x", "y"])


async def test_a_graph_is_checked_before_its_first_run() -> None:
    """Behaviour 61."""
    flow = workflow(WHOLE, ("b", A, StopEvent))()

    with pytest.raises(WorkflowValidationError, match="consumed but never produced: A"):
        flow.run()


async def test_a_run_can_do_without_the_check_but_validate_cannot() -> None:
    """Behaviour 61."""
    cls = type("Flow", (Workflow,), {})

    async def whole(ev: StartEvent) -> StopEvent | A:
        return StopEvent(result="done")

    step(workflow=cls)(whole)
    flow = cls(disable_validation=True)

    assert await flow.run() == "done"
    with pytest.raises(WorkflowValidationError, match="produced but never consumed: A"):
        flow.validate()


@pytest.mark.parametrize("runs", [0, -1, True, 1.5, "2"])
def test_the_number_of_runs_at_once_is_a_positive_integer(runs: Any) -> None:
    """Behaviour 62."""
    with pytest.raises(WorkflowValidationError, match="num_concurrent_runs must be an integer greater than 0 or None"):
        workflow(WHOLE)(num_concurrent_runs=runs)
