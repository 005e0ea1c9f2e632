"""Resources: what a step is given besides its event, how often it is made, and what is said when it cannot be."""

import asyncio
import json
import os
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from engine import Context, Event, StartEvent, StopEvent, Workflow, WorkflowValidationError, retry_policy, step
from engine.resource import Resource, ResourceConfig, ResourceManager
from engine.retry import wait_none

counts: ContextVar[list[str]] = ContextVar("counts")
"""Which factories were called in this test, in order."""


@pytest.fixture(autouse=True)
def called() -> list[str]:
    names: list[str] = []
    counts.set(names)
    return names


class Thing:
    def __init__(self, *parts: object) -> None:
        self.parts = parts


class Middle(Event): ...


class Limits(BaseModel):
    retries: int
    label: str = "none"


class Names(BaseModel):
    label: str


def make_thing() -> Thing:
    counts.get().append("thing")
    return Thing()


async def make_thing_later() -> Thing:
    counts.get().append("later")
    await asyncio.sleep(0)
    return Thing()


def make_fresh() -> Thing:
    counts.get().append("fresh")
    return Thing()


def make_left(fresh: Annotated[Thing, Resource(make_fresh, cache=False)]) -> Thing:
    return Thing(fresh)


async def make_right(
    fresh: Annotated[Thing, Resource(make_fresh, cache=False)],
    thing: Annotated[Thing, Resource(make_thing)],
    size: int = 3,
) -> Thing:
    return Thing(fresh, thing, size)


def make_a(b: "Annotated[str, Resource(make_b)]") -> str:
    return b


def make_b(a: "Annotated[str, Resource(make_a)]") -> str:
    return a


def make_nothing() -> Thing:
    raise RuntimeError("no database here")


# --- What a step is given ----------------------------------------------------------------------


class Twice(Workflow):
    @step
    async def first(self, ev: StartEvent, thing: Annotated[Thing, Resource(make_thing)]) -> Middle:
        return Middle(first=id(thing))

    @step
    def second(self, thing: Annotated[Thing, Resource(make_thing)], ev: Middle, ctx: Context) -> StopEvent:
        return StopEvent(result=id(thing) == ev.first)


async def test_a_cached_resource_is_made_once_and_given_to_every_step_and_run(called: list[str]) -> None:
    """Behaviour 63."""
    flow = Twice()

    assert [await flow.run(), await flow.run()] == [True, True]
    assert called == ["thing"]


async def test_each_workflow_has_resources_of_its_own_unless_a_manager_is_shared(called: list[str]) -> None:
    manager = ResourceManager()

    await Twice().run()
    await Twice().run()
    await Twice(resource_manager=manager).run()
    await Twice(resource_manager=manager).run()

    assert called == ["thing"] * 3
    assert list(manager.get_all()) == ["make_thing"]


async def test_a_resource_that_is_set_by_name_takes_the_factorys_place(called: list[str]) -> None:
    manager, stub = ResourceManager(), Thing("stub")
    await manager.set("make_thing", stub)

    class Flow(Workflow):
        @step
        async def only(self, *, ev: StartEvent, thing: Annotated[Thing, Resource(make_thing)]) -> StopEvent:
            return StopEvent(result=thing.parts)

    assert await Flow(resource_manager=manager).run() == ("stub",)
    assert called == []


async def test_a_factory_is_given_what_it_is_annotated_with(called: list[str]) -> None:
    """Behaviour 63."""

    class Flow(Workflow):
        @step
        async def only(
            self,
            ev: StartEvent,
            left: Annotated[Thing, Resource(make_left, cache=False)],
            right: Annotated[Thing, "a note of somebody else's", Resource(make_right, cache=False)],
        ) -> StopEvent:
            return StopEvent(result=(left.parts[0] is right.parts[0], right.parts[2]))

    flow = Flow()

    assert await flow.run() == (True, 3)
    assert called == ["fresh", "thing"]
    await flow.run()
    assert called == ["fresh", "thing", "fresh"]


