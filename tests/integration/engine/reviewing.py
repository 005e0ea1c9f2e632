"""Workflows that ask people, to be run by several runners."""

from __future__ import annotations

from engine import (
    AskExpired,
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    retry_policy,
    step,
)
from engine.retry import stop_after_attempt, wait_fixed
from engine.run_store import RunStore
from engine.runner import Runner


class Draft(Event):
    text: str
    version: int


class Review(Workflow):
    """The main job in small: ask until somebody approves."""

    @step
    async def write(self, ctx: Context, ev: StartEvent | Draft) -> InputRequiredEvent:
        draft = ev if isinstance(ev, Draft) else Draft(text=f"on {ev.topic}", version=1)
        await ctx.store.set("draft", draft)
        return InputRequiredEvent(prefix=f"v{draft.version}: {draft.text}?")

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> Draft | StopEvent:
        draft: Draft = await ctx.store.get("draft")
        if ev.response == "approve":
            return StopEvent(result={"text": draft.text, "by": ev.user_id, "version": draft.version})
        return Draft(text=f"{draft.text}, {ev.response}", version=draft.version + 1)


class Inline(Workflow):
    """Two questions in one step, an expensive call before them, and a counter that must count once."""

    calls: list[str] = []  # noqa: RUF012 - shared by all instances on purpose: the outside world

    @step
    async def ask(self, ctx: Context, ev: StartEvent) -> StopEvent:
        count = await ctx.store.get("count", 0)
        await ctx.store.set("count", count + 1)
        text = await ctx.once("text", self.pay, ev.topic)
        first = await ctx.wait_for_event(HumanResponseEvent, prompt=f"{text}: first?")
        second = await ctx.wait_for_event(HumanResponseEvent, prompt="second?")
        return StopEvent(result=[text, first.response, second.response, await ctx.store.get("count")])

    async def pay(self, topic: str) -> str:
        self.calls.append(topic)
        return f"paid for {topic}"


class Guarded(Workflow):
    """A question with every guard the engine knows."""

    @step
    async def ask(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent(prefix="Ship?", **ev.to_dict())

    @step
    async def decide(self, ev: HumanResponseEvent | AskExpired) -> StopEvent:
        return StopEvent(result=ev.response if isinstance(ev, HumanResponseEvent) else "expired")


class Signed(HumanResponseEvent):
    """An answer of an author's own kind."""

    response: str
    user_id: str


class Signing(Workflow):
    """Asks twice for that kind: once by returning a question, once in the middle of a step."""

    @step
    async def ask(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent(prefix="first?")

    @step
    async def again(self, ctx: Context, ev: Signed) -> StopEvent:
        second = await ctx.wait_for_event(Signed, prompt="second?")
        return StopEvent(result=[type(one).__name__ + one.response + one.user_id for one in (ev, second)])


class Flaky(Workflow):
    """Fails a while, then goes through."""

    failures = 0

    @step(retry_policy=retry_policy(wait=wait_fixed(60), stop=stop_after_attempt(3)))
    async def work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        attempt = ctx.retry_info().retry_number
        if attempt < ev.until:
            raise ConnectionError(f"attempt {attempt}")
        return StopEvent(result=attempt)


class Holding(Workflow):
    """Puts something into its state that cannot be stored."""

    @step
    async def ask(self, ctx: Context, ev: StartEvent) -> InputRequiredEvent:
        await ctx.store.set("fine", 1)
        await ctx.store.set("connection", object())
        return InputRequiredEvent(prefix="?")

    @step
    async def end(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent()


def fresh(store: RunStore, *workflows: Workflow) -> Runner:
    """A runner as another process would make it: nothing is shared but the store."""
    return Runner(store, workflows or (Review(), Inline(), Guarded(), Flaky(), Holding()))
