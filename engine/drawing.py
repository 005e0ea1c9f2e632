"""Mermaid text of a workflow, or of one run of it: https://mermaid.js.org/syntax/flowchart.html.

Text in, text out. Rectangles are steps, rounded boxes events, hexagons questions; whatever waits for
a person is orange, what a person brings is blue. Thick arrows are the way a run has come.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.context import Context
from engine.core.children import NOTHING
from engine.core.model import Ask, Call, Definition, DictState, RunState
from engine.core.snapshot import load_fields
from engine.errors import RunNotFound
from engine.events import InputRequiredEvent, StopEvent, WorkflowFailedEvent
from engine.handler import WorkflowHandler
from engine.representation import (
    EXTERNAL,
    WorkflowEventNode,
    WorkflowGraph,
    WorkflowGraphNode,
    WorkflowStepNode,
    graph_of,
)
from engine.runner import Runner
from engine.workflow import Workflow, steps_of

TEXT_CHARS = 80
"""How much of a question is shown."""

_CLASSES = {
    "step": "fill:#eef2ff,stroke:#6366f1,color:#1e1b4b",
    "event": "fill:#f8fafc,stroke:#94a3b8,color:#0f172a",
    "ends": "fill:#e2e8f0,stroke:#475569,color:#0f172a,stroke-width:2px",
    "question": "fill:#ffedd5,stroke:#ea580c,color:#431407,stroke-width:2px",
    "answer": "fill:#dbeafe,stroke:#2563eb,color:#172554,stroke-width:2px",
    "passed": "fill:#c7d2fe,stroke:#4338ca,color:#1e1b4b,stroke-width:3px",
    "person": "fill:#fef9c3,stroke:#ca8a04,color:#422006,stroke-width:2px",
    "open": "fill:#fb923c,stroke:#9a3412,color:#1c0a00,stroke-width:4px",
    "active": "fill:#6366f1,stroke:#312e81,color:#ffffff,stroke-width:4px",
    "failed": "fill:#fecaca,stroke:#b91c1c,color:#450a0a,stroke-width:4px",
    "reached": "fill:#bbf7d0,stroke:#15803d,color:#052e16,stroke-width:4px",
}
_STATUS_WORDS = {"ready": "running", "queued": "queued", "waiting": "waiting", "delayed": "to be tried again"}
_END_WORDS = {"done": "done", "failed": "failed", "timed_out": "timed out", "cancelled": "cancelled"}


@dataclass(slots=True)
class _Marks:
    """What one run adds to the drawing of its workflow."""

    styles: dict[str, str] = field(default_factory=dict)
    """Class by node id, in place of its usual one."""
    notes: dict[str, str] = field(default_factory=dict)
    """A second line of a node's label."""
    lines: list[str] = field(default_factory=list)
    """Further lines of Mermaid."""
    path: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """How often the run went along an arrow of the graph, by source and target."""


def mermaid(drawn: Workflow | type[Workflow] | WorkflowHandler | Context[Any]) -> str:
    """Return a flowchart of a workflow, of its class, or of a run in process: its handler or context.

    Of a run, the way it has come and what it does or asks now stand out. A restored context is drawn without
    running; for a durable run see `mermaid_durable`. Of a workflow, a step whose own code speaks of
    ``wait_for_event`` is marked; a wait in a function it calls is not seen.
    """
    if isinstance(drawn, WorkflowHandler):
        drawn = drawn.ctx
    if isinstance(drawn, Context):
        definition, state = drawn._program.definition, drawn._run_state()
        return mermaid_run(state or RunState(run_id="", workflow=definition.name, store=drawn._seed), definition)
    cls = drawn if isinstance(drawn, type) else type(drawn)
    steps = steps_of(cls)
    waits = {
        _step_id(name): "may wait inside"
        for name, found in steps.items()
        if "wait_for_event" in found.code.__code__.co_names
    }
    graph = graph_of(cls.__name__, [found.spec for found in steps.values()])
    return _flowchart(graph, _Marks(dict.fromkeys(waits, "question"), waits))


