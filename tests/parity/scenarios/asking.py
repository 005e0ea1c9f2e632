"""A person in the loop: questions, answers, waits."""

from __future__ import annotations

import asyncio
from typing import Any

from engine import (
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)
from engine.retry import retry_policy, stop_after_attempt, wait_none
from tests.parity.seeing import Seen, asks, end_of, every, first_questions, idles, plain, seen, turns


def answers(*responses: str, **more: Any) -> list[HumanResponseEvent]:
    return [HumanResponseEvent(response=response, **more) for response in responses]


class Draft(Event):
    text: str


class Approval(Workflow):
    @step
    async def a_write(self, ev: StartEvent) -> Draft:
        return Draft(text=f"on {ev.topic}")

    @step
    async def b_ask(self, ctx: Context, ev: Draft) -> InputRequiredEvent:
        await ctx.store.set("draft", ev.text)
        return InputRequiredEvent(prefix=f"{ev.text}?", n=1)

    @step
    async def c_decide(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=(await ctx.store.get("draft"), ev.response, ev.get("response")))


async def a_question_and_its_answer() -> Seen:
    return await seen(Approval().run(topic="birds"), answers("yes"))


async def a_question_and_its_answer_with_internal_events() -> Seen:
    return await seen(Approval().run(topic="birds"), answers("yes"), when=idles, internal=True)


async def an_answer_before_the_question() -> Seen:
    """It is unhandled, and not kept for the wait to come."""
    begun, go = asyncio.Event(), asyncio.Event()

    class Slow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            begun.set()
            await go.wait()
            asked = await ctx.wait_for_event(HumanResponseEvent, waiter_event=InputRequiredEvent(prefix="?"))
            return StopEvent(result=asked.response)

    handler = Slow().run()
    await begun.wait()
    handler.ctx.send_event(HumanResponseEvent(response="too early"))
    await turns()
    go.set()
    return await seen(handler, answers("asked for"))


async def a_question_answered_through_the_handler() -> Seen:
    handler = Approval().run(topic="birds")
    asked = await first_questions(handler)
    await handler.send_event(HumanResponseEvent(response="no"))
    return asked, await every(handler.stream_events()), await end_of(handler)


async def a_question_answered_by_another_kind_of_event() -> Seen:
    class Reply(HumanResponseEvent):
        pass

    handler = Approval(timeout=0.1).run(topic="birds")
    return await seen(handler, [Reply(response="yes")])


async def a_question_that_nobody_answers() -> Seen:
    return await seen(Approval(timeout=0.1).run(topic="birds"))


class Rounds(Workflow):
    @step
    async def a_write(self, ev: StartEvent | Draft) -> InputRequiredEvent:
        return InputRequiredEvent(prefix=ev.text if isinstance(ev, Draft) else "first")

    @step
    async def b_decide(self, ev: HumanResponseEvent) -> Draft | StopEvent:
        return StopEvent(result="good") if ev.response == "good" else Draft(text=ev.response)


async def several_rounds() -> Seen:
    return await seen(Rounds().run(), answers("longer", "shorter", "good"))


class Question(InputRequiredEvent):
    about: str


class Answer(HumanResponseEvent):
    text: str


class Noticed(Workflow):
    """A question that a step takes as well."""

    @step
    async def a_ask(self, ev: StartEvent) -> Question:
        return Question(about="birds")

    @step
    async def b_notice(self, ctx: Context, ev: Question) -> None:
        ctx.write_event_to_stream(Event(noticed=ev.about))

    @step
    async def c_end(self, ev: Answer) -> StopEvent:
        return StopEvent(result=ev.text)


async def a_question_that_a_step_takes_as_well() -> Seen:
    handler = Noticed(skip_graph_checks={"dead_end"}).run()
    return await seen(handler, [Answer(text="ok")], when=lambda event: isinstance(event, Event) and "noticed" in event)


class Inline(Workflow):
    @step
    async def a_work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, waiter_event=InputRequiredEvent(prefix="well?"))
        return StopEvent(result=answer.response)


async def a_wait_with_a_question() -> Seen:
    return await seen(Inline().run(), answers("yes"))


async def a_wait_with_a_question_and_internal_events() -> Seen:
    return await seen(Inline().run(), answers("yes"), when=idles, internal=True)


class Prompted(Workflow):
    @step
    async def a_work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, prompt="well?")
        return StopEvent(result=answer.response)


async def a_wait_with_a_prompt() -> Seen:
    return await seen(Prompted().run(), answers("yes"))


