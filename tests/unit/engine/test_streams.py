"""Fan-out by returned lists and fan-in by ``list[E]`` parameters and joins."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest

from engine import (
    AskExpired,
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
    Workflow,
    WorkflowRuntimeError,
    WorkflowValidationError,
    catch_error,
    retry_policy,
    step,
)
from engine.collect import All, Cardinality, Collect, Take
from engine.errors import ContextSerdeError
from engine.events import CollectionReleaseEvent, UnhandledEvent
from engine.retry import stop_after_attempt, wait_none
from engine.testing import later, play
from tests.unit.engine.turns import until


class Item(Event):
    n: int = 0


class Done(Event):
    n: int = 0


class Sum(Event):
    n: int = 0


def numbers(events: list[Any]) -> list[int]:
    return sorted(event.n for event in events)


# --- A stream --------------------------------------------------------------------------------


class Squares(Workflow):
    """Makes a list, works on each, and takes what comes of it as a list. Odd numbers are dropped if told so."""

    batches: list[list[int]]

    def __init__(self) -> None:
        super().__init__()
        self.batches = []

    @step
    async def spread(self, ev: StartEvent) -> list[Item] | None:
        return None if ev.count is None else [Item(n=n) for n in range(ev.count)]

    @step(num_workers=2)
    async def work(self, ev: Item) -> Done | None:
        return Done(n=ev.n * ev.n) if ev.n % 2 == 0 else None

    @step
    async def gather(self, evs: list[Done]) -> StopEvent:
        self.batches.append(numbers(evs))
        return StopEvent(result=numbers(evs))


@pytest.mark.parametrize("count", [1, 2, 9, 300])
async def test_what_comes_of_a_list_is_collected_once_without_what_was_dropped(count: int) -> None:
    flow = Squares()

    result = await flow.run(count=count)

    assert result == [n * n for n in range(0, count, 2)]
    assert flow.batches == [result]


async def test_an_empty_list_is_a_stream_that_closes_at_once() -> None:
    assert await Squares().run(count=0) == []


async def test_none_in_place_of_a_list_opens_no_stream() -> None:
    flow = Squares()
    handler = flow.run(count=None)
    async for event in handler.stream_events(expose_internal=True):
        if type(event).__name__ == "WorkflowIdleEvent":
            break

    assert flow.batches == []
    await handler.cancel_run()


class Racing(Workflow):
    @step
    async def spread(self, ev: StartEvent) -> list[Item]:
        return [Item(n=n) for n in range(ev.count)]

    @step
    async def first(self, evs: Annotated[list[Item], Collect(Take(2))]) -> Sum:
        return Sum(n=sum(numbers(evs)))

    @step
    async def every(self, evs: Annotated[list[Item], Collect(All())]) -> Sum:
        return Sum(n=100 * len(evs))

    @step
    async def gather(self, ctx: Context, ev: Sum) -> StopEvent | None:
        found = ctx.collect_events(ev, [Sum, Sum])
        return None if found is None else StopEvent(result=[event.n for event in found])


@pytest.mark.parametrize(("count", "result"), [(5, [1, 500]), (2, [1, 200]), (1, [0, 100]), (0, [0, 0])])
async def test_the_first_few_are_taken_at_once_or_what_there_is_when_the_stream_closes(
    count: int, result: list[int]
) -> None:
    """Each collecting step has a batch of its own; the one that takes two goes first unless there are fewer."""
    assert sorted(await Racing().run(count=count)) == result


class Nested(Workflow):
    """A list within a list: each inner one has a batch of its own, the outer one a batch of what they came to."""

    @step
    async def outer(self, ev: StartEvent) -> list[Item]:
        return [Item(n=n) for n in range(3)]

    @step
    async def inner(self, ev: Item) -> list[Done]:
        return [Done(n=ev.n * 10 + k) for k in range(ev.n)]

    @step
    async def add(self, evs: list[Done]) -> Sum:
        return Sum(n=sum(numbers(evs)))

    @step
    async def total(self, evs: list[Sum]) -> StopEvent:
        return StopEvent(result=numbers(evs))


async def test_streams_within_streams_are_joined_on_their_own_level() -> None:
    assert await Nested().run() == [0, 10, 41]


class Mixed(Workflow):
    """Returns a list, or an event by itself; both are declared."""

    @step
    async def spread(self, ev: StartEvent) -> list[Item | Done] | Done | Sum:
        if ev.how == "list":
            return [Item(n=1), Done(n=2)]
        return Sum(n=3) if ev.how == "by itself" else Done(n=4)

    @step
    async def alone(self, ev: Sum) -> StopEvent:
        return StopEvent(result=ev.n)

    @step
    async def gather(self, evs: list[Item | Done]) -> StopEvent:
        return StopEvent(result=numbers(evs))


async def test_a_list_of_several_kinds_is_collected_and_an_event_by_itself_is_routed() -> None:
    assert await Mixed().run(how="list") == [1, 2]
    assert await Mixed().run(how="by itself") == 3


async def test_an_event_by_itself_joins_no_batch_and_is_told_of() -> None:
    handler = Mixed().run(how="a member by itself")
    told = []
    async for event in handler.stream_events(expose_internal=True):
        told.append(event)
        if type(event).__name__ == "WorkflowIdleEvent":
            break

    assert [event.event_type for event in told if isinstance(event, UnhandledEvent)] == ["Done"]
    await handler.cancel_run()


# --- What keeps a stream open -----------------------------------------------------------------


class Hard(Workflow):
    """Works on two items, one of which needs a second try, or help, or gets lost."""

    @step
    async def spread(self, ev: StartEvent) -> list[Item]:
        return [Item(n=1), Item(n=2)]

    @step(retry_policy=retry_policy(wait=wait_none(), stop=stop_after_attempt(2)))
    async def work(self, ctx: Context, ev: Item) -> Done:
        if ev.n == 1 and ctx.retry_info().retry_number < await ctx.store.get("failures"):
            raise ValueError("not yet")
        return Done(n=ev.n)

    @catch_error(for_steps=["work"])
    async def help(self, ctx: Context, ev: StepFailedEvent) -> Done | None:
        return Done(n=10) if await ctx.store.get("helps") else None

    @step
    async def gather(self, evs: list[Done]) -> StopEvent:
        return StopEvent(result=numbers(evs))


@pytest.mark.parametrize(("failures", "helps", "result"), [(1, False, [1, 2]), (2, True, [2, 10]), (2, False, [2])])
async def test_a_stream_waits_for_another_try_and_for_a_handler(failures: int, helps: bool, result: list[int]) -> None:
    flow = Hard()
    ctx: Context = Context(flow)
    await ctx.store.set("failures", failures)
    await ctx.store.set("helps", helps)

    assert await flow.run(ctx=ctx) == result


class Failing(Workflow):
    @step
    async def spread(self, ev: StartEvent) -> list[Item]:
        return [Item(n=1), Item(n=2)]

    @step
    async def gather(self, evs: list[Item]) -> StopEvent:
        raise ValueError("no")

    @catch_error
    async def help(self, ev: StepFailedEvent) -> StopEvent:
        assert isinstance(ev.input_event, CollectionReleaseEvent)
        return StopEvent(result=numbers(ev.input_event.events))


async def test_whoever_handles_a_failed_collection_finds_the_batch() -> None:
    assert await Failing().run() == [1, 2]


class Waiting(Workflow):
    """Each item waits for a person within its step."""

    @step
    async def spread(self, ev: StartEvent) -> list[Item]:
        return [Item(n=1), Item(n=2)]

    @step
    async def ask(self, ctx: Context, ev: Item) -> Done:
        told = await ctx.wait_for_event(
            HumanResponseEvent, waiter_event=InputRequiredEvent(prefix=f"item {ev.n}?"), requirements={"item": ev.n}
        )
        return Done(n=ev.n * int(told.response))

    @step
    async def gather(self, evs: list[Done]) -> StopEvent:
        return StopEvent(result=numbers(evs))


class Asking(Workflow):
    """Each item asks by returning a question; the answer is worked on by a step of its own."""

    @step
    async def spread(self, ev: StartEvent) -> list[Item]:
        return [Item(n=n) for n in range(1, 3)]

    @step
    async def ask(self, ev: Item) -> InputRequiredEvent:
        return InputRequiredEvent(prefix=f"item {ev.n}?", timeout=60.0)

    @step
    async def heard(self, ev: HumanResponseEvent) -> Done:
        return Done(n=int(ev.response))

    @step
    async def late(self, ev: AskExpired) -> Done:
        return Done(n=-1)

    @step
    async def gather(self, evs: list[Done]) -> StopEvent:
        return StopEvent(result=numbers(evs))


async def test_a_stream_waits_for_a_step_that_waits() -> None:
    handler = Waiting().run()
    await until(lambda: len(handler.ctx.open_asks) == 2)
    for item in (2, 1):
        handler.ctx.send_event(HumanResponseEvent(response="10", item=item))

    assert await handler == [10, 20]


async def test_a_stream_waits_for_the_answers_to_what_its_steps_ask() -> None:
    handler = Asking().run()
    await until(lambda: len(handler.ctx.open_asks) == 2)
    first, second = handler.ctx.open_asks
    handler.ctx.send_event(HumanResponseEvent(response="7", ask_id=second.id))
    handler.ctx.send_event(HumanResponseEvent(response="5"))

    assert first.id != second.id
    assert await handler == [5, 7]


async def test_a_batch_of_approvals_is_durable() -> None:
    assert (await play(Asking(timeout=None), None, "3", "4")).result == [3, 4]


async def test_a_question_of_a_stream_that_nobody_answers_is_dropped_or_decided_by_its_step() -> None:
    assert (await play(Asking(timeout=None), None, "3", later(minutes=2))).result == [-1, 3]


# --- Across a snapshot ------------------------------------------------------------------------


@pytest.mark.parametrize("flow_class", [Waiting, Asking])
async def test_a_stream_survives_a_snapshot(flow_class: type[Workflow]) -> None:
    """Behaviour 44."""
    handler = flow_class().run()
    await until(lambda: len(handler.ctx.open_asks) == 2)
    handler.ctx.send_event(HumanResponseEvent(response="2", item=1, ask_id=handler.ctx.open_asks[0].id))
    await until(lambda: "batches" in json.dumps(handler.ctx.to_dict()))
    snapshot = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()
    flow = flow_class()

    ctx: Context = Context.from_dict(flow, snapshot)
    ctx.send_event(HumanResponseEvent(response="4", item=2, ask_id=ctx.open_asks[0].id))
    result = await flow.run(ctx=ctx)

    assert result == ([2, 8] if flow_class is Waiting else [2, 4])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda run: run["streams"].clear(), "there is no stream"),
        (lambda run: run["streams"].append(run["streams"][0]), "two streams"),
        (lambda run: run["streams"][0].update(parent=run["streams"][0]["id"]), "is within"),
        (lambda run: run["streams"].append({"id": 0, "source": "spread"}), "nothing is left in stream 0"),
        (lambda run: run["streams"][0].update(source="renamed"), "'renamed', which"),
        (lambda run: run.update(next_id=2), "next_id 2 is taken"),
        (lambda run: run["streams"][0].update(batches={"gone": []}), "'gone', which"),
        (lambda run: run.update(slots=[{"step": "gather", "stream": 99, "events": []}]), "there is no stream 99"),
    ],
)
async def test_a_damaged_stream_is_refused_and_named(damage: Any, said: str) -> None:
    handler = Waiting().run()
    await until(lambda: len(handler.ctx.open_asks) == 2)
    snapshot = handler.ctx.to_dict()
    await handler.cancel_run()

    damage(snapshot)

    with pytest.raises(ContextSerdeError, match=said):
        Context.from_dict(Waiting(), snapshot)


# --- What a step must not do ---------------------------------------------------------------------


class Wrong(Workflow):
    made: Any = None

    @step
    async def spread(self, ev: StartEvent) -> list[Item] | Sum:
        return self.made  # type: ignore[no-any-return]

    @step
    async def gather(self, evs: list[Item]) -> StopEvent:
        return StopEvent()

    @step
    async def alone(self, ev: Sum) -> StopEvent:
        return StopEvent()


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ([Item(), 3], "Step function spread returned a list containing int instead of an Event instance."),
        (Item(), "Step function spread returned a bare Item but its return annotation only declares it inside a list."),
        ("text", "Step function spread returned str instead of an Event instance."),
        ((Item(),), "Step function spread returned tuple instead of an Event instance."),
    ],
)
async def test_what_does_not_fit_the_annotation_is_refused(made: Any, said: str) -> None:
    flow = Wrong()
    flow.made = made

    with pytest.raises(WorkflowRuntimeError) as caught:
        await flow.run()

    assert str(caught.value).startswith(said)


class Plain(Workflow):
    @step
    async def begin(self, ev: StartEvent) -> StopEvent:
        return [StopEvent()]  # type: ignore[return-value]


async def test_a_list_that_is_not_declared_is_refused() -> None:
    with pytest.raises(WorkflowRuntimeError, match="begin returned list instead of an Event"):
        await Plain().run()


class Sending(Workflow):
    """Tries to put an event into a batch by sending it."""

    @step
    async def spread(self, ctx: Context, ev: StartEvent) -> list[Item]:
        ctx.send_event(Item(n=5), step=ev.to)
        return [Item(n=1)]

    @step
    async def gather(self, evs: list[Item]) -> StopEvent:
        return StopEvent(result=numbers(evs))


async def test_what_is_sent_joins_no_batch(caplog: pytest.LogCaptureFixture) -> None:
    assert await Sending().run(to=None) == [1]
    assert "only what a step returns in a list is collected" in caplog.text


async def test_what_is_sent_to_a_collecting_step_is_refused() -> None:
    with pytest.raises(WorkflowRuntimeError, match="a collect step cannot receive targeted events"):
        await Sending().run(to="gather")


# --- Joins --------------------------------------------------------------------------------------


class Both(Workflow):
    """Takes one of each, in whatever order they come."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> Item | Done | None:
        for event in ev.events:
            ctx.send_event(event)
        return None

    @step
    async def join(self, ctx: Context, done: Done, item: Item) -> Sum:
        return Sum(n=100 * item.n + done.n)

    @step
    async def gather(self, ctx: Context, ev: Sum) -> StopEvent | None:
        found = ctx.collect_events(ev, [Sum] * 2)
        return None if found is None else StopEvent(result=numbers(found))


