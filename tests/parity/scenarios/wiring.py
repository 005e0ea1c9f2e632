"""How events find their steps: chains, branches, loops, workers, subclasses, sends."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from engine import Context, Event, StartEvent, StopEvent, Workflow, step
from tests.parity.seeing import Seen, end_of, every, idles, plain, refusal, seen, turns


class Draft(Event):
    text: str
    version: int = 1


class Polished(Event):
    text: str


class Chain(Workflow):
    @step
    async def a_write(self, ev: StartEvent) -> Draft:
        return Draft(text=f"on {ev.topic}")

    @step
    async def b_polish(self, ev: Draft) -> Polished:
        return Polished(text=ev.text.title())

    @step
    async def c_end(self, ctx: Context, ev: Polished) -> StopEvent:
        ctx.write_event_to_stream(Event(progress=1))
        return StopEvent(result=ev.text)


async def a_chain() -> Seen:
    return await seen(Chain().run(topic="birds"))


async def a_chain_with_internal_events() -> Seen:
    return await seen(Chain().run(topic="birds"), internal=True)


class Choice(Workflow):
    @step
    async def choose(self, ev: StartEvent) -> Draft | Polished:
        return Draft(text="d") if ev.rough else Polished(text="p")

    @step
    async def rough(self, ev: Draft) -> StopEvent:
        return StopEvent(result=f"rough {ev.text}")

    @step
    async def smooth(self, ev: Polished) -> StopEvent:
        return StopEvent(result=f"smooth {ev.text}")


async def branches() -> Seen:
    return [await seen(Choice().run(rough=rough), internal=True) for rough in (True, False)]


class Loop(Workflow):
    @step
    async def work(self, ev: StartEvent | Draft) -> Draft | StopEvent:
        version = 0 if isinstance(ev, StartEvent) else ev.version
        return Draft(text="again", version=version + 1) if version < 4 else StopEvent(result=version)


async def a_loop() -> Seen:
    return await seen(Loop().run(), internal=True)


class Broadcast(Workflow):
    @step
    async def a_begin(self, ev: StartEvent) -> Draft:
        return Draft(text="for all")

    @step
    async def b_listen(self, ctx: Context, ev: Draft) -> None:
        ctx.write_event_to_stream(Event(heard=ev.text))

    @step
    async def c_end(self, ev: Draft) -> StopEvent:
        await turns()
        return StopEvent(result=ev.text)


async def an_event_for_several_steps() -> Seen:
    return await seen(Broadcast(skip_graph_checks={"dead_end"}).run())


class Part(Event):
    n: int


class Piece(Event):
    n: int


class Label(Event):
    text: str


class Gather(Workflow):
    """Three parts out by `send_event`, three pieces in by `collect_events`."""

    @step
    async def a_split(self, ctx: Context, ev: StartEvent) -> Part | None:
        for n in range(3):
            ctx.send_event(Part(n=n))
        return None

    @step
    async def b_work(self, ev: Part) -> Piece:
        return Piece(n=ev.n * 10)

    @step
    async def c_join(self, ctx: Context, ev: Piece) -> StopEvent | None:
        found = ctx.collect_events(ev, [Piece] * 3)
        return None if found is None else StopEvent(result=[piece.n for piece in found])


async def sent_and_collected() -> Seen:
    return await seen(Gather().run())


class Unlike(Workflow):
    """Collects events of several types, in the order that is expected."""

    @step
    async def a_split(self, ctx: Context, ev: StartEvent) -> Label | Piece | Part | None:
        for event in (Piece(n=2), Label(text="l"), Part(n=7), Piece(n=1), Piece(n=9)):
            ctx.send_event(event)
        return None

    @step(num_workers=1)
    async def b_join(self, ctx: Context, ev: Label | Piece | Part) -> StopEvent | None:
        found = ctx.collect_events(ev, [Label, Piece, Piece])
        return None if found is None else StopEvent(result=plain(found))


async def collected_in_the_expected_order() -> Seen:
    return await seen(Unlike().run())


async def collecting_nothing() -> Seen:
    class Nothing(Workflow):
        @step
        async def join(self, ctx: Context, ev: StartEvent) -> StopEvent:
            return StopEvent(result=ctx.collect_events(ev, []))

    return await seen(Nothing().run())


class TwoBuffers(Workflow):
    @step
    async def a_split(self, ctx: Context, ev: StartEvent) -> Part | None:
        for n in range(4):
            ctx.send_event(Part(n=n))
        return None

    @step(num_workers=1)
    async def b_join(self, ctx: Context, ev: Part) -> Piece | None:
        found = ctx.collect_events(ev, [Part, Part], buffer_id="even" if ev.n % 2 == 0 else "odd")
        return None if found is None else Piece(n=sum(part.n for part in found))

    @step(num_workers=1)
    async def c_end(self, ctx: Context, ev: Piece) -> StopEvent | None:
        found = ctx.collect_events(ev, [Piece, Piece])
        return None if found is None else StopEvent(result=[piece.n for piece in found])


async def buffers_of_several_names() -> Seen:
    return await seen(TwoBuffers().run())


class Counted(Workflow):
    """Tells how often the body of a collecting step ran."""

    @step
    async def a_split(self, ctx: Context, ev: StartEvent) -> Part | None:
        self.bodies = 0
        for n in range(4):
            ctx.send_event(Part(n=n))
        return None

    @step
    async def b_join(self, ctx: Context, ev: Part) -> StopEvent | None:
        self.bodies += 1
        await turns(3)
        found = ctx.collect_events(ev, [Part] * 4)
        return None if found is None else StopEvent(result=self.bodies)


async def bodies_of_a_collecting_step() -> Seen:
    return await seen(Counted().run())


class OneAtATime(Workflow):
    @step
    async def a_split(self, ctx: Context, ev: StartEvent) -> Part | None:
        for n in range(3):
            ctx.send_event(Part(n=n))
        return None

    @step(num_workers=1)
    async def b_work(self, ev: Part) -> Piece:
        await turns()
        return Piece(n=ev.n)

    @step(num_workers=1)
    async def c_join(self, ctx: Context, ev: Piece) -> StopEvent | None:
        found = ctx.collect_events(ev, [Piece] * 3)
        return None if found is None else StopEvent(result=[piece.n for piece in found])


async def one_worker() -> Seen:
    return await seen(OneAtATime().run())


async def one_worker_with_internal_events() -> Seen:
    shown = await seen(OneAtATime().run(), internal=True)
    of_b = [fields for kind, fields in shown["stream"] if kind == "StepStateChanged" and fields["name"] == "b_work"]
    return of_b


class Busy(Workflow):
    """Tells how many calls of a step were at work at once."""

    @step
    async def a_split(self, ctx: Context, ev: StartEvent) -> Part | None:
        self.now = self.most = 0
        for n in range(9):
            ctx.send_event(Part(n=n))
        return None

    @step(num_workers=3)
    async def b_work(self, ev: Part) -> Piece:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.005)
        self.now -= 1
        return Piece(n=ev.n)

    @step(num_workers=1)
    async def c_join(self, ctx: Context, ev: Piece) -> StopEvent | None:
        return None if ctx.collect_events(ev, [Piece] * 9) is None else StopEvent(result=self.most)


async def several_workers() -> Seen:
    return await seen(Busy().run())


class Aimed(Workflow):
    @step
    async def a_begin(self, ctx: Context, ev: StartEvent) -> Part | None:
        refused = [
            refusal(lambda: ctx.send_event(Part(n=1), step="nobody")),
            refusal(lambda: ctx.send_event(Label(text="x"), step="b_one")),
        ]
        ctx.write_event_to_stream(Event(refused=refused))
        ctx.send_event(Part(n=5), step="c_two")
        return None

    @step
    async def b_one(self, ev: Part) -> StopEvent:
        return StopEvent(result=f"one {ev.n}")

    @step
    async def c_two(self, ev: Part) -> StopEvent:
        return StopEvent(result=f"two {ev.n}")


async def sent_to_one_step() -> Seen:
    return await seen(Aimed().run())


class ShortDraft(Draft):
    pass


class Exact(Workflow):
    @step
    async def a_begin(self, ev: StartEvent) -> ShortDraft | Draft:
        return ShortDraft(text="s") if ev.short else Draft(text="d")

    @step
    async def b_any(self, ev: Draft) -> StopEvent:
        return StopEvent(result="any")

    @step
    async def c_short(self, ev: ShortDraft) -> StopEvent:
        return StopEvent(result="short")


async def routing_is_by_exact_type() -> Seen:
    return [await seen(Exact().run(short=short)) for short in (True, False)]


class Wide(Workflow):
    @step
    async def a_begin(self, ev: StartEvent) -> ShortDraft:
        return ShortDraft(text="s")

    @step(accept_event_subclasses=True)
    async def b_any(self, ev: Draft) -> StopEvent:
        return StopEvent(result=type(ev).__name__)


async def subclasses_are_taken_on_request() -> Seen:
    return await seen(Wide().run())


class Patient(Workflow):
    """Works until a Label comes."""

    @step
    async def a_begin(self, ev: StartEvent) -> None:
        return None

    @step
    async def b_end(self, ev: Label) -> StopEvent:
        return StopEvent(result=ev.text)


def patient() -> Patient:
    return Patient(disable_validation=True)


async def an_event_from_outside() -> Seen:
    return await seen(patient().run(), [Label(text="hello")], when=idles, internal=True)


async def an_event_that_nobody_takes() -> Seen:
    return await seen(patient().run(), [Draft(text="?"), Label(text="done")], when=idles, internal=True)


async def a_stop_event_from_outside() -> Seen:
    return await seen(patient().run(), [StopEvent(result="early"), Label(text="done")], when=idles, internal=True)


async def internal_events_from_before_anybody_watched() -> Seen:
    handler = patient().run()
    await turns()
    handler.ctx.send_event(Label(text="hello"))
    return await seen(handler, internal=True)


async def an_event_from_outside_to_one_step() -> Seen:
    handler = patient().run()
    await turns()
    refused = [
        refusal(lambda: handler.ctx.send_event(Label(text="x"), step="nobody")),
        refusal(lambda: handler.ctx.send_event(Draft(text="x"), step="b_end")),
    ]
    handler.ctx.send_event(Label(text="there"), step="b_end")
    return refused, await seen(handler)


class Ask(StartEvent):
    question: str
    times: int = 1


class Told(StopEvent):
    said: str


class Typed(Workflow):
    @step
    async def work(self, ev: Ask) -> Told:
        return Told(said=ev.question * ev.times)


async def start_and_stop_events_of_ones_own() -> Seen:
    flow = Typed()
    classes = [flow.start_event_class, flow.stop_event_class, *sorted(flow.events, key=lambda kind: kind.__name__)]
    by_keyword = await seen(flow.run(question="a", times=2))
    whole = await seen(flow.run(start_event=Ask(question="b")))
    result = await flow.run(question="c")
    return plain(classes), by_keyword, whole, type(result).__name__, result.said


async def a_step_called_validate() -> Seen:
    """It is called so in LlamaIndex's own example of a reflection loop."""

    class Reflection(Workflow):
        @step
        async def extract(self, ev: StartEvent) -> Part:
            return Part(n=1)

        @step
        async def validate(self, ev: Part) -> StopEvent:  # type: ignore[override]  # as there
            return StopEvent(result=ev.n)

    return await seen(Reflection().run())