async def test_what_is_not_cached_is_made_for_each_call_of_a_step(called: list[str]) -> None:
    """Behaviour 63."""

    class Flow(Workflow):
        @step
        async def first(self, ev: StartEvent, fresh: Annotated[Thing, Resource(make_fresh, cache=False)]) -> Middle:
            return Middle(thing=fresh)

        @step
        async def second(self, ev: Middle, fresh: Annotated[Thing, Resource(make_fresh, cache=False)]) -> StopEvent:
            return StopEvent(result=ev.thing is fresh)

    assert await Flow().run() is False
    assert called == ["fresh", "fresh"]


async def test_concurrent_steps_wait_for_one_making_of_a_cached_resource(called: list[str]) -> None:
    """Behaviour 63."""

    class Flow(Workflow):
        @step
        async def first(self, ctx: Context, ev: StartEvent) -> Middle | None:
            for _ in range(3):
                ctx.send_event(Middle())
            return None

        @step
        async def second(
            self, ctx: Context, ev: Middle, thing: Annotated[Thing, Resource(make_thing_later)]
        ) -> StopEvent | None:
            async with ctx.store.edit_state() as state:
                state.seen = [*state.get("seen", []), id(thing)]
            seen = await ctx.store.get("seen")
            return StopEvent(result=len(set(seen))) if len(seen) == 3 else None

    assert await Flow().run() == 1
    assert called == ["later"]


async def test_concurrent_steps_do_not_share_what_is_not_cached(called: list[str]) -> None:
    manager = ResourceManager()
    fresh = Resource(make_thing_later, cache=False)

    async with asyncio.TaskGroup() as tasks:
        made = [tasks.create_task(manager.get(fresh)) for _ in range(3)]

    assert len({id(task.result()) for task in made}) == 3


async def test_a_scope_shares_what_is_not_cached(called: list[str]) -> None:
    manager = ResourceManager()
    fresh = Resource(make_fresh, cache=False)

    with manager.resolution_scope():
        same = await manager.get(fresh) is await manager.get(fresh)

    assert same
    assert await manager.get(fresh) is not await manager.get(fresh)
    assert called == ["fresh"] * 3


async def test_a_factory_that_failed_is_tried_again() -> None:
    manager, attempts = ResourceManager(), []

    async def flaky() -> str:
        attempts.append(1)
        await asyncio.sleep(0)
        if len(attempts) == 1:
            raise RuntimeError("not yet")
        return "made"

    async def asked() -> str:
        try:
            return str(await manager.get(Resource(flaky)))
        except RuntimeError as error:
            return str(error)

    async with asyncio.TaskGroup() as tasks:
        told = [tasks.create_task(asked()) for _ in range(3)]

    assert [task.result() for task in told] == ["not yet", "made", "made"]
    assert len(attempts) == 2


async def test_a_retry_policy_covers_the_steps_resources() -> None:
    attempts = []

    def flaky() -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise RuntimeError("not yet")
        return "made"

    class Flow(Workflow):
        @step(retry_policy=retry_policy(wait=wait_none()))
        async def only(self, ev: StartEvent, text: Annotated[str, Resource(flaky)]) -> StopEvent:
            return StopEvent(result=text)

    assert await Flow().run() == "made"


async def test_a_factory_that_fails_fails_the_run() -> None:
    class Flow(Workflow):
        @step
        async def only(self, ev: StartEvent, thing: Annotated[Thing, Resource(make_nothing)]) -> StopEvent:
            return StopEvent()

    with pytest.raises(RuntimeError, match="no database here"):
        await Flow().run()


async def test_a_factory_sees_the_context_of_the_step_it_is_for() -> None:
    def run_id() -> str:
        return Context.get_step_context().idempotency_key

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent, key: Annotated[str, Resource(run_id)]) -> StopEvent:
            return StopEvent(result=key == ctx.idempotency_key)

    assert await Flow().run() is True


def numbered(n: int) -> Callable[[], int]:
    def number() -> int:
        return n

    return number