def mermaid_run(
    state: RunState, definition: Definition, questions: Mapping[str, InputRequiredEvent] | None = None
) -> str:
    """Return a flowchart of the run's workflow where its path and what goes on now stand out.

    *questions* by ask id fill in what a run loaded from a run store does not hold itself.
    """
    graph = graph_of(definition.name, definition.steps.values())
    drawn = {_id_of(node) for node in graph.nodes}
    marks = _Marks(path=_with_people(graph, state.path))
    for node in graph.nodes:
        if any(node.id in arrow for arrow in marks.path) and _shape(node)[2] in ("step", "event"):
            marks.styles[_id_of(node)] = "passed"
    if state.finished:  # a cancelled run keeps its calls and questions, but nobody works on or answers them
        _mark_end(state, drawn, marks)
    else:
        _mark_calls(state.calls.values(), marks)
        for ask in state.asks.values():
            event = ask.event or (questions or {}).get(ask.id)
            _add_ask(ask, event, state.calls, drawn, marks)
    return _flowchart(graph, marks)


async def mermaid_durable(runner: Runner, run_id: str) -> str:
    """Return a flowchart of a durable run as it was last saved, drawn as `mermaid` draws one in process.

    Raises:
        RunNotFound: no run has this id, or *runner* does not know its workflow.
    """
    run = await runner.store.run(run_id)
    if run is None:
        raise RunNotFound(f"no run {run_id}")
    definition = runner.definition(run.workflow)
    fields = await runner.store.state(run_id)
    if not fields:  # nobody has worked on it yet
        return mermaid_run(RunState(run_id, definition.name, DictState()), definition)
    state = load_fields(definition, fields)
    questions = {ask.id: ask.event for ask in (await runner.view(run_id)).asks}
    for answered in state.asks.keys() - questions.keys():
        del state.asks[answered]
    return mermaid_run(state, definition, questions)


# --- What a run adds ----------------------------------------------------------------------


