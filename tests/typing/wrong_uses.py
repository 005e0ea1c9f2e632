"""What mypy must refuse. Nothing here runs: `make lint` fails where a marked line is no error of its kind any more."""

from typing import Annotated

from pydantic import BaseModel

from engine import Context, Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.collect import Collect, Take
from engine.retry import retry_policy, stop_after_attempt, wait_fixed
from engine.runner import Runner
from engine.testing import later, play, reply


class State(BaseModel):
    count: int = 0


class Draft(Event):
    text: str


class Flow(Workflow):
    @step
    async def begin(self, ctx: Context[State], ev: StartEvent) -> Draft:
        ctx.store.put("count", 1)  # type: ignore[attr-defined]
        state = await ctx.store.get_state()
        state.total += 1  # type: ignore[attr-defined]
        async with ctx.store.edit_state() as edited:
            edited.count = "many"  # type: ignore[assignment]
        return StopEvent()  # type: ignore[return-value]

    @step(num_workers="4")  # type: ignore[call-overload, untyped-decorator]
    async def end(self, ctx: Context[State], ev: Draft) -> StopEvent:
        return StopEvent(result=ev.text.version)  # type: ignore[attr-defined]

    @step(retry_policy=wait_fixed(1))  # type: ignore[call-overload, untyped-decorator]
    async def tries(self, ctx: Context[State], ev: Draft) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, InputRequiredEvent(prefix="?"))
        draft: Draft = answer  # type: ignore[assignment]
        await ctx.wait_for_event("HumanResponseEvent")  # type: ignore[arg-type]
        ctx.send_event("text")  # type: ignore[arg-type]
        ctx.write_event_to_stream(Draft)  # type: ignore[arg-type]
        ctx.collect_events(ev, Draft)  # type: ignore[arg-type]
        length: str = await ctx.once("length", len, draft.text)  # type: ignore[arg-type]
        return StopEvent(result=length)

    @step
    async def gathers(self, evs: Annotated[list[Draft], Collect(Take(2))]) -> StopEvent:
        return StopEvent(result=evs.text)  # type: ignore[attr-defined]


async def outside(runner: Runner) -> None:
    flow = Flow(timeout="45")  # type: ignore[arg-type]
    Flow(time_out=45)  # type: ignore[call-arg]
    handler = flow.run(start_event=Draft(text="t"))  # type: ignore[arg-type]
    handler.results()  # type: ignore[attr-defined]
    handler.ctx.send_event(HumanResponseEvent)  # type: ignore[arg-type]
    for _event in handler.stream_events():  # type: ignore[attr-defined]
        pass
    Draft()  # type: ignore[call-arg]
    retry_policy(stop=3)  # type: ignore[arg-type]
    stop_after_attempt()  # type: ignore[call-arg]
    Context[State](State())  # type: ignore[arg-type]
    await runner.answer("run", "ask", 1, user_id="U1")  # type: ignore[arg-type]
    await runner.start(flow, requester=1)  # type: ignore[arg-type]
    await play(Flow, StartEvent())  # type: ignore[arg-type]
    await play(flow, StartEvent(), 1)  # type: ignore[arg-type]
    later(hours="2")  # type: ignore[arg-type]
    later(2)  # type: ignore[call-arg]
    reply()  # type: ignore[call-arg]
