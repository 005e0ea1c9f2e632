"""A workflow as a graph of nodes and edges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel

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
from engine.representation import get_workflow_representation
from engine.resource import Resource, ResourceConfig
from tests.parity.seeing import Seen, told


class Draft(Event):
    text: str


class ShortDraft(Draft):
    pass


class Plain(Workflow):
    """Two steps in a row."""

    @step
    async def a_write(self, ev: StartEvent) -> Draft:
        """Write it."""
        return Draft(text="t")

    @step
    async def b_end(self, ev: Draft) -> StopEvent | None:
        return StopEvent()


class Asks(Workflow):
    """A question and its answer."""

    @step
    async def a_ask(self, ctx: Context, ev: StartEvent | Draft) -> InputRequiredEvent:
        return InputRequiredEvent()

    @step
    async def b_decide(self, ev: HumanResponseEvent) -> Draft | StopEvent:
        return StopEvent()


class Ink(BaseModel):
    colour: str = "blue"


INK = Path(__file__).parents[1] / "ink.json"


def pen(
    ink: Annotated[Ink, ResourceConfig(config_file=str(INK), path_selector="pot", description="What flows.")],
) -> str:
    """What one writes with."""
    return f"{ink.colour} pen"


class Given(Workflow):
    """Steps that are given something."""

    @step(accept_event_subclasses=True)
    async def a_begin(self, ev: StartEvent, tool: Annotated[str, Resource(pen)]) -> ShortDraft:
        return ShortDraft(text="t")

    @step(accept_event_subclasses=True)
    async def b_end(self, ev: Draft, tool: Annotated[str, Resource(pen)]) -> StopEvent:
        return StopEvent()

    @catch_error
    async def c_handle(self, ev: StepFailedEvent) -> StopEvent:
        return StopEvent()


def graph(flow: Any) -> Seen:
    """Return the nodes and edges of a workflow in an order of their own."""
    found = get_workflow_representation(flow)
    nodes = sorted((_told(node.model_dump()) for node in found.nodes), key=repr)
    edges = sorted((_told(edge.model_dump()) for edge in found.edges), key=repr)
    return {"name": found.name, "description": found.description, "nodes": nodes, "edges": edges}


def _told(part: dict[str, Any]) -> dict[str, Seen]:
    varies = ("event_schema", "id", "source", "target")
    shown = {key: told(value) if isinstance(value, str) else value for key, value in part.items() if key not in varies}
    for key in ("id", "source", "target"):
        if key in part:
            shown[key] = part[key].rpartition("_")[0] if part[key].startswith("resource_") else part[key]
    return shown


async def the_graph_of_two_steps() -> Seen:
    return graph(Plain()), graph(Plain)


async def the_graph_of_a_question() -> Seen:
    return graph(Asks())


async def the_graph_of_subclasses_resources_and_handlers() -> Seen:
    return graph(Given())