def _with_people(graph: WorkflowGraph, path: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """Add the ways by a person: to each question that was asked, from each answer that no step made itself."""
    taken, made = {source for source, _ in path}, {target for _, target in path}
    asked = {(edge.source, EXTERNAL): 1 for edge in graph.edges if edge.target == EXTERNAL and edge.source in made}
    answers = {edge.target for edge in graph.edges if edge.source == EXTERNAL}
    return {**path, **asked, **{(EXTERNAL, answer): 1 for answer in answers & (taken - made)}}


def _mark_calls(calls: Iterable[Call], marks: _Marks) -> None:
    by_step: dict[str, list[Call]] = {}
    for call in calls:
        by_step.setdefault(call.step, []).append(call)
    for step, its_calls in by_step.items():
        counted = Counter(_STATUS_WORDS[call.status] for call in its_calls)
        open_waits = [wait for call in its_calls for wait in call.waits.values() if wait.open]
        waited_for = sorted({wait.accepts for wait in open_waits} - {NOTHING})
        note = ", ".join(f"{n} {word}" for word, n in counted.items())
        marks.notes[_step_id(step)] = f"{note} for {', '.join(waited_for)}" if waited_for else note
        marks.styles[_step_id(step)] = "active"


def _add_ask(
    ask: Ask, event: InputRequiredEvent | None, calls: Mapping[int, Call], drawn: set[str], marks: _Marks
) -> None:
    node = f"ask_{_plain(ask.id)}"
    text = "" if event is None else _shortened(_text_of(event))
    label = _escaped(f"open: {text}" if text else f"open question {ask.id}")
    marks.lines.append(f'    {node}{{{{"{label}"}}}}:::open')
    call = None if ask.call_id is None else calls.get(ask.call_id)
    asker = _step_id(call.step) if call is not None else _event_id(type(event).__name__)
    source = asker if asker in drawn else _event_id(EXTERNAL)
    if source in drawn:
        marks.lines.append(f"    {source} ==> {node}")


def _mark_end(state: RunState, drawn: set[str], marks: _Marks) -> None:
    """Show how the run ended: the event that a step returned, or what stopped it."""
    final = state.final
    end = _event_id(type(final).__name__)
    if state.status == "done" and end in drawn:
        marks.styles[end] = "reached"
        marks.notes[end] = _END_WORDS[state.status]
        return
    told = state.error if state.error is not None else final
    reason = "" if told is None or isinstance(told, StopEvent) else f": {_shortened(f'{type(told).__name__}: {told}')}"
    style = "reached" if state.status == "done" else "failed"
    marks.lines.append(f'    end_of_run(["{_escaped(_END_WORDS[state.status] + reason)}"]):::{style}')
    if isinstance(final, WorkflowFailedEvent) and _step_id(final.step_name) in drawn:
        marks.styles[_step_id(final.step_name)] = "failed"
        marks.lines.append(f"    {_step_id(final.step_name)} ==> end_of_run")


def _text_of(event: InputRequiredEvent) -> str:
    text = getattr(event, "prefix", None)
    return text if isinstance(text, str) and text.strip() else type(event).__name__


# --- Mermaid ------------------------------------------------------------------------------


def _flowchart(graph: WorkflowGraph, marks: _Marks) -> str:
    ids = {node.id: _id_of(node) for node in graph.nodes}
    dashed = {node.id for node in graph.nodes if node.id == EXTERNAL}
    lines = ["flowchart TD"]
    lines += [_box(node, marks) for node in graph.nodes]
    for edge in graph.edges:
        times = marks.path.get((edge.source, edge.target), 0)
        arrow = "==>" if times else "-.->" if {edge.source, edge.target} & dashed else "-->"
        label = f"|{times} times|" if times > 1 else ""
        lines.append(f"    {ids[edge.source]} {arrow}{label} {ids[edge.target]}")
    lines += marks.lines
    used = dict.fromkeys(re.findall(r":::(\w+)$", "\n".join(lines), re.MULTILINE))
    lines += [f"    classDef {name} {_CLASSES[name]}" for name in used]
    return "\n".join(lines) + "\n"


def _box(node: WorkflowGraphNode, marks: _Marks) -> str:
    name = _id_of(node)
    left, right, style = _shape(node)
    label = "a person" if node.id == EXTERNAL else node.label
    lines = [_escaped(label), *([_escaped(marks.notes[name])] if name in marks.notes else [])]
    return f'    {name}{left}"{"<br/>".join(lines)}"{right}:::{marks.styles.get(name, style)}'


def _shape(node: WorkflowGraphNode) -> tuple[str, str, str]:
    """Return the brackets around a node's label, and its class."""
    if isinstance(node, WorkflowStepNode):
        return "[", "]", "step"
    if not isinstance(node, WorkflowEventNode):
        return "((", "))", "person"
    if node.is_subclass_of("InputRequiredEvent"):
        return "{{", "}}", "question"
    if node.is_subclass_of("HumanResponseEvent"):
        return "[/", "/]", "answer"
    return "([", "])", "ends" if node.is_subclass_of("StartEvent", "StopEvent") else "event"


def _id_of(node: WorkflowGraphNode) -> str:
    return _step_id(node.id) if isinstance(node, WorkflowStepNode) else _event_id(node.id)


def _step_id(name: str) -> str:
    return f"step_{_plain(name)}"


def _event_id(name: str) -> str:
    return f"event_{_plain(name)}"


def _plain(name: str) -> str:
    """Return *name* in letters that every version of Mermaid takes in an id."""
    return re.sub(r"[^A-Za-z0-9_]", lambda char: f"_u{ord(char[0]):x}_", name)


def _shortened(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= TEXT_CHARS else f"{words[: TEXT_CHARS - 1].rstrip()}…"


def _escaped(text: str) -> str:
    """Return *text* so that it stands in a quoted label as it is, whatever people wrote.

    All but letters, digits and a few marks become Mermaid's entities: a quote would end the label, ``<``
    begin HTML, a backquote Markdown, ``%%{`` a directive, and ``style:`` spoils the entities behind it.
    """
    shown = "".join(char for char in text if char.isprintable())
    return re.sub(r"[^\w ,.?!()/…'-]", lambda char: f"#{ord(char[0])};", shown)
