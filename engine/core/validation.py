"""What makes a workflow's graph sound, and how it is said when it is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.core.levels import outermost_level, stream_levels
from engine.core.model import Definition, StepSpec, accepts
from engine.errors import WorkflowConfigurationError, WorkflowValidationError
from engine.events import (
    AskExpired,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
)

GRAPH_CHECKS = frozenset({"reachability", "terminal_event", "dead_end"})


def only_start_event(name: str, steps: Iterable[StepSpec]) -> type[StartEvent]:
    """Return the one StartEvent class that the steps receive.

    Raises:
        WorkflowConfigurationError: there is none, or more than one.
    """
    found = _kinds(StartEvent, (event for step in steps for event in step.accepts))
    if not found:
        raise WorkflowConfigurationError(
            f"At least one Event of type StartEvent must be received by any step. "
            f"(Workflow '{name}' has no @step that accepts StartEvent.)"
        )
    if len(found) > 1:
        raise WorkflowConfigurationError(
            f"Only one type of StartEvent is allowed per workflow, found {len(found)}: {_listed(found)}"
        )
    return found[0]


def only_stop_event(name: str, steps: Iterable[StepSpec]) -> type[StopEvent]:
    """Return the one StopEvent class that the steps return.

    Raises:
        WorkflowConfigurationError: there is none, or more than one.
    """
    found = _kinds(StopEvent, (event for step in steps for event in step.returns))
    if not found:
        raise WorkflowConfigurationError(
            f"At least one Event of type StopEvent must be returned by any step. "
            f"(Workflow '{name}' has no @step that returns StopEvent.)"
        )
    if len(found) > 1:
        raise WorkflowConfigurationError(
            f"Only one type of StopEvent is allowed per workflow, found {len(found)}: {_listed(found)}"
        )
    return found[0]


def check_skips(names: Iterable[str]) -> None:
    """Refuse graph checks that do not exist."""
    unknown = sorted(set(names) - GRAPH_CHECKS)
    if unknown:
        raise WorkflowValidationError(
            f"Unknown graph check names: {', '.join(unknown)}. Valid names are: {', '.join(sorted(GRAPH_CHECKS))}"
        )


def validate(definition: Definition, skip: frozenset[str] = frozenset()) -> bool:
    """Check the whole graph; return whether it has a person in the loop.

    Raises:
        WorkflowValidationError: the message lists every fault found by the check that failed.
    """
    steps = list(definition.steps.values())
    _check_streams(definition)
    for step in steps:
        if any(issubclass(event, StopEvent) for event in step.accepts):
            raise WorkflowValidationError(
                f"Step '{step.name}' cannot accept StopEvent. StopEvent signals the end of the workflow. "
                "Use a different Event type instead."
            )
    _check_flow(steps)
    _check_handlers(steps)
    faults = [*_unreachable(steps, skip), *_dead_ends(steps, skip)]
    if faults:
        raise WorkflowValidationError("Graph validation failed:\n" + "\n".join(faults))
    made = {event for step in steps for event in step.returns}
    taken = {event for step in steps for event in step.accepts}
    return any(issubclass(event, InputRequiredEvent) for event in made) or any(
        issubclass(event, HumanResponseEvent) for event in taken
    )


def _check_streams(definition: Definition) -> None:
    """A list must be of a stream's events, and events that are taken together must meet in one stream or outside."""
    streams = stream_levels(definition.steps)
    faults: list[str] = []
    for step in definition.steps.values():
        missing = [event for event in step.accepts if not _made_in(streams.values(), step, event)]
        if step.collects is not None and missing:
            faults.append(
                f"Step '{step.name}' parameter '{step.parameters[0]}' collects list[{_listed(missing)}], but no "
                "returned-list producer creates a stream for those event types. list[E] fan-in only consumes events "
                "from steps annotated as returning list[E]; use ctx.collect_events for unstreamed ctx.send_event flows."
            )
    if any(step.slots for step in definition.steps.values()):
        levels = {"the top level": outermost_level(definition.steps)}
        levels |= {f"the stream of step '{name}'": level for name, level in streams.items()}
        faults += [fault for step in definition.steps.values() for fault in _never_together(step, levels)]
    if faults:
        raise WorkflowValidationError("\n".join(faults))


def _never_together(step: StepSpec, levels: Mapping[str, set[type[Event]]]) -> Iterable[str]:
    """Say where each of the events is made that *step* takes together, if that is nowhere the same."""
    if any(all(_made_in([level], step, slot) for slot in step.slots) for level in levels.values()):
        return
    slots = []
    for parameter, slot in zip(step.parameters, step.slots, strict=True):
        where = sorted(name for name, level in levels.items() if _made_in([level], step, slot))
        slots.append(f"'{parameter}' ({slot.__name__}) is produced at {', '.join(where) or 'no level'}")
    yield (
        f"Step '{step.name}' joins event parameters that are never produced at a common stream level: "
        f"{'; '.join(slots)}. A multi-slot join only fires when all of its inputs originate at the same level. To gate "
        "in-stream work on input from another level, use ctx.wait_for_event inside the producing step instead."
    )


