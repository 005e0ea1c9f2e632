"""Fan-out by returned lists, fan-in by ``list[E]`` parameters and by several event parameters."""

from __future__ import annotations

from typing import Annotated, Any

from engine import (
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
    Workflow,
    catch_error,
    retry_policy,
    step,
)
from engine.collect import All, Cardinality, Collect, Take
from engine.retry import stop_after_attempt, wait_none
from tests.parity.seeing import Seen, end_of, first_questions, plain, refusal, seen, through_json, turns


class Item(Event):
    n: int = 0


class Done(Event):
    n: int = 0


class Other(Event):
    n: int = 0


class Sum(Event):
    n: int = 0


def numbers(events: list[Any]) -> list[int]:
    return sorted(event.n for event in events)


class Squares(Workflow):
    @step
    async def a_spread(self, ev: StartEvent) -> list[Item] | None:
        return None if ev.count is None else [Item(n=n) for n in range(ev.count)]

    @step
    async def b_work(self, ev: Item) -> Done | None:
        return Done(n=ev.n * ev.n) if ev.n % 2 == 0 else None

    @step
    async def c_gather(self, evs: list[Done]) -> StopEvent:
        return StopEvent(result=numbers(evs))


async def all_of_a_list() -> Seen:
    return [await seen(Squares().run(count=count)) for count in (1, 2, 5, 12)]


async def an_empty_list() -> Seen:
    return await seen(Squares().run(count=0))


async def none_in_place_of_a_list() -> Seen:
    return await seen(Squares(timeout=0.1).run(count=None))


class Quick(Workflow):
    @step
    async def a_spread(self, ev: StartEvent) -> list[Item]:
        return [Item(n=n) for n in range(ev.count)]

    @step(num_workers=8)
    async def b_work(self, ev: Item) -> Done:
        await turns(5 * ev.n)
        return Done(n=ev.n)

    @step
    async def c_gather(self, evs: Annotated[list[Done], Collect(Take(2))]) -> StopEvent:
        return StopEvent(result=[event.n for event in evs])


async def the_first_of_a_list() -> Seen:
    return [await seen(Quick().run(count=count)) for count in (5, 2, 1, 0)]


class Said(Workflow):
    @step
    async def a_spread(self, ev: StartEvent) -> list[Item]:
        return [Item(n=n) for n in range(3)]

    @step
    async def b_gather(self, evs: Annotated[list[Item], Collect(All())]) -> StopEvent:
        return StopEvent(result=numbers(evs))


async def all_of_a_list_said_aloud() -> Seen:
    return await seen(Said().run())


class Nested(Workflow):
    """A list within a list: each inner one is gathered by itself, then what they came to."""

    @step
    async def a_outer(self, ev: StartEvent) -> list[Item]:
        return [Item(n=n) for n in range(4)]

    @step
    async def b_inner(self, ev: Item) -> list[Done]:
        return [Done(n=ev.n * 10 + k) for k in range(ev.n)]

    @step
    async def c_add(self, evs: list[Done]) -> Sum:
        return Sum(n=sum(numbers(evs)))

    @step
    async def d_gather(self, evs: list[Sum]) -> StopEvent:
        return StopEvent(result=numbers(evs))


async def lists_within_a_list() -> Seen:
    return await seen(Nested().run())


class Mixed(Workflow):
    """A list of two kinds, each worked on by its own step, gathered in one."""

    @step
    async def a_spread(self, ev: StartEvent) -> list[Item | Other]:
        return [Item(n=1), Other(n=2), Item(n=3)]

    @step
    async def b_item(self, ev: Item) -> Done:
        return Done(n=ev.n)

    @step
    async def c_other(self, ev: Other) -> Sum:
        return Sum(n=ev.n * 100)

    @step
    async def d_gather(self, evs: list[Done | Sum]) -> StopEvent:
        return StopEvent(result=sorted((type(event).__name__, event.n) for event in evs))


async def a_list_of_two_kinds() -> Seen:
    return await seen(Mixed().run())


class Either(Workflow):
    """A list, or an event by itself."""

    @step
    async def a_spread(self, ev: StartEvent) -> list[Item] | Other:
        return [Item(n=1), Item(n=2)] if ev.many else Other(n=9)

    @step
    async def b_gather(self, evs: list[Item]) -> StopEvent:
        return StopEvent(result=("many", numbers(evs)))

    @step
    async def c_alone(self, ev: Other) -> StopEvent:
        return StopEvent(result=("one", ev.n))


async def a_list_or_one_event() -> Seen:
    return [await seen(Either().run(many=many)) for many in (True, False)]


