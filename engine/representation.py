"""A workflow's steps and events as a graph of plain data, for whoever draws or checks it.

The names and fields are those of ``workflows.representation`` in LlamaIndex Workflows 2.26, so that a
tool that reads one graph reads the other. Built from annotations alone: what a step asks or sends
within its code is not in the graph.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, Field
from pydantic.errors import PydanticUserError

from engine.core.model import StepSpec, accepts
from engine.events import AskExpired, Event, HumanResponseEvent, InputRequiredEvent, StopEvent
from engine.resource import Need, Resource, ResourceConfig
from engine.workflow import Workflow, steps_of

EXTERNAL = "external_step"
"""Id of the node that stands for the people outside."""


class WorkflowNodeBase(BaseModel):
    """What every node has: an *id* that edges name, and a *label* to show."""

    id: str
    label: str

    def truncated_label(self, max_length: int) -> str:
        """Return the label in at most *max_length* characters; ``*`` at its end tells that some are missing."""
        return self.label if len(self.label) <= max_length else f"{self.label[: max_length - 1]}*"


class WorkflowStepNode(WorkflowNodeBase):
    """A step; *description* is its docstring."""

    node_type: Literal["step"] = "step"
    description: str | None = None


class WorkflowEventNode(WorkflowNodeBase):
    """A class of events."""

    node_type: Literal["event"] = "event"
    event_type: str
    event_types: list[str]
    """Its name, then those of the event classes it descends from, `Event` left out."""
    event_schema: dict[str, Any] | None = None
    """JSON schema of its declared fields; None if one of them has none."""
    produced_by: list[str] = Field(default_factory=list)
    """Names of the steps that are annotated to return it."""

    def is_subclass_of(self, *type_names: str) -> bool:
        """Tell whether it is, or descends from, one of the classes so named."""
        return not set(type_names).isdisjoint(self.event_types)


class WorkflowExternalNode(WorkflowNodeBase):
    """The people outside, who read questions and answer them."""

    node_type: Literal["external"] = "external"


class WorkflowResourceNode(WorkflowNodeBase):
    """Something that is handed to steps, such as a client of a database."""

    node_type: Literal["resource"] = "resource"
    type_name: str | None = None
    getter_name: str | None = None
    source_file: str | None = None
    source_line: int | None = None
    description: str | None = None


class WorkflowResourceConfigNode(WorkflowNodeBase):
    """Settings that are read from a JSON file and handed to steps."""

    node_type: Literal["resource_config"] = "resource_config"
    type_name: str | None = None
    config_file: str | None = None
    path_selector: str | None = None
    config_schema: dict[str, Any] | None = None
    config_value: dict[str, Any] | None = None
    description: str | None = None


class WorkflowGenericNode(WorkflowNodeBase):
    """Anything else somebody wants in a drawing; *node_type* is theirs to choose."""

    node_type: str
    event_type: str | None = None
    event_types: list[str] | None = None

    def is_subclass_of(self, *type_names: str) -> bool:
        """Tell whether it is, or descends from, one of the classes so named."""
        return not set(type_names).isdisjoint(self.event_types or ())


WorkflowGraphNode: TypeAlias = (
    WorkflowStepNode
    | WorkflowEventNode
    | WorkflowExternalNode
    | WorkflowResourceNode
    | WorkflowResourceConfigNode
    | WorkflowGenericNode
)


class WorkflowGraphEdge(BaseModel):
    """An arrow from the node with id *source* to the one with id *target*."""

    source: str
    target: str
    label: str | None = None


class WorkflowGraph(BaseModel):
    """A whole workflow. *description* is its class's docstring."""

    name: str
    # In this order: the generic node would take any of the others.
    nodes: list[Annotated[WorkflowGraphNode, Field(union_mode="left_to_right")]]
    edges: list[WorkflowGraphEdge]
    description: str | None = None

    def filter_by_node_type(self, *node_types: str) -> WorkflowGraph:
        """Return the graph without nodes of *node_types*, as ``"event"``.

        What led through such nodes leads past them; the edge carries the label of the first.
        """
        left_out = {node.id: node.label for node in self.nodes if node.node_type in node_types}
        kept = [node for node in self.nodes if node.id not in left_out]
        leaving: dict[str, list[WorkflowGraphEdge]] = {}
        for edge in self.edges:
            leaving.setdefault(edge.source, []).append(edge)
        edges = [edge for node in kept for edge in _past(node.id, leaving, left_out)]
        return WorkflowGraph(name=self.name, nodes=kept, edges=edges, description=self.description)


def get_workflow_representation(workflow: Workflow | type[Workflow]) -> WorkflowGraph:
    """Return the graph of a workflow, or of a workflow class.

    It need not make sense: a graph that `Workflow.validate` refuses can be drawn to see why.
    """
    cls = workflow if isinstance(workflow, type) else type(workflow)
    steps = steps_of(cls)
    graph = graph_of(
        cls.__name__,
        [found.spec for found in steps.values()],
        {name: inspect.getdoc(found.code) for name, found in steps.items()},
        inspect.getdoc(cls),
    )
    for name, found in steps.items():
        for need in found.needs:
            _add_need(graph, name, need)
    return graph