def _made_in(levels: Iterable[set[type[Event]]], step: StepSpec, event: type[Event]) -> bool:
    """Tell whether *event*, or what *step* takes for it, can be on one of the *levels*."""
    made = (kind for level in levels for kind in level)
    return any(kind is event or (step.takes_subclasses and issubclass(kind, event)) for kind in made)


def _check_flow(steps: list[StepSpec]) -> None:
    """Each event consumed must be produced by somebody, and the other way round."""
    produced = {event for step in steps for event in step.returns}
    consumed = {event for step in steps for event in step.accepts}
    from_outside = (StartEvent, HumanResponseEvent, AskExpired, StepFailedEvent)
    orphans = [
        event
        for event in consumed - produced
        if not issubclass(event, from_outside)
        and not any(step.takes_subclasses and issubclass(made, event) for step in steps for made in produced)
    ]
    if orphans:
        raise WorkflowValidationError(f"The following events are consumed but never produced: {_listed(orphans)}")
    to_outside = (InputRequiredEvent, HumanResponseEvent, StopEvent)
    unused = [
        event
        for event in produced
        if not issubclass(event, to_outside) and not any(accepts(step, event) for step in steps)
    ]
    if unused:
        raise WorkflowValidationError(f"The following events are produced but never consumed: {_listed(unused)}")


def _check_handlers(steps: list[StepSpec]) -> None:
    """Each failing step has one ``@catch_error`` step at most, and handlers handle steps that are there."""
    handlers = [step for step in steps if step.catches is not None]
    wildcards = [step.name for step in handlers if not step.catches]
    if len(wildcards) > 1:
        raise WorkflowValidationError(
            f"Only one wildcard @catch_error handler is allowed per workflow, found {len(wildcards)}: "
            f"{', '.join(sorted(wildcards))}"
        )
    names, claimed = {step.name for step in steps}, dict[str, str]()
    for handler in handlers:
        for name in sorted(handler.catches or ()):
            if name not in names:
                raise WorkflowValidationError(
                    f"@catch_error handler '{handler.name}' lists unknown step '{name}' in for_steps."
                )
            if any(name == other.name for other in handlers):
                raise WorkflowValidationError(
                    f"@catch_error handler '{handler.name}' cannot cover another handler step '{name}'."
                )
            if name in claimed:
                raise WorkflowValidationError(
                    f"Step '{name}' is claimed by two @catch_error handlers: '{claimed[name]}' and '{handler.name}'."
                )
            claimed[name] = handler.name


def _unreachable(steps: list[StepSpec], skip: frozenset[str]) -> list[str]:
    """Say which steps no event from outside can lead to."""
    sources = (StartEvent, HumanResponseEvent, AskExpired, StepFailedEvent)
    reached = {step.name for step in steps if any(issubclass(event, sources) for event in step.accepts)}
    while True:
        made = {event for step in steps if step.name in reached for event in step.returns}
        more = {step.name for step in steps if any(accepts(step, event) for event in made)} - reached
        if not more:
            break
        reached |= more
    lost = [s.name for s in steps if s.name not in reached and "reachability" not in s.skip_checks | skip]
    if not lost:
        return []
    return [
        f"  - [reachability] Unreachable steps: {', '.join(sorted(lost))}\n"
        "    Steps must be reachable from StartEvent or HumanResponseEvent."
    ]


def _dead_ends(steps: list[StepSpec], skip: frozenset[str]) -> list[str]:
    """Say from which steps no path leads to an end or a question."""
    ends = (StopEvent, InputRequiredEvent)
    alive = {step.name for step in steps if any(issubclass(event, ends) for event in step.returns)}
    while True:
        more = {
            step.name
            for step in steps
            if any(other.name in alive and accepts(other, event) for event in step.returns for other in steps)
        } - alive
        if not more:
            break
        alive |= more
    lost = [s.name for s in steps if s.name not in alive and s.returns and "dead_end" not in s.skip_checks | skip]
    if not lost:
        return []
    return [
        f"  - [dead_end] Dead-end steps: {', '.join(sorted(lost))}\n"
        "    Steps must have a path to StopEvent or InputRequiredEvent."
    ]


def _kinds(base: type, events: Iterable[type[Event]]) -> list[type]:
    return sorted({event for event in events if issubclass(event, base)}, key=lambda cls: cls.__name__)


def _listed(events: Iterable[type]) -> str:
    return ", ".join(sorted(event.__name__ for event in events))