class Wrong(Workflow):
    made: Any = None

    @step
    async def a_spread(self, ev: StartEvent) -> list[Item]:
        return self.made  # type: ignore[no-any-return]  # the mistake

    @step
    async def b_gather(self, evs: list[Item]) -> StopEvent:
        return StopEvent(result=numbers(evs))


async def what_is_no_list_of_events() -> Seen:
    found = []
    for made in ([Item(), 3], "text", 5, [None]):
        flow = Wrong()
        flow.made = made
        found.append(await end_of(flow.run()))
    return found


async def a_bare_event_where_a_list_is_due() -> Seen:
    flow = Wrong()
    flow.made = Item()
    return str(await end_of(flow.run()))[:80]


class Flaky(Workflow):
    """Each item fails once before it is done; one fails for good and is caught."""

    @step
    async def a_spread(self, ev: StartEvent) -> list[Item]:
        return [Item(n=n) for n in range(4)]

    @step(retry_policy=retry_policy(wait=wait_none(), stop=stop_after_attempt(2)))
    async def b_work(self, ctx: Context, ev: Item) -> Done:
        if ctx.retry_info().retry_number == 0 or ev.n == 2:
            raise ValueError(f"item {ev.n}")
        return Done(n=ev.n)

    @catch_error
    async def c_rescue(self, ev: StepFailedEvent) -> Done:
        return Done(n=100 + ev.input_event.n)

    @step
    async def d_gather(self, evs: list[Done]) -> StopEvent:
        return StopEvent(result=numbers(evs))


async def failures_within_a_list() -> Seen:
    return await seen(Flaky().run())


class Asking(Workflow):
    """Every item has a question of its own."""

    @step
    async def a_spread(self, ev: StartEvent) -> list[Item]:
        return [Item(n=n) for n in range(3)]

    @step
    async def b_ask(self, ctx: Context, ev: Item) -> Done:
        question = InputRequiredEvent(prefix=f"{ev.n}?")
        answer = await ctx.wait_for_event(HumanResponseEvent, question, requirements={"n": ev.n})
        return Done(n=answer.value)

    @step
    async def c_gather(self, evs: list[Done]) -> StopEvent:
        return StopEvent(result=numbers(evs))


async def waits_within_a_list() -> Seen:
    handler = Asking().run()
    asked = await first_questions(handler, 3)
    for n in (2, 0, 1):
        handler.ctx.send_event(HumanResponseEvent(n=n, value=n * 7))
        await turns()
    return asked, await end_of(handler)


async def a_snapshot_within_a_list() -> Seen:
    first, second = Asking(), Asking()
    handler = first.run()
    await first_questions(handler, 3)
    await turns()
    handler.ctx.send_event(HumanResponseEvent(n=1, value=11))
    await turns()
    ctx = Context[Any].from_dict(second, through_json(handler.ctx.to_dict()))
    await handler.cancel_run()
    again = second.run(ctx=ctx)
    await turns(60)
    for n in (0, 2):
        again.ctx.send_event(HumanResponseEvent(n=n, value=n * 10))
        await turns()
    return await end_of(again)


class Sending(Workflow):
    @step
    async def a_spread(self, ctx: Context, ev: StartEvent) -> list[Item]:
        ctx.send_event(Item(n=5), step=ev.to)
        return [Item(n=1)]

    @step
    async def b_gather(self, evs: list[Item]) -> StopEvent:
        return StopEvent(result=numbers(evs))


async def what_is_sent_joins_no_list() -> Seen:
    return await end_of(Sending().run(to=None))


async def what_is_sent_to_a_step_that_gathers() -> Seen:
    said = str(await end_of(Sending().run(to="b_gather")))
    return said.partition(":")[0], "a collect step cannot receive targeted events" in said


class Pair(Workflow):
    """Fires when one of each is there."""

    @step
    async def a_left(self, ev: StartEvent) -> Item:
        return Item(n=1)

    @step
    async def b_right(self, ev: StartEvent) -> Done:
        await turns()
        return Done(n=2)

    @step
    async def c_join(self, item: Item, done: Done) -> StopEvent:
        return StopEvent(result=(item.n, done.n))


async def two_events_joined() -> Seen:
    return await seen(Pair().run())


async def two_events_joined_with_internal_events() -> Seen:
    shown = await seen(Pair().run(), internal=True)
    return [fields for kind, fields in shown["stream"] if kind == "StepStateChanged" and fields["name"] == "c_join"]