def graph_of(
    name: str,
    steps: Iterable[StepSpec],
    descriptions: Mapping[str, str | None] | None = None,
    description: str | None = None,
) -> WorkflowGraph:
    """Return the graph of steps that are known without their code, as those of a `Definition` are."""
    steps = list(steps)
    events = list(dict.fromkeys(event for step in steps for event in (*step.accepts, *step.returns)))
    asking = any(issubclass(event, InputRequiredEvent) for step in steps for event in step.returns)
    nodes: list[WorkflowGraphNode] = [
        WorkflowStepNode(id=step.name, label=step.name, description=(descriptions or {}).get(step.name))
        for step in steps
    ]
    nodes += [_event_node(event, [step.name for step in steps if event in step.returns]) for event in events]
    if asking:
        nodes.append(WorkflowExternalNode(id=EXTERNAL, label=EXTERNAL))
    pairs = dict.fromkeys(pair for step in steps for pair in _arrows(step, events, asking))
    edges = [WorkflowGraphEdge(source=source, target=target) for source, target in pairs]
    return WorkflowGraph(name=name, nodes=nodes, edges=edges, description=description)


def _arrows(step: StepSpec, events: list[type[Event]], asking: bool) -> Iterable[tuple[str, str]]:
    """Yield (source, target) of what leads out of and into one step, and to and from the people at either end."""
    for event in step.returns:
        yield step.name, event.__name__
        if issubclass(event, InputRequiredEvent):
            yield event.__name__, EXTERNAL
    for event in events:
        if not accepts(step, event) or (issubclass(event, StopEvent) and event not in step.accepts):
            continue  # the end of a run goes to no step, however wide the step's own type
        yield event.__name__, step.name
        if asking and issubclass(event, HumanResponseEvent | AskExpired):
            yield EXTERNAL, event.__name__


def _add_need(graph: WorkflowGraph, source: str, need: Need) -> None:
    """Add what a step, or a factory, is given and what that is made of in turn, each once."""
    node: WorkflowResourceNode | WorkflowResourceConfigNode
    if isinstance(need.resource, ResourceConfig):
        node = _config_node(need.resource, need.kind)
    else:
        node = _resource_node(need.resource, need.kind)
    edge = WorkflowGraphEdge(source=source, target=node.id, label=need.parameter)
    if edge not in graph.edges:
        graph.edges.append(edge)
    if all(known.id != node.id for known in graph.nodes):
        graph.nodes.append(node)
        for inner in need.resource.needs:
            _add_need(graph, node.id, inner)


def _resource_node(resource: Resource, kind: Any) -> WorkflowResourceNode:
    file = line = None
    with contextlib.suppress(OSError, TypeError):  # a factory written in C, or at a prompt, has no source
        file = inspect.getfile(resource.factory)
        line = inspect.getsourcelines(resource.factory)[1]
    type_name = _called(kind)
    return WorkflowResourceNode(
        id=f"resource_{_digest(resource.name, file)}",
        label=type_name,
        type_name=type_name,
        getter_name=resource.name,
        source_file=file,
        source_line=line,
        description=inspect.getdoc(resource.factory),
    )


def _config_node(config: ResourceConfig, kind: Any) -> WorkflowResourceConfigNode:
    file = value = None
    with contextlib.suppress(OSError, ValueError):  # what cannot be read is told by `Workflow.validate`
        file, value = config.config_file, config.read()
    type_name = _called(kind)
    return WorkflowResourceConfigNode(
        id=f"resource_config_{_digest(config.name, type_name)}",
        label=config.label or type_name,
        type_name=type_name,
        config_file=file,
        path_selector=config.path_selector,
        config_schema=_schema(kind) if isinstance(kind, type) and issubclass(kind, BaseModel) else None,
        config_value=value if isinstance(value, dict) else None,
        description=config.description,
    )


def _called(kind: Any) -> str:
    return getattr(kind, "__name__", None) or str(kind)


def _digest(*parts: str | None) -> str:
    return hashlib.sha256(":".join(part or "" for part in parts).encode()).hexdigest()[:12]


def _event_node(event: type[Event], produced_by: list[str]) -> WorkflowEventNode:
    lineage = [kind.__name__ for kind in event.__mro__ if issubclass(kind, Event) and kind is not Event]
    return WorkflowEventNode(
        id=event.__name__,
        label=event.__name__,
        event_type=event.__name__,
        event_types=lineage or [event.__name__],
        event_schema=_schema(event),
        produced_by=produced_by,
    )


def _schema(model: type[BaseModel]) -> dict[str, Any] | None:
    try:
        return model.model_json_schema()
    except PydanticUserError:  # a field of a type that JSON knows nothing of, such as a class
        return None


def _past(
    source: str, leaving: Mapping[str, list[WorkflowGraphEdge]], left_out: Mapping[str, str]
) -> Iterable[WorkflowGraphEdge]:
    """Yield an edge to each node that *source* leads to, directly or through what is left out; one for each."""
    reached: set[str] = set()
    passed: set[str] = set()
    ahead: list[tuple[WorkflowGraphEdge, str | None]] = [(edge, None) for edge in reversed(leaving.get(source, []))]
    while ahead:
        edge, through = ahead.pop()
        target = edge.target
        if target not in left_out:
            if target not in reached:
                reached.add(target)
                label = edge.label if through is None else through
                yield WorkflowGraphEdge(source=source, target=target, label=label)
        elif target not in passed:
            passed.add(target)
            label = left_out[target] if through is None else through
            ahead += [(further, label) for further in reversed(leaving.get(target, []))]
