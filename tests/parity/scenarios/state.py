"""``ctx.store``: keys, paths, typed state, edits."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from engine import Context, Event, StartEvent, StopEvent, Workflow, step
from tests.parity.seeing import Seen, end_of, plain, refusal, seen, turns


class Keys(Workflow):
    @step
    async def a_work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        store = ctx.store
        await store.set("a", 1)
        await store.set("b.c.d", [1, {"e": 2}])
        found = [await store.get(path) for path in ("a", "b", "b.c", "b.c.d.1.e", "b.c.d.0")]
        found += [
            await store.get("x", default="d"),
            await store.get("a.b", default=None),
            await store.get("", default=1),
        ]
        return StopEvent(result=found)


async def keys_and_paths() -> Seen:
    return await end_of(Keys().run())


async def what_is_not_in_the_store() -> Seen:
    store = Context[Any](Keys()).store
    await store.set("a", 1)
    paths = ["x", "", "a.b", "x.y.z", "a.0"]
    return [await end_of(store.get(path)) for path in paths], await end_of(store.set("", 1))


async def a_path_that_is_too_deep() -> Seen:
    store = Context[Any](Keys()).store
    deep = ".".join("a" * 1001)
    return await end_of(store.set(deep, 1)), await end_of(store.get(deep)), await end_of(store.set(deep[2:], 1))


async def a_path_through_what_is_no_mapping() -> Seen:
    store = Context[Any](Keys()).store
    await store.set("a", 1)
    await store.set("l", [1, 2, 3])
    await store.set("l.1", "two")
    return await end_of(store.set("a.b", 2)), await end_of(store.get("l")), await end_of(store.get("l.7"))


async def an_index_past_the_end_of_a_list() -> Seen:
    store = Context[Any](Keys()).store
    await store.set("l", [1, 2, 3])
    return await end_of(store.set("l.7", 2))


class Review(BaseModel):
    topic: str = "none"
    votes: dict[str, int] = {}
    rounds: int = 0


class TypedState(Workflow):
    @step
    async def a_work(self, ctx: Context[Review], ev: StartEvent) -> StopEvent:
        await ctx.store.set("topic", "birds")
        await ctx.store.set("votes.ada", 3)
        async with ctx.store.edit_state() as state:
            state.rounds += 1
            state.votes["bob"] = 1
        state = await ctx.store.get_state()
        return StopEvent(result=(type(state).__name__, state.model_dump(), await ctx.store.get("votes.bob")))


async def typed_state() -> Seen:
    return await end_of(TypedState().run())


async def a_field_that_typed_state_does_not_have() -> Seen:
    store = Context[Review](TypedState()).store
    got = await end_of(store.get("nothing")), await end_of(store.get("votes.nobody", default=0))
    return got, (await end_of(store.set("nothing", 1)))[:10]


async def a_value_that_does_not_fit_typed_state() -> Seen:
    store = Context[Review](TypedState()).store
    return await end_of(store.set("rounds", "many")), await end_of(store.get("rounds"))


class Wide(Review):
    extra: str = "e"


class Narrow(Workflow):
    @step
    async def a_begin(self, ctx: Context[Review], ev: StartEvent) -> Event:
        await ctx.store.set("topic", "narrow")
        return Event()

    @step
    async def b_end(self, ctx: Context[Wide], ev: Event) -> StopEvent:
        await ctx.store.set_state(Review(topic="parent", rounds=5))  # type: ignore[arg-type]  # merging is the point
        return StopEvent(result=plain(await ctx.store.get_state()))


async def steps_with_parent_and_child_state() -> Seen:
    return await end_of(Narrow().run())


class Unrelated(BaseModel):
    x: int = 0


async def a_state_of_an_unrelated_type() -> Seen:
    store = Context[Review](TypedState()).store
    return await end_of(store.set_state(Unrelated()))  # type: ignore[arg-type]  # the mistake


async def state_types_that_do_not_fit_together() -> Seen:
    class Torn(Workflow):
        @step
        async def a_begin(self, ctx: Context[Review], ev: StartEvent) -> Event:
            return Event()

        @step
        async def b_end(self, ctx: Context[Unrelated], ev: Event) -> StopEvent:
            return StopEvent()

    def build() -> Any:
        return Context[Any](Torn()).store

    return str(refusal(build)).partition("Found: ")[0]  # theirs are in no order


async def an_edit_is_seen_when_it_is_whole() -> Seen:
    store = Context[Any](Keys()).store
    await store.set("list", [1])
    async with store.edit_state() as state:
        state["list"].append(2)
        state["new"] = 1
        inside = await store.get("list"), await store.get("new", default=None)
    return inside, await store.get("list"), await store.get("new")


async def an_edit_that_fails_changes_nothing() -> Seen:
    store = Context[Any](Keys()).store
    await store.set("list", [1])

    async def edit() -> None:
        async with store.edit_state() as state:
            state["list"].append(2)
            raise ValueError("in the middle")

    return await end_of(edit()), await store.get("list")


async def writers_inside_an_edit() -> Seen:
    store = Context[Any](Keys()).store
    errors = []
    async with store.edit_state() as state:
        errors.append(await end_of(store.set("a", 1)))
        errors.append(await end_of(store.set_state(state)))
        errors.append(await end_of(store.clear()))
        state["kept"] = True
    return errors, await store.get("kept")


class Counter(Workflow):
    """Many calls add one each."""

    @step
    async def a_split(self, ctx: Context, ev: StartEvent) -> Event | None:
        await ctx.store.set("count", 0)
        for _ in range(8):
            ctx.send_event(Event())
        return None

    @step
    async def b_add(self, ctx: Context, ev: Event) -> StopEvent | None:
        async with ctx.store.edit_state() as state:
            before = state["count"]
            await turns(2)
            state["count"] = before + 1
        return StopEvent(result=before + 1) if before + 1 == 8 else None


async def edits_wait_for_each_other() -> Seen:
    return await end_of(Counter().run())


async def the_store_is_emptied() -> Seen:
    store = Context[Any](Keys()).store
    await store.set("a", 1)
    await store.clear()
    typed = Context[Review](TypedState()).store
    await typed.set("rounds", 3)
    await typed.clear()
    return await store.get("a", default="gone"), await typed.get("rounds")


class Sums(Workflow):
    @step
    async def a_add(self, ctx: Context, ev: StartEvent) -> StopEvent:
        total = await ctx.store.get("total", default=0) + ev.n
        await ctx.store.set("total", total)
        return StopEvent(result=total)


async def a_store_that_is_seeded() -> Seen:
    flow = Sums()
    ctx = Context[Any](flow)
    await ctx.store.set("total", 10)
    handler = flow.run(ctx=ctx, n=5)
    return await end_of(handler), await ctx.store.get("total"), await handler.ctx.store.get("total"), handler.ctx is ctx


async def runs_after_each_other_in_one_context() -> Seen:
    flow = Sums()
    ctx = Context[Any](flow)
    return [await end_of(flow.run(ctx=ctx, n=n)) for n in (1, 2, 3)]


async def runs_beside_each_other() -> Seen:
    flow = Sums()
    handlers = [flow.run(n=n) for n in (1, 2, 3)]
    return [await end_of(handler) for handler in handlers]


async def what_is_read_is_the_live_object() -> Seen:
    store = Context[Any](Keys()).store
    await store.set("list", [1])
    (await store.get("list")).append(2)
    return await store.get("list")


class Kept(Workflow):
    """Writes in one step, fails and is tried in none: what is written stays."""

    @step
    async def a_fail(self, ctx: Context, ev: StartEvent) -> StopEvent:
        await ctx.store.set("seen", True)
        await ctx.store.set("data", {"list": [1, 2]})
        raise ValueError("after writing")


async def the_store_of_a_run_that_failed() -> Seen:
    handler = Kept().run()
    shown = await seen(handler)
    return shown, await handler.ctx.store.get("data.list.1")