class Silent(Workflow):
    """Waits for an event of its own and asks nothing."""

    @step
    async def a_work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        ctx.write_event_to_stream(Event(waiting=True))
        draft = await ctx.wait_for_event(Draft, timeout=ev.get("timeout", 2000))
        return StopEvent(result=draft.text)


async def a_wait_without_a_question() -> Seen:
    handler = Silent().run()
    first = plain(await anext(handler.stream_events()))
    await turns()
    handler.ctx.send_event(Draft(text="here"))
    return first, await end_of(handler)


async def a_wait_that_ends_unanswered() -> Seen:
    handler = Silent().run(timeout=0.1)
    end = await end_of(handler)
    last = (await every(handler.stream_events()))[-1]
    return end, last


class Careful(Workflow):
    @step
    async def a_work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        try:
            await ctx.wait_for_event(HumanResponseEvent, InputRequiredEvent(prefix="?"), timeout=0.1)
        except TimeoutError as error:
            return StopEvent(result=plain(error))
        return StopEvent(result="answered")


async def a_timeout_that_the_step_catches() -> Seen:
    return await seen(Careful().run())


class Picky(Workflow):
    @step
    async def a_work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        answer = await ctx.wait_for_event(
            HumanResponseEvent, InputRequiredEvent(prefix="who?"), requirements={"user": "ada", "level": 2}
        )
        return StopEvent(result=answer.response)


async def an_answer_that_does_not_meet_the_requirements() -> Seen:
    handler = Picky().run()
    asked = await first_questions(handler)
    for user, level in (("bob", 2), ("ada", 1), ("ada", 2)):
        handler.ctx.send_event(HumanResponseEvent(response=f"{user}{level}", user=user, level=level))
        await turns()
    return asked, await end_of(handler)


class Part(Event):
    n: int


class Done(Event):
    n: int
    response: str


class Parallel(Workflow):
    """Three calls of one step, each with a question of its own."""

    by_number = True

    @step
    async def a_split(self, ctx: Context, ev: StartEvent) -> Part | None:
        for n in range(3):
            ctx.send_event(Part(n=n))
        return None

    @step
    async def b_ask(self, ctx: Context, ev: Part) -> Done:
        answer = await ctx.wait_for_event(
            HumanResponseEvent,
            InputRequiredEvent(prefix=f"{ev.n}?", n=ev.n),
            requirements={"n": ev.n} if self.by_number else None,
        )
        return Done(n=ev.n, response=answer.response)

    @step(num_workers=1)
    async def c_join(self, ctx: Context, ev: Done) -> StopEvent | None:
        found = ctx.collect_events(ev, [Done] * 3)
        return None if found is None else StopEvent(result=sorted((one.n, one.response) for one in found))


async def parallel_waits_each_with_its_answer() -> Seen:
    handler = Parallel().run()
    asked = await first_questions(handler, 3)
    for n in (2, 0, 1):
        handler.ctx.send_event(HumanResponseEvent(response=f"r{n}", n=n))
    return asked, await end_of(handler)


async def one_answer_for_all_parallel_waits() -> Seen:
    flow = Parallel()
    flow.by_number = False
    handler = flow.run()
    asked = await first_questions(handler, 3)
    handler.ctx.send_event(HumanResponseEvent(response="all"))
    return asked, await end_of(handler)


class TwoKinds(Workflow):
    """Two waits in one step, for events of two kinds."""

    @step
    async def a_work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        first = await ctx.wait_for_event(HumanResponseEvent, InputRequiredEvent(prefix="one"), waiter_id="one")
        second = await ctx.wait_for_event(Answer, InputRequiredEvent(prefix="two"), waiter_id="two")
        return StopEvent(result=(first.response, second.text))


async def two_waits_for_events_of_two_kinds() -> Seen:
    return await seen(TwoKinds().run(), [HumanResponseEvent(response="1"), Answer(text="2")])


class TwoAlike(Workflow):
    """Two waits in one step, for the same kind of event."""

    named = True

    @step
    async def a_work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        names = ("one", "two") if self.named else (None, None)
        first = await ctx.wait_for_event(HumanResponseEvent, InputRequiredEvent(prefix="one"), waiter_id=names[0])
        second = await ctx.wait_for_event(HumanResponseEvent, InputRequiredEvent(prefix="two"), waiter_id=names[1])
        return StopEvent(result=(first.response, second.response))


async def two_waits_for_the_same_kind_of_event() -> Seen:
    return await seen(TwoAlike().run(), answers("1", "2"))