@pytest.mark.parametrize(
    "events",
    [
        [Item(n=1), Done(n=2), Item(n=3), Done(n=4)],
        [Item(n=1), Item(n=3), Done(n=2), Done(n=4)],
        [Done(n=2), Done(n=4), Item(n=1), Item(n=3)],
    ],
)
async def test_events_meet_their_fellows_in_order_of_arrival(events: list[Event]) -> None:
    assert await Both().run(events=events) == [102, 304]


class Shape(Event):
    n: int = 0


class Round(Shape):
    pass


class Square(Shape):
    pass


class Twice(Workflow):
    """Takes two of one kind, which may be subclasses, and one of another."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> Shape | Done | None:
        for event in ev.events:
            ctx.send_event(event)
        return None

    @step(accept_event_subclasses=True)
    async def join(self, one: Shape, other: Shape, done: Done) -> StopEvent:
        return StopEvent(result=[one.n, other.n, done.n])


async def test_two_of_one_kind_are_bound_in_order_of_arrival_subclasses_too() -> None:
    events = [Round(n=1), Square(n=2), Round(n=3), Done(n=4)]

    assert await Twice().run(events=events) == [1, 2, 4]


class JoinedWithin(Workflow):
    """Joins within each of several streams: halves of different streams do not meet."""

    @step
    async def outer(self, ev: StartEvent) -> list[Item]:
        return [Item(n=1), Item(n=2), Item(n=3)]

    @step
    async def inner(self, ev: Item) -> list[Shape | Done]:
        return [Shape(n=ev.n), Done(n=ev.n)] if ev.n != 2 else [Shape(n=ev.n)]

    @step
    async def join(self, shape: Shape, done: Done) -> Sum:
        return Sum(n=10 * shape.n + done.n)

    @step
    async def add(self, evs: list[Sum]) -> Square:
        return Square(n=sum(numbers(evs)))

    @step
    async def total(self, evs: list[Square]) -> StopEvent:
        return StopEvent(result=numbers(evs))


async def test_halves_of_different_streams_do_not_meet() -> None:
    assert await JoinedWithin().run() == [0, 11, 33]


class HalfDone(Workflow):
    """Has one half, and asks a person for the other."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> Item | InputRequiredEvent:
        ctx.send_event(Item(n=1))
        return InputRequiredEvent(prefix="the other half?")

    @step
    async def heard(self, ev: HumanResponseEvent) -> Done:
        return Done(n=int(ev.response))

    @step
    async def join(self, item: Item, done: Done) -> StopEvent:
        return StopEvent(result=[item.n, done.n])


