"""A workflow as a graph: every step and event once, and the arrows between them."""

from typing import Annotated

import pytest
from pydantic import BaseModel

from engine import (
    AskExpired,
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    Resource,
    ResourceConfig,
    StartEvent,
    StopEvent,
    step,
)
from engine.representation import (
    WorkflowEventNode,
    WorkflowGenericNode,
    WorkflowGraph,
    WorkflowGraphEdge,
    WorkflowResourceConfigNode,
    WorkflowResourceNode,
    WorkflowStepNode,
    get_workflow_representation,
)
from engine.workflow import Workflow


class Draft(Event):
    text: str


class ShortDraft(Draft):
    pass


class Question(InputRequiredEvent):
    cause: Exception | None = None


class Review(Workflow):
    """Write, ask, decide."""

    @step
    async def write(self, ev: StartEvent | Draft) -> Question:
        """Write or rewrite."""
        return Question()

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> Draft | StopEvent:
        return StopEvent()


def arrows(graph: WorkflowGraph) -> set[tuple[str, str]]:
    return {(edge.source, edge.target) for edge in graph.edges}


def event_node(graph: WorkflowGraph, name: str) -> WorkflowEventNode:
    return next(node for node in graph.nodes if isinstance(node, WorkflowEventNode) and node.id == name)


def test_steps_events_and_the_people_outside_are_nodes() -> None:
    graph = get_workflow_representation(Review())

    assert (graph.name, graph.description) == ("Review", "Write, ask, decide.")
    assert {node.id: node.node_type for node in graph.nodes} == {
        "write": "step",
        "decide": "step",
        "StartEvent": "event",
        "Draft": "event",
        "Question": "event",
        "HumanResponseEvent": "event",
        "StopEvent": "event",
        "external_step": "external",
    }


def test_arrows_follow_the_events() -> None:
    assert arrows(get_workflow_representation(Review)) == {
        ("StartEvent", "write"),
        ("Draft", "write"),
        ("write", "Question"),
        ("Question", "external_step"),
        ("external_step", "HumanResponseEvent"),
        ("HumanResponseEvent", "decide"),
        ("decide", "Draft"),
        ("decide", "StopEvent"),
    }


def test_a_class_and_its_instance_have_the_same_graph() -> None:
    assert get_workflow_representation(Review) == get_workflow_representation(Review())


def test_a_step_is_described_by_its_docstring() -> None:
    described = {
        n.id: n.description for n in get_workflow_representation(Review).nodes if isinstance(n, WorkflowStepNode)
    }

    assert described == {"write": "Write or rewrite.", "decide": None}


def test_an_event_tells_its_kind_its_fields_and_its_makers() -> None:
    graph = get_workflow_representation(Review)

    draft = event_node(graph, "Draft")
    assert draft.event_schema is not None
    assert set(draft.event_schema["properties"]) == {"text"}
    assert draft.produced_by == ["decide"]
    assert event_node(graph, "Question").event_types == ["Question", "InputRequiredEvent"]
    assert event_node(graph, "Question").is_subclass_of("InputRequiredEvent", "Draft")
    assert not event_node(graph, "Question").is_subclass_of("Draft")


def test_a_field_that_json_does_not_know_costs_the_schema_only() -> None:
    assert event_node(get_workflow_representation(Review), "Question").event_schema is None


def test_a_step_that_takes_subclasses_is_reached_by_each_but_not_by_the_end() -> None:
    class Wide(Workflow):
        @step
        async def split(self, ev: StartEvent) -> Draft | ShortDraft:
            return ShortDraft(text="")

        @step(accept_event_subclasses=True)
        async def take(self, ev: Draft) -> StopEvent:
            return StopEvent()

        @step(accept_event_subclasses=True)
        async def watch(self, ev: Event) -> None: ...

    found = arrows(get_workflow_representation(Wide))

    assert {source for source, target in found if target == "take"} == {"Draft", "ShortDraft"}
    assert {source for source, target in found if target == "watch"} == {"Event", "StartEvent", "Draft", "ShortDraft"}


