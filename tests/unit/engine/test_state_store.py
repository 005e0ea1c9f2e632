"""``ctx.store``: one memory that steps and callers share, edited by one at a time."""

import asyncio
import threading
from typing import Any

import pytest
from pydantic import BaseModel

from engine import Context, Event, StartEvent, StopEvent, Workflow, step
from engine.core.model import DictState
from engine.state_store import StateStore


class A(Event): ...


class Base(BaseModel):
    count: int = 0


class Pages(Base):
    names: list[str] = []


class Needy(BaseModel):
    must: int


class Plain(Workflow):
    @step
    async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
        return StopEvent(result=(await ctx.store.get_state()).to_dict())


class Typed(Workflow):
    @step
    async def only(self, ctx: Context[Pages], ev: StartEvent) -> StopEvent:
        return StopEvent(result=await ctx.store.get_state())


@pytest.fixture
def store() -> StateStore[DictState]:
    return Context[DictState](Plain()).store


@pytest.fixture
def typed() -> StateStore[Pages]:
    return Context[Pages](Typed()).store


async def test_a_value_set_is_a_value_got(store: StateStore[DictState]) -> None:
    await store.set("draft.title", "x")

    assert await store.get("draft") == {"title": "x"}
    assert await store.get("draft.title") == "x"


async def test_a_missing_path_raises_or_gives_the_default(store: StateStore[DictState]) -> None:
    with pytest.raises(ValueError, match="Path 'x' not found in state"):
        await store.get("x")

    assert await store.get("x", default=None) is None
    assert await store.get("x.y", 5) == 5


async def test_an_empty_path_is_the_whole_state_and_cannot_be_set(store: StateStore[DictState]) -> None:
    assert await store.get("", default=1) is await store.get_state()
    with pytest.raises(ValueError, match="Path cannot be empty"):
        await store.set("", 1)


async def test_what_is_got_is_the_live_object(store: StateStore[DictState]) -> None:
    await store.set("names", [])

    (await store.get("names")).append("x")

    assert await store.get("names") == ["x"]


async def test_clearing_goes_back_to_the_beginning(store: StateStore[DictState], typed: StateStore[Pages]) -> None:
    await store.set("a", 1)
    await typed.set("count", 1)

    await store.clear()
    await typed.clear()

    assert await store.get_state() == DictState()
    assert await typed.get_state() == Pages()


async def test_a_state_whose_fields_have_no_default_cannot_be_cleared() -> None:
    class Flow(Workflow):
        @step
        async def only(self, ctx: Context[Needy], ev: StartEvent) -> StopEvent:
            return StopEvent()

    with pytest.raises(ValueError, match="must"):
        await Context[Needy](Flow()).store.clear()


# --- The whole state ------------------------------------------------------------------------------


async def test_the_whole_state_can_be_replaced(typed: StateStore[Pages]) -> None:
    """Behaviour 59."""
    await typed.set_state(Pages(count=2, names=["x"]))

    assert await typed.get_state() == Pages(count=2, names=["x"])


async def test_a_state_of_the_parent_type_changes_its_own_fields(typed: StateStore[Any]) -> None:
    """Behaviour 59."""
    await typed.set("names", ["kept"])

    await typed.set_state(Base(count=3))

    assert await typed.get_state() == Pages(count=3, names=["kept"])


async def test_a_state_of_another_type_is_refused(typed: StateStore[Any]) -> None:
    """Behaviour 59."""
    with pytest.raises(ValueError, match="State must be of type Pages or a parent type, got Needy"):
        await typed.set_state(Needy(must=1))


# --- Editing --------------------------------------------------------------------------------------


async def test_an_edit_shows_when_it_ends(store: StateStore[DictState]) -> None:
    """Behaviour 58."""
    await store.set("names", ["x"])

    async with store.edit_state() as state:
        state["names"].append("y")
        state["count"] = 2
        assert await store.get("names") == ["x"]
        assert await store.get("count", default=None) is None

    assert (await store.get_state()).to_dict() == {"names": ["x", "y"], "count": 2}


async def test_an_edit_that_fails_changes_nothing(store: StateStore[DictState]) -> None:
    """Behaviour 58."""
    await store.set("names", ["x"])

    async def fail() -> None:
        async with store.edit_state() as state:
            state["names"].append("y")
            raise KeyError

    with pytest.raises(KeyError):
        await fail()

    assert await store.get("names") == ["x"]


async def test_a_typed_state_is_edited_in_isolation(typed: StateStore[Pages]) -> None:
    """Behaviour 58, 59."""
    async with typed.edit_state() as state:
        state.names.append("x")
        assert await typed.get("names") == []

    assert await typed.get("names") == ["x"]


