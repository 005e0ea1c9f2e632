"""Durable runs that go on after they were over or set aside, on both stores."""

from __future__ import annotations

from fractions import Fraction

import pytest

from engine import Context, Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.errors import RunNotFound, UnreconstructedException
from engine.run_store import RunStore
from engine.runner import Runner
from engine.verdicts import Accepted, Cancelled
from tests.integration.engine.stores import StoreWithClock


class Pages(Event):
    n: int


class Publishing(Workflow):
    """Asks, pays once, and publishes where it may be that nobody listens."""

    paid: list[str] = []  # noqa: RUF012 - shared by all instances on purpose: the outside world
    broken: list[str] = []  # noqa: RUF012 - as `paid`

    @step
    async def ask(self, ctx: Context, ev: StartEvent) -> StopEvent:
        name: str = await ctx.once("paid", self.pay, ev.name)
        await ctx.store.set("paid", name)
        answer = await ctx.wait_for_event(HumanResponseEvent, prompt=f"Publish {name}?", timeout=ev.get("timeout"))
        if name in self.broken:
            raise ConnectionError("the press stands still")
        return StopEvent(result=f"{name}: {answer.response}")

    async def pay(self, name: str) -> str:
        self.paid.append(name)
        return name


class Halves(Workflow):
    """One step fails while a question that another has asked is open."""

    broken: list[str] = []  # noqa: RUF012 - as above

    @step
    async def split(self, ctx: Context, ev: StartEvent) -> Pages | InputRequiredEvent:
        ctx.send_event(InputRequiredEvent(prefix="Which title?", timeout=60))
        return Pages(n=1)

    @step
    async def print_pages(self, ctx: Context, ev: Pages) -> None:
        if self.broken:
            raise ConnectionError("no paper")
        await ctx.store.set("printed", ev.n)

    @step
    async def title(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=f"{ev.response}, {await ctx.store.get('printed')} page")


class Odd(Workflow):
    """Fails, and leaves behind what has no stored form."""

    @step
    async def keep(self, ctx: Context, ev: StartEvent) -> Pages | StopEvent:
        ctx.send_event(Pages(n=2, odd=Fraction(1, 3)))
        await ctx.store.set("odd", Fraction(1, 3))
        raise ValueError("for a reason of its own")

    @step
    async def read(self, ev: Pages) -> None:
        return None


@pytest.fixture(autouse=True)
def _as_at_first() -> None:
    Publishing.paid.clear()
    Publishing.broken[:] = ["atlas"]
    Halves.broken[:] = ["paper"]


def fresh(store: RunStore, *workflows: Workflow) -> Runner:
    """A runner as a new process has it."""
    return Runner(store, workflows or [Publishing(), Halves(), Odd()])


async def answered(store: RunStore, run_id: str, response: str = "yes") -> None:
    """Answer the one open question and let the run go on."""
    (ask,) = (await fresh(store).view(run_id)).asks
    assert isinstance(await fresh(store).answer(run_id, ask.id, response, user_id="U2"), Accepted)
    await fresh(store).drain(run_id)


async def test_a_failed_run_goes_on_with_the_step_that_failed(world: StoreWithClock) -> None:
    run_id = await fresh(world.store).start(Publishing(), name="atlas")
    await fresh(world.store).drain(run_id)
    await answered(world.store, run_id)
    assert (await fresh(world.store).view(run_id)).status == "failed"
    Publishing.broken.clear()

    assert await fresh(world.store).reopen(run_id, "U9") == "failed"
    view = await fresh(world.store).drain(run_id)

    assert (view.status, view.result) == ("done", "atlas: yes")
    assert Publishing.paid == ["atlas"], "what the step had done before is not done again"


async def test_the_second_end_is_told_as_the_first_was(world: StoreWithClock) -> None:
    run_id = await fresh(world.store).start(Publishing(), name="atlas")
    await fresh(world.store).drain(run_id)
    await answered(world.store, run_id)

    for _ in range(2):
        await fresh(world.store).reopen(run_id, "U9")
        await fresh(world.store).drain(run_id)

    ends = [effect for effect in await world.store.effects_of(run_id) if effect.startswith("result")]
    assert ends == ["result", "result:2", "result:3"]


async def test_a_question_that_was_open_when_the_run_failed_is_asked_anew(world: StoreWithClock) -> None:
    run_id = await fresh(world.store).start(Halves())
    await fresh(world.store).drain(run_id)
    assert (await fresh(world.store).view(run_id)).status == "failed"
    Halves.broken.clear()
    await world.pass_time(3_600)

    await fresh(world.store).reopen(run_id, "U9")
    view = await fresh(world.store).drain(run_id)

    (ask,) = view.asks
    assert ask.event.prefix == "Which title?"
    assert ask.deadline is not None
    assert ask.deadline - ask.opened_at == pytest.approx(60, abs=0.1)
    await answered(world.store, run_id, "Birds")
    assert (await fresh(world.store).view(run_id)).result == "Birds, 1 page"