def test_silence_comes_from_the_people_outside_too() -> None:
    class Patient(Review):
        @step
        async def late(self, ev: AskExpired) -> StopEvent:
            return StopEvent()

    assert ("external_step", "AskExpired") in arrows(get_workflow_representation(Patient))


def test_what_is_filtered_out_is_led_past_with_its_label() -> None:
    graph = get_workflow_representation(Review).filter_by_node_type("event")

    assert [node.id for node in graph.nodes] == ["write", "decide", "external_step"]
    assert [(edge.source, edge.target, edge.label) for edge in graph.edges] == [
        ("write", "external_step", "Question"),
        ("decide", "write", "Draft"),
        ("external_step", "decide", "HumanResponseEvent"),
    ]


def test_several_kinds_are_filtered_at_once() -> None:
    graph = get_workflow_representation(Review).filter_by_node_type("event", "external")

    assert arrows(graph) == {("write", "decide"), ("decide", "write")}
    assert {edge.label for edge in graph.edges} == {"Question", "Draft"}


def test_nodes_filtered_out_in_a_circle_are_passed_once() -> None:
    names = ["a", "x", "y", "b"]
    nodes = [WorkflowGenericNode(id=name, label=name, node_type="gone" if name in "xy" else "kept") for name in names]
    pairs = [("a", "x"), ("x", "y"), ("y", "x"), ("y", "b"), ("a", "b")]
    edges = [WorkflowGraphEdge(source=source, target=target) for source, target in pairs]

    graph = WorkflowGraph(name="g", nodes=[*nodes], edges=edges).filter_by_node_type("gone")

    assert [(edge.source, edge.target, edge.label) for edge in graph.edges] == [("a", "b", "x")]


def test_a_graph_comes_back_from_json_as_it_was() -> None:
    graph = get_workflow_representation(Review)

    assert WorkflowGraph.model_validate_json(graph.model_dump_json()) == graph


@pytest.mark.parametrize(("label", "shown"), [("short", "short"), ("exactly ten", "exactly t*")])
def test_long_labels_are_cut(label: str, shown: str) -> None:
    assert WorkflowStepNode(id="s", label=label).truncated_label(10) == shown


class Settings(BaseModel):
    size: int = 1


def connect(settings: Annotated[Settings, ResourceConfig(config_file="nowhere.json", label="size")]) -> str:
    """Open it."""
    return ""


class Given(Workflow):
    @step
    async def begin(
        self,
        ev: StartEvent,
        a: Annotated[str, Resource(connect)],
        b: Annotated[str, Resource(connect)],
        c: Annotated[int, Resource(int)],
    ) -> StopEvent:
        return StopEvent()


def test_what_steps_and_factories_are_given_is_in_the_graph_once() -> None:
    graph = get_workflow_representation(Given)

    made = {node.getter_name: node for node in graph.nodes if isinstance(node, WorkflowResourceNode)}
    opened = made["connect"]
    given = [(edge.source, edge.target, edge.label) for edge in graph.edges if edge.label in ("a", "b", "c")]
    assert given == [("begin", opened.id, "a"), ("begin", opened.id, "b"), ("begin", made["int"].id, "c")]
    assert [edge.label for edge in graph.edges if edge.source == opened.id] == ["settings"]
    assert (opened.label, opened.description, opened.source_file) == ("str", "Open it.", __file__)
    assert made["int"].source_file is None


def test_settings_that_cannot_be_read_are_in_the_graph_all_the_same() -> None:
    graph = get_workflow_representation(Given())

    (node,) = (node for node in graph.nodes if isinstance(node, WorkflowResourceConfigNode))
    assert (node.label, node.type_name, node.config_file, node.config_value) == ("size", "Settings", None, None)
    assert node.config_schema == Settings.model_json_schema()
