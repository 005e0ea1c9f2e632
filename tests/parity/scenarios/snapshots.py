"""``to_dict``, ``from_dict`` and going on: each engine reads its own snapshots, and what comes of them is the same."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import BaseModel

from engine import Context, Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.retry import retry_policy, stop_after_attempt, wait_fixed
from tests.parity.seeing import Seen, end_of, every, first_questions, plain, refusal, seen, through_json, turns


class Draft(Event):
    text: str


class Approval(Workflow):
    written = 0

    @step
    async def a_write(self, ctx: Context, ev: StartEvent) -> Draft:
        self.written += 1
        return Draft(text=f"on {ev.topic}")

    @step
    async def b_ask(self, ctx: Context, ev: Draft) -> InputRequiredEvent:
        await ctx.store.set("draft", {"text": ev.text, "tags": ["x", 1, None, 2.5]})
        return InputRequiredEvent(prefix=ev.text)

    @step
    async def c_decide(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=(ev.response, await ctx.store.get("draft"), self.written))


def restored(flow: Workflow, ctx: Any) -> Context[Any]:
    """Return the context of *ctx* as another process would have it."""
    return Context[Any].from_dict(flow, through_json(ctx.to_dict()))


async def a_pause_of_days() -> Seen:
    """The first process asks and leaves; the second one answers."""
    first, second = Approval(), Approval()
    handler = first.run(topic="birds")
    asked = await first_questions(handler)
    ctx = restored(second, handler.ctx)
    await handler.cancel_run()
    running = ctx.is_running
    again = second.run(ctx=ctx)
    ctx.send_event(HumanResponseEvent(response="yes"))
    return asked, running, await end_of(again), again.ctx is ctx


async def the_stream_of_a_run_that_goes_on() -> Seen:
    flow = Approval()
    handler = flow.run(topic="birds")
    await first_questions(handler)
    ctx = restored(flow, handler.ctx)
    await handler.cancel_run()
    again = flow.run(ctx=ctx)
    shown: list[Seen] = []
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(_keep(again, shown))
        await turns()
        reading.cancel()
    await again.cancel_run()
    return shown


async def _keep(handler: Any, shown: list[Seen]) -> None:
    async for event in handler.stream_events():
        shown.append(plain(event))  # noqa: PERF401 - it is read while it grows


async def an_answer_before_the_run_goes_on() -> Seen:
    first, second = Approval(), Approval()
    handler = first.run(topic="birds")
    await first_questions(handler)
    ctx = restored(second, handler.ctx)
    await handler.cancel_run()
    return refusal(lambda: ctx.send_event(HumanResponseEvent(response="yes")))


async def an_event_for_a_context_without_a_run() -> Seen:
    ctx = Context[Any](Approval())
    return refusal(lambda: ctx.send_event(HumanResponseEvent(response="yes"))), ctx.is_running


async def keywords_for_a_run_that_goes_on() -> Seen:
    """They are ignored: the run has begun."""
    flow = Approval()
    handler = flow.run(topic="birds")
    await first_questions(handler)
    ctx = restored(flow, handler.ctx)
    await handler.cancel_run()
    again = flow.run(ctx=ctx, topic="bees")
    again.ctx.send_event(HumanResponseEvent(response="yes"))
    return await end_of(again)


async def a_cancelled_run_goes_on() -> Seen:
    flow = Approval()
    handler = flow.run(topic="birds")
    await first_questions(handler)
    await handler.cancel_run()
    ctx = restored(flow, handler.ctx)
    running = ctx.is_running
    again = flow.run(ctx=ctx)
    again.ctx.send_event(HumanResponseEvent(response="late"))
    return running, await end_of(again)


async def a_second_run_of_a_running_context() -> Seen:
    flow = Approval()
    handler = flow.run(topic="birds")
    await first_questions(handler)
    refused = refusal(lambda: flow.run(ctx=handler.ctx))
    handler.ctx.send_event(HumanResponseEvent(response="yes"))
    return refused, await end_of(handler)


class Inline(Workflow):
    bodies = 0

    @step
    async def a_work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        self.bodies += 1
        answer = await ctx.wait_for_event(HumanResponseEvent, InputRequiredEvent(prefix="?"))
        return StopEvent(result=answer.response)


async def a_wait_of_days() -> Seen:
    first, second = Inline(), Inline()
    handler = first.run()
    asked = await first_questions(handler)
    await turns()
    ctx = restored(second, handler.ctx)
    await handler.cancel_run()
    again = second.run(ctx=ctx)
    await turns()
    again.ctx.send_event(HumanResponseEvent(response="yes"))
    return asked, await end_of(again)


class Part(Event):
    n: int


class Done(Event):
    n: int
    response: str


class Three(Workflow):
    """Three questions at once, each for its own answer."""

    @step
    async def a_split(self, ctx: Context, ev: StartEvent) -> Part | None:
        for n in range(3):
            ctx.send_event(Part(n=n))
        return None

    @step
    async def b_ask(self, ctx: Context, ev: Part) -> Done:
        question = InputRequiredEvent(prefix=f"{ev.n}?")
        answer = await ctx.wait_for_event(HumanResponseEvent, question, requirements={"n": ev.n})
        return Done(n=ev.n, response=answer.response)

    @step(num_workers=1)
    async def c_join(self, ctx: Context, ev: Done) -> StopEvent | None:
        found = ctx.collect_events(ev, [Done] * 3)
        return None if found is None else StopEvent(result=sorted((one.n, one.response) for one in found))


async def three_waits_of_days() -> Seen:
    first, second = Three(), Three()
    handler = first.run()
    asked = await first_questions(handler, 3)
    await turns()
    ctx = restored(second, handler.ctx)
    await handler.cancel_run()
    again = second.run(ctx=ctx)
    await turns(60)
    for n in (2, 0, 1):
        again.ctx.send_event(HumanResponseEvent(response=f"r{n}", n=n))
        await turns()
    return asked, await end_of(again)


async def a_snapshot_between_the_events_of_a_collection() -> Seen:
    first, second = Three(), Three()
    handler = first.run()
    await first_questions(handler, 3)
    await turns()
    for n in (0, 1):
        handler.ctx.send_event(HumanResponseEvent(response=f"r{n}", n=n))
        await turns()
    ctx = restored(second, handler.ctx)
    await handler.cancel_run()
    again = second.run(ctx=ctx)
    await turns(60)
    again.ctx.send_event(HumanResponseEvent(response="r2", n=2))
    return await end_of(again)


class Interrupted(Workflow):
    """Is at work when the snapshot is taken."""

    go_on: asyncio.Event

    @step
    async def a_work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        ctx.write_event_to_stream(Event(at="work"))
        await self.go_on.wait()
        return StopEvent(result=ev.topic)


async def a_step_at_work_runs_again() -> Seen:
    first, second = Interrupted(), Interrupted()
    first.go_on, second.go_on = asyncio.Event(), asyncio.Event()
    handler = first.run(topic="birds")
    begun = plain(await anext(handler.stream_events()))
    ctx = restored(second, handler.ctx)
    await handler.cancel_run()
    second.go_on.set()
    return begun, await end_of(second.run(ctx=ctx))


class Counting(Workflow):
    go_on: asyncio.Event

    @step
    async def a_work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        await ctx.store.set("count", await ctx.store.get("count", default=0) + 1)
        ctx.write_event_to_stream(Event(at="work"))
        await self.go_on.wait()
        return StopEvent(result=await ctx.store.get("count"))


async def store_writes_of_a_step_at_work() -> Seen:
    first, second = Counting(), Counting()
    first.go_on, second.go_on = asyncio.Event(), asyncio.Event()
    handler = first.run()
    await anext(handler.stream_events())
    ctx = restored(second, handler.ctx)
    await handler.cancel_run()
    second.go_on.set()
    return await end_of(second.run(ctx=ctx))


class Retrying(Workflow):
    @step(retry_policy=retry_policy(wait=wait_fixed(0.03), stop=stop_after_attempt(3)))
    async def a_try(self, ctx: Context, ev: StartEvent) -> StopEvent:
        info = ctx.retry_info()
        if info.retry_number < 2:
            raise ValueError(f"failure {info.retry_number}")
        return StopEvent(result=(info.retry_number, str(info.last_exception)))


async def a_snapshot_between_two_attempts() -> Seen:
    first, second = Retrying(), Retrying()
    handler = first.run()
    await asyncio.sleep(0.01)
    ctx = restored(second, handler.ctx)
    await handler.cancel_run()
    return await end_of(second.run(ctx=ctx))


class Tally(Workflow):
    @step
    async def a_add(self, ctx: Context, ev: StartEvent) -> StopEvent:
        total = await ctx.store.get("total", default=0) + ev.n
        await ctx.store.set("total", total)
        return StopEvent(result=total)


async def a_finished_run_is_followed_by_another() -> Seen:
    flow = Tally()
    handler = flow.run(n=1)
    await handler
    ctx = restored(flow, handler.ctx)
    running = ctx.is_running
    return running, await end_of(flow.run(ctx=ctx, n=2)), await ctx.store.get("total")


async def a_store_that_is_seeded_and_saved() -> Seen:
    flow = Tally()
    seeded = Context[Any](flow)
    await seeded.store.set("total", 40)
    ctx = restored(flow, seeded)
    return ctx.is_running, await end_of(flow.run(ctx=ctx, n=2))


class Page(BaseModel):
    title: str
    lines: list[str] = []


class Book(BaseModel):
    pages: dict[str, Page] = {}
    author: str | None = None


class Typed(Workflow):
    @step
    async def a_ask(self, ctx: Context[Book], ev: StartEvent) -> InputRequiredEvent:
        async with ctx.store.edit_state() as book:
            book.pages["one"] = Page(title="One", lines=["a"])
        return InputRequiredEvent(prefix="author?")

    @step
    async def b_end(self, ctx: Context[Book], ev: HumanResponseEvent) -> StopEvent:
        await ctx.store.set("author", ev.response)
        book = await ctx.store.get_state()
        return StopEvent(result=(type(book.pages["one"]).__name__, book.model_dump()))


async def typed_state_in_a_snapshot() -> Seen:
    first, second = Typed(), Typed()
    handler = first.run()
    await first_questions(handler)
    ctx = restored(second, handler.ctx)
    await handler.cancel_run()
    again = second.run(ctx=ctx)
    again.ctx.send_event(HumanResponseEvent(response="ada"))
    return await end_of(again)


async def models_in_a_snapshot() -> Seen:
    flow = Tally()
    ctx = Context[Any](flow)
    await ctx.store.set("page", Page(title="t", lines=["l"]))
    await ctx.store.set("pages", {"a": [Page(title="u")]})
    again = restored(flow, ctx)
    return plain([await again.store.get("page"), await again.store.get("pages.a.0.title")])


class Thing:
    pass


async def what_cannot_be_stored() -> Seen:
    flow = Tally()
    ctx = Context[Any](flow)
    await ctx.store.set("thing", Thing())
    try:
        return ctx.to_dict()
    except ValueError as error:
        return "Thing" in str(error)


async def what_is_no_snapshot() -> Seen:
    wrong: list[Any] = [{"version": 99}, {"state": 1, "is_running": "?"}]
    return [_kind(refusal(lambda data=data: Context[Any].from_dict(Tally(), data))) for data in wrong]  # type: ignore[misc]  # mypy cannot infer a lambda with a default


async def what_is_no_snapshot_at_all() -> Seen:
    wrong: list[Any] = ["text", {}, {"foo": 1}, None, 5]
    return [_kind(refusal(lambda data=data: Context[Any].from_dict(Tally(), data))) for data in wrong]  # type: ignore[misc]  # mypy cannot infer a lambda with a default


def _kind(said: Seen) -> Seen:
    """Return what kind of error it was."""
    return str(said).partition(":")[0]


async def a_snapshot_inside_a_step() -> Seen:
    class Flow(Workflow):
        @step
        async def a(self, ctx: Context, ev: StartEvent) -> StopEvent:
            return StopEvent(result=_kind(refusal(lambda: ctx.to_dict())))

    return await end_of(Flow().run())


async def a_snapshot_while_events_wait_for_a_worker() -> Seen:
    class_one, class_two = Queue(), Queue()
    class_one.go_on, class_two.go_on = asyncio.Event(), asyncio.Event()
    handler = class_one.run()
    await anext(handler.stream_events())
    await turns()
    ctx = restored(class_two, handler.ctx)
    await handler.cancel_run()
    class_two.go_on.set()
    return await end_of(class_two.run(ctx=ctx))


class Queue(Workflow):
    """Three parts and one worker, which is at work on the first when the snapshot is taken."""

    go_on: asyncio.Event

    @step
    async def a_split(self, ctx: Context, ev: StartEvent) -> Part | None:
        for n in range(3):
            ctx.send_event(Part(n=n))
        return None

    @step(num_workers=1)
    async def b_work(self, ctx: Context, ev: Part) -> Done:
        ctx.write_event_to_stream(Event(at=ev.n))
        await self.go_on.wait()
        return Done(n=ev.n, response="done")

    @step(num_workers=1)
    async def c_join(self, ctx: Context, ev: Done) -> StopEvent | None:
        found = ctx.collect_events(ev, [Done] * 3)
        return None if found is None else StopEvent(result=[one.n for one in found])


async def an_answer_just_before_the_snapshot() -> Seen:
    first, second = Approval(), Approval(timeout=0.2)
    handler = first.run(topic="birds")
    await first_questions(handler)
    handler.ctx.send_event(HumanResponseEvent(response="just in time"))
    ctx = restored(second, handler.ctx)
    await handler.cancel_run()
    return await end_of(second.run(ctx=ctx))


async def the_same_stream_after_a_restore() -> Seen:
    flow = Approval()
    handler = flow.run(topic="birds")
    await first_questions(handler)
    ctx = restored(flow, handler.ctx)
    await handler.cancel_run()
    again = flow.run(ctx=ctx)
    again.ctx.send_event(HumanResponseEvent(response="yes"))
    return await every(again.stream_events())


async def a_finished_run_in_a_snapshot() -> Seen:
    flow = Tally()
    handler = flow.run(n=3)
    shown = await seen(handler)
    handler.ctx.to_dict()
    return shown, handler.ctx.is_running