async def test_a_cancelled_run_goes_on_and_its_old_question_stays_closed(world: StoreWithClock) -> None:
    run_id = await fresh(world.store).start(Publishing(), name="birds")
    (before,) = (await fresh(world.store).drain(run_id)).asks
    await fresh(world.store).cancel(run_id, "U2")
    await fresh(world.store).drain(run_id)

    assert await fresh(world.store).reopen(run_id, "U9") == "cancelled"
    await fresh(world.store).drain(run_id)

    late = await fresh(world.store).answer(run_id, before.id, "yes", user_id="U3")
    assert isinstance(late, Cancelled)
    await answered(world.store, run_id, "gladly")
    assert (await fresh(world.store).view(run_id)).result == "birds: gladly"
    assert Publishing.paid == ["birds"]


async def test_a_wait_in_vain_that_failed_the_run_is_waited_anew(world: StoreWithClock) -> None:
    run_id = await fresh(world.store).start(Publishing(), name="bees", timeout=60.0)
    await fresh(world.store).drain(run_id)
    await world.pass_time(61)
    view = await fresh(world.store).drain(run_id)
    assert (view.status, str(view.error)) == ("failed", "TimeoutError: Timed out waiting for HumanResponseEvent")

    await fresh(world.store).reopen(run_id, "U9")
    await fresh(world.store).drain(run_id)

    await answered(world.store, run_id, "late")
    assert (await fresh(world.store).view(run_id)).result == "bees: late"


async def test_a_parked_run_goes_on_once_the_code_can_read_it(world: StoreWithClock) -> None:
    run_id = await fresh(world.store).start(Publishing(), name="birds")
    (ask,) = (await fresh(world.store).drain(run_id)).asks
    await fresh(world.store).answer(run_id, ask.id, "yes", user_id="U2")
    other = type("Publishing", (Halves,), {"__module__": "elsewhere"})
    for _ in range(2):
        await fresh(world.store, other()).drain(run_id)
        assert await fresh(world.store).reopen(run_id, "U9") == "parked"

    view = await fresh(world.store).drain(run_id)

    assert (view.status, view.result) == ("done", "birds: yes")
    told = [effect for effect in await world.store.effects_of(run_id) if effect.startswith("parked:")]
    assert len(told) == 2, "each time"


async def test_a_run_that_no_code_can_read_can_be_cancelled(world: StoreWithClock) -> None:
    run_id = await fresh(world.store).start(Publishing(), name="birds")
    await fresh(world.store).drain(run_id)
    other = type("Publishing", (Halves,), {"__module__": "elsewhere"})
    await fresh(world.store).send(run_id, Event())
    await fresh(world.store, other()).drain(run_id)

    await fresh(world.store, other()).cancel(run_id, "U2")
    view = await fresh(world.store, other()).drain(run_id)

    assert view.status == "cancelled"
    assert "result" in await world.store.effects_of(run_id)


async def test_a_run_fails_for_its_own_reason_whatever_it_leaves_behind(world: StoreWithClock) -> None:
    run_id = await fresh(world.store).start(Odd())

    view = await fresh(world.store).drain(run_id)

    assert isinstance(view.error, UnreconstructedException)
    assert str(view.error) == "ValueError: for a reason of its own"
    assert await fresh(world.store).reopen(run_id, "U9") == "failed"
    assert (await fresh(world.store).drain(run_id)).status == "failed"


async def test_a_fork_asks_anew_and_leaves_the_run_it_came_from_alone(world: StoreWithClock) -> None:
    run_id = await fresh(world.store).start(Publishing(), name="birds", requester="U1", address="C1")
    await fresh(world.store).drain(run_id)

    fork = await fresh(world.store).fork(run_id, "U9")
    await fresh(world.store).drain(fork)

    await answered(world.store, fork, "forked")
    await answered(world.store, run_id, "first")
    results = [(await fresh(world.store).view(one)).result for one in (run_id, fork)]
    assert results == ["birds: first", "birds: forked"]
    assert Publishing.paid == ["birds"], "what was done before the fork is not done again"
    run = await world.store.run(fork)
    assert run is not None
    assert (run.requester, run.address) == ("U1", "C1")


async def test_a_fork_of_a_run_that_is_done_begins_again(world: StoreWithClock) -> None:
    run_id = await fresh(world.store).start(Publishing(), name="birds")
    await fresh(world.store).drain(run_id)
    await answered(world.store, run_id, "first")

    fork = await fresh(world.store).fork(run_id, "U9")
    await fresh(world.store).drain(fork)

    await answered(world.store, fork, "again")
    assert (await fresh(world.store).view(fork)).result == "birds: again"
    assert Publishing.paid == ["birds", "birds"]


async def test_a_fork_of_a_failed_run_goes_on_with_the_step_that_failed(world: StoreWithClock) -> None:
    run_id = await fresh(world.store).start(Publishing(), name="atlas")
    await fresh(world.store).drain(run_id)
    await answered(world.store, run_id)
    Publishing.broken.clear()

    fork = await fresh(world.store).fork(run_id, "U9")
    view = await fresh(world.store).drain(fork)

    assert (view.status, view.result) == ("done", "atlas: yes")
    assert (await fresh(world.store).view(run_id)).status == "failed"


async def test_only_a_run_can_be_forked(world: StoreWithClock) -> None:
    with pytest.raises(RunNotFound):
        await fresh(world.store).fork(world.store.new_run_id(), "U9")