async def two_waits_without_names() -> Seen:
    flow = TwoAlike()
    flow.named = False
    return await seen(flow.run(), answers("1", "2"))


class Cautious(Workflow):
    """Catches every error around its wait."""

    @step
    async def a_work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        try:
            answer = await ctx.wait_for_event(HumanResponseEvent, InputRequiredEvent(prefix="?"))
        except Exception:  # noqa: BLE001 - the habit that the scenario is about
            return StopEvent(result="swallowed the pause")
        return StopEvent(result=answer.response)


async def a_wait_inside_except_exception() -> Seen:
    return await seen(Cautious().run(), answers("yes"))


class Overheard(Workflow):
    """Another step takes what a wait is waiting for."""

    @step
    async def a_work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, InputRequiredEvent(prefix="?"))
        await turns()
        return StopEvent(result=answer.response)

    @step
    async def b_listen(self, ctx: Context, ev: HumanResponseEvent) -> None:
        ctx.write_event_to_stream(Event(heard=ev.response))


async def an_answer_for_a_wait_and_for_a_step() -> Seen:
    return await seen(Overheard(skip_graph_checks={"dead_end"}).run(), answers("yes"))


class Again(Workflow):
    """Fails once after its answer."""

    @step(retry_policy=retry_policy(wait=wait_none(), stop=stop_after_attempt(3)))
    async def a_work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, InputRequiredEvent(prefix="once?"))
        if ctx.retry_info().retry_number < 1:
            raise ValueError("after the answer")
        return StopEvent(result=(answer.response, ctx.retry_info().retry_number))


async def a_retry_after_the_answer_does_not_ask_again() -> Seen:
    return await seen(Again().run(), answers("yes"))


class Loose(HumanResponseEvent):
    pass


async def a_wait_is_for_the_exact_type() -> Seen:
    handler = Inline().run()
    asked = await first_questions(handler)
    handler.ctx.send_event(Loose(response="loose"))
    await turns()
    handler.ctx.send_event(HumanResponseEvent(response="exact"))
    return asked, await end_of(handler)


class FreeWorker(Workflow):
    """A step with one worker: whoever waits does not hold it."""

    @step
    async def a_split(self, ctx: Context, ev: StartEvent) -> Part | None:
        for n in range(2):
            ctx.send_event(Part(n=n))
        return None

    @step(num_workers=1)
    async def b_ask(self, ctx: Context, ev: Part) -> Done:
        answer = await ctx.wait_for_event(
            HumanResponseEvent, InputRequiredEvent(prefix=f"{ev.n}?"), requirements={"n": ev.n}
        )
        return Done(n=ev.n, response=answer.response)

    @step(num_workers=1)
    async def c_join(self, ctx: Context, ev: Done) -> StopEvent | None:
        found = ctx.collect_events(ev, [Done] * 2)
        return None if found is None else StopEvent(result=[(one.n, one.response) for one in found])


async def a_wait_frees_its_worker() -> Seen:
    handler = FreeWorker().run()
    asked = await first_questions(handler, 2)
    for n in (1, 0):
        handler.ctx.send_event(HumanResponseEvent(response=f"r{n}", n=n))
        await turns()
    return asked, await end_of(handler)


async def a_run_that_waits_is_running() -> Seen:
    handler = Inline().run()
    stream = handler.stream_events()
    async for event in stream:
        if asks(event):
            break
    await turns()
    before = handler.is_done(), handler.ctx.is_running, await handler.ctx.running_steps(), handler.get_stop_event()
    handler.ctx.send_event(HumanResponseEvent(response="yes"))
    end = await end_of(handler)
    return before, end, handler.is_done(), plain(handler.get_stop_event()), plain(await handler.stop_event_result())


async def two_questions_at_once() -> Seen:
    """Two steps ask at once; unaddressed answers go to whoever takes them, in order."""

    class Two(Workflow):
        @step
        async def a_ask(self, ev: StartEvent) -> InputRequiredEvent:
            return InputRequiredEvent(prefix="a")

        @step
        async def b_ask(self, ev: StartEvent) -> InputRequiredEvent:
            return InputRequiredEvent(prefix="b")

        @step(num_workers=1)
        async def c_gather(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent | None:
            found = ctx.collect_events(ev, [HumanResponseEvent] * 2)
            return None if found is None else StopEvent(result=[one.response for one in found])

    handler = Two().run()
    asked = await first_questions(handler, 2)
    for response in ("1", "2"):
        handler.ctx.send_event(HumanResponseEvent(response=response))
        await turns()
    return asked, await end_of(handler)