async def keywords_that_do_not_fit() -> Seen:
    flow = Typed()
    return refusal(lambda: flow.run(wrong=1)), refusal(lambda: flow.run(start_event="no event"))  # type: ignore[arg-type]  # the mistake


class NoEvent(Workflow):
    @step
    async def a(self, ev: StartEvent) -> StopEvent:
        return "text"  # type: ignore[return-value]  # the mistake


async def a_result_that_is_no_event() -> Seen:
    return await seen(NoEvent().run())


class InAThread(Workflow):
    @step
    def a_work(self, ev: StartEvent) -> Draft:
        return Draft(text=str(threading.current_thread() is threading.main_thread()))

    @step
    def b_end(self, ctx: Context, ev: Draft) -> StopEvent:
        return StopEvent(result=(ev.text, type(ctx.retry_info()).__name__))


async def plain_functions_as_steps() -> Seen:
    return await seen(InAThread().run())


async def free_functions_as_steps() -> Seen:
    class Free(Workflow):
        @step
        async def a_begin(self, ev: StartEvent) -> Part:
            return Part(n=4)

    @step(workflow=Free)
    async def b_end(ctx: Context, ev: Part) -> StopEvent:
        return StopEvent(result=ev.n + 1)

    return await seen(Free().run())


class Base(Workflow):
    @step
    async def a_begin(self, ev: StartEvent) -> Part:
        return Part(n=1)

    @step
    async def b_end(self, ev: Part) -> StopEvent:
        return StopEvent(result=ev.n)