async def test_an_edit_that_does_not_fit_its_type_changes_nothing(typed: StateStore[Pages]) -> None:
    """Behaviour 58, 68."""
    await typed.set("names", ["x"])

    async def spoil() -> None:
        async with typed.edit_state() as state:
            state.names.append("y")
            state.count = "many"  # type: ignore[assignment]  # that is the point

    with pytest.raises(ValueError, match="count"):
        await spoil()

    assert await typed.get_state() == Pages(names=["x"])


async def test_a_state_that_has_come_not_to_fit_its_type_is_refused_whole(typed: StateStore[Pages]) -> None:
    """Behaviour 68."""
    state = Pages()
    state.names = "x"  # type: ignore[assignment]  # that is the point

    with pytest.raises(ValueError, match="names"):
        await typed.set_state(state)

    assert await typed.get_state() == Pages()


async def test_what_has_no_copy_is_shared_by_an_edit(store: StateStore[DictState]) -> None:
    lock = threading.Lock()
    await store.set("lock", lock)
    await store.set("names", ["x"])

    async with store.edit_state() as state:
        state["names"].append("y")
        assert await store.get("names") == ["x"]

    assert await store.get("lock") is lock


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.set("a", 1),
        lambda store: store.set_state(DictState()),
        lambda store: store.clear(),
        lambda store: store.edit_state().__aenter__(),
    ],
)
async def test_a_writer_inside_an_edit_is_told(store: StateStore[DictState], write: Any) -> None:
    """Behaviour 58."""
    async with store.edit_state():
        with pytest.raises(RuntimeError, match="writer called inside edit_state: mutate the yielded state instead"):
            await write(store)

    await store.set("a", 1)
    assert await store.get("a") == 1


async def test_edits_wait_for_each_other(store: StateStore[DictState]) -> None:
    """Behaviour 58."""
    await store.set("n", 0)

    async def add() -> None:
        async with store.edit_state() as state:
            seen = state["n"]
            await asyncio.sleep(0)
            state["n"] = seen + 1

    async with asyncio.TaskGroup() as tasks:
        for _ in range(20):
            tasks.create_task(add())

    assert await store.get("n") == 20


async def test_a_write_waits_for_an_edit_and_is_not_lost(store: StateStore[DictState]) -> None:
    """Behaviour 58."""
    async with asyncio.TaskGroup() as tasks:  # noqa: SIM117 - the write ends after the edit
        async with store.edit_state() as state:
            writing = tasks.create_task(store.set("from_outside", 1))
            await asyncio.sleep(0)
            assert not writing.done()
            state["from_inside"] = 2

    assert (await store.get_state()).to_dict() == {"from_inside": 2, "from_outside": 1}


async def test_an_edit_from_the_handler_and_one_from_a_step_wait_for_each_other() -> None:
    """Behaviour 58."""
    inside, go = asyncio.Event(), asyncio.Event()

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            async with ctx.store.edit_state() as state:
                inside.set()
                await go.wait()
                state["step"] = True
            return StopEvent()

    handler = Flow().run()
    await inside.wait()
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(handler.ctx.store.set("handler", True))
        await asyncio.sleep(0)
        assert not writing.done()
        go.set()
    await handler

    assert (await handler.ctx.store.get_state()).to_dict() == {"step": True, "handler": True}


async def test_parallel_steps_lose_no_edit() -> None:
    """Behaviour 58."""

    class Flow(Workflow):
        @step
        async def split(self, ctx: Context, ev: StartEvent) -> A | None:
            for _ in range(10):
                ctx.send_event(A())
            return None

        @step(num_workers=10)
        async def add(self, ctx: Context, ev: A) -> StopEvent | None:
            async with ctx.store.edit_state() as state:
                n = state.get("n", 0) + 1
                await asyncio.sleep(0)
                state["n"] = n
            return StopEvent(result=n) if n == 10 else None

    assert await Flow().run() == 10


# --- Before, between and after runs ----------------------------------------------------------------


async def test_what_is_seeded_before_a_run_is_there_in_it() -> None:
    """Behaviour 47."""
    flow = Plain()
    ctx = Context[DictState](flow)
    await ctx.store.set("seed", 1)

    assert await flow.run(ctx=ctx) == {"seed": 1}


async def test_what_is_set_after_a_run_is_there_in_the_next() -> None:
    """Behaviour 47."""
    flow = Plain()
    ctx = Context[DictState](flow)
    await flow.run(ctx=ctx)

    await ctx.store.set("between", 1)

    assert await flow.run(ctx=ctx) == {"between": 1}


async def test_a_typed_store_refuses_what_does_not_fit_inside_a_step() -> None:
    """Behaviour 68."""

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context[Pages], ev: StartEvent) -> StopEvent:
            await ctx.store.set("count", "7")
            await ctx.store.set("count", "many")
            return StopEvent()

    with pytest.raises(ValueError, match="count"):
        await Flow().run()