class Numbers:
    def __init__(self, n: int) -> None:
        self.n = n

    def number(self) -> int:
        return self.n

    async def __call__(self) -> int:
        return self.n

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Numbers) and self.n == other.n

    __hash__ = None  # type: ignore[assignment]  # as a dataclass has it


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (lambda: 1, lambda: 2),
        (numbered(1), numbered(2)),
        (partial(int, "1"), partial(int, "2")),
        (Numbers(1), Numbers(2)),
    ],
)
async def test_factories_that_share_a_name_share_nothing_else(one: Callable[[], Any], two: Callable[[], Any]) -> None:
    manager = ResourceManager()
    resources = [Resource(one), Resource(two)]

    made = [await manager.get(resource) for resource in [*resources, *resources]]

    assert made == [1, 2, 1, 2]


async def test_a_class_is_a_factory(called: list[str]) -> None:
    class Service:
        def __init__(self, thing: "Annotated[Thing, Resource(make_thing)]") -> None:
            self.thing = thing

    assert isinstance((await ResourceManager().get(Resource(Service))).thing, Thing)
    assert await ResourceManager().get(Resource(dict)) == {}


async def test_a_factorys_annotations_may_name_what_stands_around_the_step(called: list[str]) -> None:
    def inner() -> str:
        return "inner"

    def outer(text: "Annotated[str, Resource(inner)]") -> "OnlyForTypeCheckers":  # type: ignore[name-defined]  # noqa: F821
        return f"outer of {text}"

    class Flow(Workflow):
        @step
        async def only(self, ev: StartEvent, text: "Annotated[str, Resource(outer)]") -> StopEvent:
            return StopEvent(result=text)

    assert await Flow().run() == "outer of inner"


async def test_a_factory_that_names_what_is_not_there_is_told() -> None:
    def lost(text: "Annotated[str, Resource(nowhere)]") -> str:  # noqa: F821
        return text

    with pytest.raises(WorkflowValidationError, match=r"annotations for .*lost. Missing name: nowhere"):
        await ResourceManager().get(Resource(lost))


def test_a_parameter_that_is_annotated_with_something_else_is_not_filled() -> None:
    with pytest.raises(WorkflowValidationError, match="only: cannot fill parameter pages"):

        class Flow(Workflow):
            @step
            async def only(self, ev: StartEvent, pages: Annotated[int, "how many"]) -> StopEvent:
                return StopEvent()


# --- Circles -----------------------------------------------------------------------------------


class Round(Workflow):
    @step
    async def only(self, ev: StartEvent, a: Annotated[str, Resource(make_a)]) -> StopEvent:
        return StopEvent()


async def test_a_circle_is_told_with_its_way_round() -> None:
    """Behaviour 63."""
    with pytest.raises(ValueError, match=r"Circular resource dependency detected: make_a -> make_b -> make_a$"):
        await Round().run()


async def test_two_calls_that_enter_a_circle_from_two_sides_are_both_told() -> None:
    manager = ResourceManager()

    async def told(factory: Callable[..., str]) -> str:
        with pytest.raises(ValueError, match="Circular resource dependency detected") as caught:
            await manager.get(Resource(factory))
        return str(caught.value).rpartition(": ")[2]

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        sides = [tasks.create_task(told(factory)) for factory in (make_a, make_b)]

    assert [side.result() for side in sides] == ["make_a -> make_b -> make_a", "make_b -> make_a -> make_b"]


async def test_a_resource_that_is_set_breaks_a_circle() -> None:
    manager = ResourceManager()

    await manager.set("make_b", "set")

    assert await manager.get(Resource(make_a)) == "set"


# --- Config files ------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Configured(Workflow):
    @step
    async def only(
        self,
        ev: StartEvent,
        limits: Annotated[Limits, ResourceConfig(config_file="app.json", path_selector="core.limits")],
        names: Annotated[Names, ResourceConfig("app.json", "core.limits", label="Names", description="What for")],
    ) -> StopEvent:
        return StopEvent(result=(limits.retries, names))


