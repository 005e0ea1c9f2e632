"""Workflows that a step runs: what they wait for, as waits of the call they are part of.

A child's state lives in its call. While nothing of it is at work, each thing it waits for is a
wait of the call, and so each of its questions one of the call's run; what those waits bring is
told to the child when the step has come to it again. Children of children need nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.core.model import (
    Answered,
    Ask,
    Call,
    Child,
    Definition,
    Expired,
    Opening,
    RunState,
    Sent,
    Tick,
    Unread,
    Wait,
)
from engine.core.questions import answer_classes, as_awaited
from engine.core.timing import timers
from engine.core.versions import stored_name
from engine.events import Event, HumanResponseEvent

NOTHING = ""
"""What a wait accepts that only its deadline ends."""


def openings(name: str, child: Child) -> Iterator[Opening]:
    """Return what a child waits for: its questions, oldest first, other events, and its next time."""
    state = child.state
    if state.finished:
        return
    for ask in state.asks.values():
        yield Opening(_asking(name, child, ask), ask)
    for call_id in state.waiting:
        for wait in state.calls[call_id].waits.values():
            if wait.open and wait.ask_id is None and wait.accepts != NOTHING:
                yield Opening(_for_child(name, f"{call_id} {wait.id}", wait))
    times = [timer.at for timer in timers(state) if timer.kind != "ask"]  # a question brings its own
    if times:
        yield Opening(Wait(f"{name} {min(times)!r}", NOTHING, deadline=min(times), child=name))


def openings_of(call: Call) -> list[Opening]:
    """Return what the children of a call wait for, as far as they are known."""
    children = [(name, child) for name, child in call.children.items() if isinstance(child, Child)]
    return [opening for name, child in children for opening in openings(name, child)]


def told(name: str, child: Child, call: Call, at: float) -> list[Tick]:
    """Return what has come for a child of *call*, as it would have come to a run of its own.

    Raises:
        CodecError: an answer does not fit the class that its asker waits for.
    """
    found: list[Tick] = []
    for opening, ask in openings(name, child):
        wait = call.waits.get(opening.id)
        if wait is None or wait.open:
            continue
        if ask is not None and wait.expired:
            found.append(Expired(at, ask.id))
        elif ask is not None and isinstance(wait.answer, HumanResponseEvent) and _is_addressed(wait.answer):
            found.append(Answered(at, ask.id, _readdressed(child, ask, wait.answer)))
        elif wait.answer is not None and (sent := Sent(at, wait.answer)) not in found:
            found.append(sent)  # once, however many it answers
    return found


def give_up(state: RunState, call: Call) -> None:
    """Take back what is asked for children of *call* that do not wait for it any more."""
    named = {wait.id for wait, _ in openings_of(call)}
    for wait in [*call.waits.values()]:
        if wait.child is None or wait.id in named:
            continue
        if isinstance(call.children.get(wait.child), Unread):
            continue  # nobody knows yet
        del call.waits[wait.id]
        if wait.ask_id is not None:
            state.asks.pop(wait.ask_id, None)
    if not any(wait.open for wait in call.waits.values()):
        state.waiting.pop(call.id, None)


def forget_failed(state: RunState, call: Call) -> None:
    """Forget the children that came to no good end: a retry of *call* starts them anew."""
    for name, child in [*call.children.items()]:
        status = child.state.status if isinstance(child, Child) else child.plain["status"]
        if status not in ("running", "done"):
            del call.children[name]
    give_up(state, call)


def _asking(name: str, child: Child, ask: Ask) -> Wait:
    """Return what waits for the answer to a child's question."""
    if ask.call_id is not None and ask.wait_id is not None:
        return _for_child(name, ask.id, child.state.calls[ask.call_id].waits[ask.wait_id])
    accepts, takes_subclasses = _answers(child.definition)
    return Wait(f"{name} {ask.id}", accepts, takes_subclasses, child=name)


def _answers(definition: Definition) -> tuple[str, bool]:
    """Return the class of answer that the steps of a workflow take, and whether subclasses do."""
    kinds = answer_classes(definition)
    if len(kinds) != 1:
        return stored_name(HumanResponseEvent), len(kinds) > 1
    steps = [step for step in definition.steps.values() if not kinds.isdisjoint(step.accepts)]
    return stored_name(kinds.pop()), any(step.takes_subclasses for step in steps)


def _for_child(name: str, what: str, wait: Wait) -> Wait:
    return Wait(f"{name} {what}", wait.accepts, wait.takes_subclasses, wait.requirements, child=name)


def _is_addressed(event: Event) -> bool:
    return isinstance(getattr(event, "ask_id", None), str)


def _readdressed(child: Child, ask: Ask, event: HumanResponseEvent) -> HumanResponseEvent:
    """Return an answer as the child knows it: to its own question, of the class it waits for."""
    own = event.model_copy(deep=True)
    own.ask_id = ask.id
    return as_awaited(child.definition, child.state, ask.id, own)