class Derived(Base):
    @step
    async def a_begin(self, ev: StartEvent) -> Part:
        return Part(n=2)


async def steps_are_inherited_and_overridden() -> Seen:
    return [await seen(flow.run()) for flow in (Base(), Derived())]


async def _who_calls() -> str:
    ctx = Context.get_step_context()
    return str(await ctx.store.get("who"))


class Helped(Workflow):
    @step
    async def a(self, ctx: Context, ev: StartEvent) -> StopEvent:
        await ctx.store.set("who", "step a")
        return StopEvent(result=await _who_calls())


async def a_helper_finds_its_step() -> Seen:
    return await seen(Helped().run()), refusal(Context.get_step_context)


async def fields_of_an_event() -> Seen:
    event = Draft(text="t", mood="good", list=[1])
    event.more = 2
    event["last"] = 3
    whole = [event.text, event.mood, event.more, event.get("text"), event.get("none", "default")]
    mapping: list[Any] = [list(event.keys()), list(event.values()), list(event.items()), len(event), list(event)]
    claims = ["mood" in event, "text" in event, bool(Event()), event.to_dict(), event.model_dump()]
    errors = [refusal(lambda: event.nothing), refusal(lambda: event["nothing"]), refusal(lambda: Draft())]  # type: ignore[call-arg]  # the mistake
    return plain([whole, mapping, claims, str(errors[0]), errors[1:]])


async def fields_of_a_stop_event() -> Seen:
    stops = [StopEvent(), StopEvent(result=42, foo="foo"), StopEvent(result=None, a=1), Told(said="x")]
    return [repr(one) for one in stops], [one.model_dump() for one in stops], [one.result for one in stops]


async def events_in_a_stream_of_a_step_that_goes_on() -> Seen:
    """The stream is live, and a late reader misses nothing."""
    go_on = asyncio.Event()

    class Slow(Workflow):
        @step
        async def a(self, ctx: Context, ev: StartEvent) -> StopEvent:
            ctx.write_event_to_stream(Event(n=1))
            await go_on.wait()
            ctx.write_event_to_stream(Event(n=2))
            return StopEvent()

    handler = Slow().run()
    await turns()
    stream = handler.stream_events()
    early = plain(await anext(stream))
    go_on.set()
    return early, await every(stream), await end_of(handler)