async def test_a_config_is_read_as_the_model_it_is_annotated_with(folder: Path) -> None:
    (folder / "app.json").write_text(json.dumps({"core": {"limits": {"retries": 3, "label": "größer"}}}), "utf-8")

    assert await Configured().run() == (3, Names(label="größer"))


async def test_a_config_is_read_once(folder: Path) -> None:
    (folder / "app.json").write_text(json.dumps({"core": {"limits": {"retries": 3, "label": "x"}}}))
    flow = Configured()
    await flow.run()
    os.remove("app.json")

    assert (await flow.run())[0] == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file: app.json"),
        ({"core": 1}, r"Expected dictionary for configuration from .*app.json at path core, got: <class 'int'>"),
        ({"core": {}}, r"at path core.limits, got: <class 'NoneType'>"),
        ({"core": {"limits": {"retries": "many"}}}, "validation error"),
    ],
)
def test_a_config_that_cannot_be_read_is_told_before_anything_runs(
    folder: Path, content: dict[str, object] | None, said: str
) -> None:
    if content is not None:
        (folder / "app.json").write_text(json.dumps(content))
    flow = Configured()

    with pytest.raises(WorkflowValidationError, match=said) as caught:
        flow.validate()
    assert str(caught.value).startswith("Resource config validation failed:\n  - In step 'only', parameter 'limits': ")
    assert flow.validate(validate_resource_configs=False) is False


def make_client(limits: Annotated[Limits, ResourceConfig("gone.json")]) -> Thing:
    return Thing(limits)


class Nested(Workflow):
    @step
    async def only(self, ev: StartEvent, client: Annotated[Thing, Resource(make_client)]) -> StopEvent:
        return StopEvent(result=client.parts[0])


async def test_a_config_behind_a_factory_is_told_with_the_way_there(folder: Path) -> None:
    said = r"In step 'only', parameter 'client' \(make_client -> gone.json\): No such file: gone.json"

    with pytest.raises(WorkflowValidationError, match=said):
        Nested().run()


async def test_a_config_behind_a_factory_is_read(folder: Path) -> None:
    (folder / "gone.json").write_text('{"retries": 1}')

    assert await Nested().run() == Limits(retries=1)


def test_only_json_is_a_config() -> None:
    with pytest.raises(ValueError, match=r"Only JSON files can be used to load Pydantic-based resources\."):
        ResourceConfig(config_file="app.yaml")


async def test_a_config_without_a_model_is_refused(folder: Path) -> None:
    (folder / "app.json").write_text("{}")

    with pytest.raises(ValueError, match="Class factory should be set to a BaseModel subclass before calling"):
        await ResourceManager().get(ResourceConfig("app.json"))


# --- Making everything beforehand ----------------------------------------------------------------


def test_resources_are_not_made_by_validating(called: list[str]) -> None:
    Twice().validate()

    assert called == []


def test_validating_resources_makes_each_once_and_drops_it(called: list[str]) -> None:
    manager = ResourceManager()

    assert Twice(resource_manager=manager).validate(validate_resources=True) is False
    assert called == ["thing"]
    assert manager.get_all() == {}


async def test_resources_can_be_validated_while_an_event_loop_runs() -> None:
    class Flow(Workflow):
        @step
        async def only(
            self,
            ev: StartEvent,
            a: Annotated[str, Resource(make_a)],
            later: Annotated[Thing, Resource(make_thing_later)],
            thing: Annotated[Thing, Resource(make_nothing)],
        ) -> StopEvent:
            return StopEvent()

    with pytest.raises(WorkflowValidationError) as caught:
        Flow().validate(validate_resources=True)

    assert str(caught.value) == (
        "Resource validation failed:\n"
        "  - In step 'only', parameter 'a': Circular resource dependency detected: make_a -> make_b -> make_a\n"
        "  - In step 'only', parameter 'thing': no database here"
    )
