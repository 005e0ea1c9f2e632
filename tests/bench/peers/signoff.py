"""The in-process workloads on Signoff. `llama_index` holds the same text: only the imports differ."""

from __future__ import annotations

from typing import Any

from engine import Context, Event, StartEvent, StopEvent, Workflow, step
from tests.bench.workloads import Run


def chain(steps: int) -> Run:
    """*steps* steps in a row that do nothing."""
    passed: list[Any] = [StartEvent, *(type(f"Event{n}", (Event,), {}) for n in range(1, steps)), StopEvent]

    def made(n: int) -> Any:
        made_event = passed[n + 1]

        async def code(self: Any, ev: Any) -> Any:
            return made_event()

        code.__name__, code.__qualname__ = f"step{n}", f"Chain.step{n}"
        code.__annotations__ = {"ev": passed[n], "return": made_event}
        return step(code)

    workflow: Workflow = type("Chain", (Workflow,), {f"step{n}": made(n) for n in range(steps)})(timeout=None)

    async def run() -> int:
        await workflow.run()
        return steps

    return run


class Item(Event):
    """One piece of work."""

    number: int


class Done(Event):
    """What came of it."""

    number: int


class Fan(Workflow):
    """Sends events out to 8 workers and collects what comes back."""

    def __init__(self, items: int) -> None:
        super().__init__(timeout=None)
        self.items = items
        self.expected: list[type[Event]] = [Done] * items

    @step
    async def spread(self, ctx: Context, ev: StartEvent) -> Item | None:
        for number in range(self.items):
            ctx.send_event(Item(number=number))
        return None

    @step(num_workers=8)
    async def work(self, ev: Item) -> Done:
        return Done(number=ev.number)

    @step
    async def collect(self, ctx: Context, ev: Done) -> StopEvent | None:
        done = ctx.collect_events(ev, self.expected)
        return None if done is None else StopEvent(result=len(done))


def fan(items: int) -> Run:
    """*items* events to 8 workers, and collected."""
    workflow = Fan(items)

    async def run() -> int:
        return int(await workflow.run())

    return run


class Note(Event):
    """Something for whoever watches."""

    number: int


class Telling(Workflow):
    """Streams events to its caller."""

    @step
    async def tell(self, ctx: Context, ev: StartEvent) -> StopEvent:
        for number in range(ev.many):
            ctx.write_event_to_stream(Note(number=number))
        return StopEvent()


def stream(events: int) -> Run:
    """*events* events from a step to whoever streams the run."""
    workflow = Telling(timeout=None)

    async def run() -> int:
        read = 0
        async for event in workflow.run(many=events).stream_events():
            read += isinstance(event, Note)
        return read

    return run


class Round(Event):
    """Comes again and again."""

    left: int


class GoOn(Event):
    """Ends the wait."""


class Rounds(Workflow):
    """Goes around as often as it is told, then waits for a person."""

    @step
    async def begin(self, ev: StartEvent) -> Round:
        return Round(left=ev.many)

    @step
    async def go(self, ctx: Context, ev: Round) -> Round | StopEvent:
        if ev.left:
            return Round(left=ev.left - 1)
        await ctx.wait_for_event(GoOn, waiter_event=Note(number=0), timeout=None)
        return StopEvent()


class Rested:
    """A run that has some rounds behind it and waits."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    def snapshot(self) -> dict[str, Any]:
        """Return what could be stored of the run."""
        saved: dict[str, Any] = self._handler.ctx.to_dict()
        return saved

    async def end(self) -> None:
        self._handler.ctx.send_event(GoOn())
        await self._handler


async def after(rounds: int) -> Rested:
    """Return a run with *rounds* rounds behind it."""
    handler = Rounds(timeout=None).run(many=rounds)
    async for event in handler.stream_events():
        if isinstance(event, Note):
            break
    return Rested(handler)