async def test_half_a_join_survives_a_snapshot() -> None:
    """Behaviour 44."""
    handler = HalfDone().run()
    await until(lambda: handler.ctx.open_asks)
    snapshot = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()
    ctx: Context = Context.from_dict(HalfDone(), snapshot)
    ctx.send_event(HumanResponseEvent(response="2"))

    assert await HalfDone().run(ctx=ctx) == [1, 2]


# --- What is checked before anything runs ----------------------------------------------------------


def test_how_much_is_taken_is_checked() -> None:
    for wrong in (0, -1, True, 1.5, "2"):
        with pytest.raises(ValueError, match=r"Take\(n\) requires an integer n >= 1"):
            Take(wrong)  # type: ignore[arg-type]


async def _two_lists(self: Any, a: list[Item], b: list[Done]) -> StopEvent | None: ...
async def _list_and_event(self: Any, a: list[Item], b: Done) -> StopEvent | None: ...
async def _union_slot(self: Any, a: Item | Sum, b: Done) -> StopEvent | None: ...
async def _mark_without_list(self: Any, a: Annotated[Item, Collect(Take(1))]) -> StopEvent | None: ...
async def _odd_cardinality(self: Any, a: Annotated[list[Item], Collect(Cardinality())]) -> StopEvent | None: ...


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (_two_lists, "at most one list"),
        (_list_and_event, "cannot be combined with other event parameters"),
        (_union_slot, "parameter 'a' declares 2"),
        (_mark_without_list, "carries a Collect marker"),
        (_odd_cardinality, r"must be All\(\) or Take\(n\)"),
    ],
)
def test_a_signature_that_makes_no_sense_is_refused(code: Any, said: str) -> None:
    with pytest.raises(WorkflowValidationError, match=said):
        step(workflow=Plain)(code)


class NoList(Workflow):
    @step
    async def begin(self, ev: StartEvent) -> Item:
        return Item()

    @step
    async def gather(self, evs: list[Item]) -> StopEvent:
        return StopEvent()


class Apart(Workflow):
    @step
    async def spread(self, ev: StartEvent) -> list[Item]:
        return []

    @step
    async def beside(self, ev: StartEvent) -> Done:
        return Done()

    @step
    async def join(self, item: Item, done: Done) -> StopEvent:
        return StopEvent()


@pytest.mark.parametrize(
    ("flow", "said"),
    [
        (NoList, r"collects list\[Item\], but no returned-list producer creates a stream"),
        (
            Apart,
            "'item' \\(Item\\) is produced at the stream of step 'spread'; 'done' \\(Done\\) is produced at the top",
        ),
    ],
)
def test_a_graph_that_can_never_collect_is_refused(flow: type[Workflow], said: str) -> None:
    with pytest.raises(WorkflowValidationError, match=said):
        flow().validate()


@pytest.mark.parametrize("flow", [Squares, Racing, Nested, Mixed, Hard, Waiting, Asking, Both, Twice, JoinedWithin])
def test_a_graph_that_can_collect_is_sound(flow: type[Workflow]) -> None:
    flow().validate()