async def a_gathering_with_internal_events() -> Seen:
    shown = await seen(Said().run(), internal=True)
    return [fields for kind, fields in shown["stream"] if kind == "StepStateChanged" and fields["name"] == "b_gather"]


class Twins(Workflow):
    """Fires when two of a kind are there."""

    @step
    async def a_spread(self, ctx: Context, ev: StartEvent) -> Item | None:
        for n in (3, 1):
            ctx.send_event(Item(n=n))
        return None

    @step
    async def b_join(self, one: Item, other: Item) -> StopEvent:
        return StopEvent(result=(one.n, other.n))


async def two_of_a_kind_joined() -> Seen:
    return await seen(Twins().run())


class JoinedWithin(Workflow):
    """The halves of each item meet their own other half."""

    @step
    async def a_spread(self, ev: StartEvent) -> list[Item]:
        return [Item(n=n) for n in (1, 2, 3)]

    @step
    async def b_left(self, ev: Item) -> Done:
        return Done(n=ev.n)

    @step
    async def c_gather(self, evs: list[Done]) -> Sum:
        return Sum(n=sum(numbers(evs)))

    @step
    async def d_beside(self, ev: StartEvent) -> Other:
        return Other(n=100)

    @step
    async def e_join(self, total: Sum, other: Other) -> StopEvent:
        return StopEvent(result=total.n + other.n)


async def what_a_list_comes_to_joined_with_an_event() -> Seen:
    return await seen(JoinedWithin().run())


class Raw(Workflow):
    """The list goes straight into the step that gathers it, and something else listens to each."""

    @step
    async def a_spread(self, ev: StartEvent) -> list[Item]:
        return [Item(n=n) for n in range(3)]

    @step
    async def b_listen(self, ctx: Context, ev: Item) -> None:
        ctx.write_event_to_stream(Event(heard=ev.n))

    @step
    async def c_gather(self, evs: list[Item]) -> StopEvent:
        return StopEvent(result=numbers(evs))


async def a_list_gathered_as_it_is() -> Seen:
    return await seen(Raw(skip_graph_checks={"dead_end"}).run())


class Failing(Workflow):
    """Gathering fails; the handler finds what was gathered."""

    @step
    async def a_spread(self, ev: StartEvent) -> list[Item]:
        return [Item(n=n) for n in range(2)]

    @step
    async def b_gather(self, evs: list[Item]) -> StopEvent:
        raise ValueError("too few")

    @catch_error
    async def c_rescue(self, ev: StepFailedEvent) -> StopEvent:
        return StopEvent(result=(ev.step_name, type(ev.input_event).__name__, plain(ev.exception)))


async def a_gathering_that_fails() -> Seen:
    return await seen(Failing().run())


# --- What is refused ------------------------------------------------------------------------------------


async def how_many_to_take() -> Seen:
    wrong: tuple[Any, ...] = (0, -1, 1.5, "2")
    return [refusal(lambda n=n: Take(n)) for n in wrong], plain(Collect() == Collect(All()))  # type: ignore[misc]  # mypy cannot infer a lambda with a default


async def _two_lists(a: list[Item], b: list[Done]) -> StopEvent | None: ...
async def _list_and_event(a: list[Item], b: Done) -> StopEvent | None: ...
async def _union_slot(a: Item | Sum, b: Done) -> StopEvent | None: ...
async def _mark_without_list(a: Annotated[Item, Collect(Take(1))]) -> StopEvent | None: ...
async def _odd_cardinality(a: Annotated[list[Item], Collect(Cardinality())]) -> StopEvent | None: ...


async def signatures_that_make_no_sense() -> Seen:
    codes = (_two_lists, _list_and_event, _union_slot, _mark_without_list, _odd_cardinality)
    return [str(refusal(lambda code=code: step(workflow=Squares)(code))).partition(" (_")[0] for code in codes]  # type: ignore[misc]  # mypy cannot infer a lambda with a default


class NoList(Workflow):
    @step
    async def a_begin(self, ev: StartEvent) -> Item:
        return Item()

    @step
    async def b_gather(self, evs: list[Item]) -> StopEvent:
        return StopEvent()


async def a_list_that_nobody_makes() -> Seen:
    return refusal(lambda: NoList().validate())


class Apart(Workflow):
    @step
    async def a_spread(self, ev: StartEvent) -> list[Item]:
        return []

    @step
    async def b_beside(self, ev: StartEvent) -> Done:
        return Done()

    @step
    async def c_join(self, item: Item, done: Done) -> StopEvent:
        return StopEvent()


async def events_that_never_meet() -> Seen:
    return refusal(lambda: Apart().validate())
