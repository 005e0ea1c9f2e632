"""What steps are given: resources and settings."""

from __future__ import annotations

import asyncio
import json
import tempfile
from itertools import count
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel

from engine import Event, StartEvent, StopEvent, Workflow, step
from engine.resource import Resource, ResourceConfig, ResourceManager
from tests.parity.seeing import Seen, end_of, refusal, seen

numbers = count()


class Client:
    def __init__(self, number: int) -> None:
        self.number = number


def connect() -> Client:
    return Client(next(numbers))


async def _connect_slowly() -> Client:
    return Client(next(numbers))


class Again(Event):
    first: int


class Cached(Workflow):
    @step
    async def a(self, ev: StartEvent, client: Annotated[Client, Resource(connect)]) -> Again:
        return Again(first=client.number)

    @step
    async def b(self, ev: Again, client: Annotated[Client, Resource(connect)]) -> StopEvent:
        return StopEvent(result=client.number - ev.first)


class Fresh(Workflow):
    @step
    async def a(self, ev: StartEvent, client: Annotated[Client, Resource(connect, cache=False)]) -> Again:
        return Again(first=client.number)

    @step
    async def b(self, ev: Again, client: Annotated[Client, Resource(connect, cache=False)]) -> StopEvent:
        return StopEvent(result=client.number - ev.first)


async def a_cached_resource() -> Seen:
    flow = Cached()
    return await end_of(flow.run()), await end_of(flow.run())


async def a_resource_that_is_not_cached() -> Seen:
    return await end_of(Fresh().run())


async def a_resource_shared_by_two_workflows() -> Seen:
    manager, found = ResourceManager(), []

    class Tells(Workflow):
        @step
        async def a(self, ev: StartEvent, client: Annotated[Client, Resource(connect)]) -> StopEvent:
            found.append(client.number)
            return StopEvent()

    for flow in (Tells(resource_manager=manager), Tells(resource_manager=manager), Tells()):
        await flow.run()
    return found[1] - found[0], found[2] - found[0]


def on_top(client: Annotated[Client, Resource(_connect_slowly)]) -> tuple[str, Client]:
    return "on top of", client


class Deep(Workflow):
    @step
    async def a(self, ev: StartEvent, pair: Annotated[tuple[str, Client], Resource(on_top)]) -> StopEvent:
        return StopEvent(result=(pair[0], type(pair[1]).__name__))


async def a_resource_of_a_resource() -> Seen:
    return await end_of(Deep().run())


def hen(egg: Annotated[Any, Resource("egg_later")]) -> Any:  # replaced below
    return egg


def egg(hen: Annotated[Any, Resource(hen)]) -> Any:
    return hen


hen.__annotations__["egg"] = Annotated[Any, Resource(egg)]


async def resources_in_a_circle() -> Seen:
    class Flow(Workflow):
        @step
        async def a(self, ev: StartEvent, bird: Annotated[Any, Resource(hen)]) -> StopEvent:
            return StopEvent()

    return await end_of(Flow().run())


def fail() -> Client:
    raise ConnectionError("no server")


async def a_resource_that_cannot_be_made() -> Seen:
    class Flow(Workflow):
        @step
        async def a(self, ev: StartEvent, client: Annotated[Client, Resource(fail)]) -> StopEvent:
            return StopEvent()

    return await seen(Flow().run())


class Settings(BaseModel):
    name: str
    size: int = 1


async def settings_from_a_file() -> Seen:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.json"
        path.write_text(json.dumps({"app": {"inner": {"name": "n", "size": 3}}, "name": "outer"}))

        class Flow(Workflow):
            @step
            async def a(
                self,
                ev: StartEvent,
                whole: Annotated[Settings, ResourceConfig(config_file=str(path))],
                part: Annotated[Settings, ResourceConfig(config_file=str(path), path_selector="app.inner")],
            ) -> StopEvent:
                return StopEvent(result=[whole.model_dump(), part.model_dump()])

        return await end_of(Flow().run())


async def settings_that_are_not_there() -> Seen:
    class Flow(Workflow):
        @step
        async def a(
            self, ev: StartEvent, one: Annotated[Settings, ResourceConfig(config_file="nowhere.json")]
        ) -> StopEvent:
            return StopEvent()

    return refusal(lambda: Flow().validate()), refusal(lambda: Flow().validate(validate_resource_configs=False))


async def settings_that_are_no_json() -> Seen:
    return refusal(lambda: ResourceConfig(config_file="settings.yaml"))


async def resources_that_are_tried_before_a_run() -> Seen:
    class Flow(Workflow):
        @step
        async def a(self, ev: StartEvent, client: Annotated[Client, Resource(fail)]) -> StopEvent:
            return StopEvent()

    validated = asyncio.to_thread(lambda: Flow().validate(validate_resources=True))  # theirs needs no loop around it
    return refusal(lambda: Flow().validate()), await end_of(validated)
