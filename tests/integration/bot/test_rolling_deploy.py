"""Old and new code share a store while a deploy rolls: what one cannot read, the other goes on with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.directory import Directory
from bot.slack.surface import RETRY_S, SlackSurface
from bot.slack.workspaces import OneWorkspace
from engine import Context, Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.core.versions import stored_as, upcast
from engine.run_store import LEAVE_PAUSE_S, PATIENCE_S
from engine.runner import Runner, RunView
from engine.worker import PARKED
from tests.integration.engine.stores import StoreWithClock, in_memory, in_redis


class Draft(Event):
    text: str


class Checked(Event):
    """The old code has never heard of it."""

    text: str = ""


@stored_as("Draft")
class Titled(Event):
    """What a draft is now."""

    title: str


@upcast(Titled, from_version=1)
def with_title(values: dict[str, Any]) -> dict[str, Any]:
    return {"title": values["text"]}


class Old(Workflow):
    @step
    async def write(self, ev: StartEvent) -> Draft:
        return Draft(text=ev.topic)

    @step
    async def ask(self, ctx: Context, ev: Draft) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, prompt=f"{ev.text}?")
        return StopEvent(result=f"{ev.text}: {answer.response}")


class NewVersion(Workflow):
    """Its draft is of another version."""

    @step
    async def write(self, ev: StartEvent) -> Titled:
        return Titled(title=ev.topic)

    @step
    async def ask(self, ctx: Context, ev: Titled) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, prompt=f"{ev.title}?")
        return StopEvent(result=f"{ev.title}: {answer.response}")


class NewStep(Workflow):
    """It waits in a step that the old code has not."""

    @step
    async def write(self, ev: StartEvent) -> Draft:
        return Draft(text=ev.topic)

    @step
    async def ask_twice(self, ctx: Context, ev: Draft) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, prompt=f"{ev.text}?")
        return StopEvent(result=f"{ev.text}: {answer.response}")


class NewClass(Workflow):
    """The step is the old one, the event that it waits with is not."""

    @step
    async def write(self, ev: StartEvent) -> Checked:
        return Checked(text=ev.topic)

    @step
    async def ask(self, ctx: Context, ev: Checked) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, prompt=f"{ev.text}?")
        return StopEvent(result=f"{ev.text}: {answer.response}")


class NewState(Workflow):
    """It keeps in its state what the old code cannot name."""

    types = (Checked,)

    @step
    async def write(self, ctx: Context, ev: StartEvent) -> Draft:
        await ctx.store.set("checked", Checked(text=ev.topic))
        return Draft(text=ev.topic)

    ask = Old.ask


_deployed: dict[type[Workflow], Workflow] = {}
NEWER: list[type[Workflow]] = [NewVersion, NewStep, NewClass, NewState]


def deployed(code: type[Workflow]) -> Workflow:
    """The code under the one name that both versions have; no other class of this module is known to it."""
    namespace = {name: value for name, value in vars(code).items() if hasattr(value, "__step__") or name == "types"}
    made: type[Workflow] = type("Review", (Workflow,), {**namespace, "__module__": "elsewhere"})
    return _deployed.setdefault(code, made())


def worker(world: StoreWithClock, code: type[Workflow], name: str) -> Runner:
    return Runner(world.store, [deployed(code)], worker=name)


async def asked(runner: Runner, code: type[Workflow]) -> RunView:
    """Start a run and let it ask."""
    return await runner.drain(await runner.start(deployed(code), topic="tea"))


@pytest.fixture(params=["memory", "redis"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[StoreWithClock]:
    if request.param == "memory":
        yield in_memory(PATIENCE_S)
        return
    url, prefix = request.getfixturevalue("redis_url"), request.getfixturevalue("prefix")
    async with in_redis(url, prefix, PATIENCE_S) as world:
        yield world


@pytest.mark.parametrize("code", NEWER)
async def test_old_workers_leave_a_run_of_newer_code_to_those_who_can_read_it(
    world: StoreWithClock, code: type[Workflow]
) -> None:
    new, old = worker(world, code, "new"), [worker(world, Old, f"old{n}") for n in range(3)]
    view = await asked(new, code)
    assert not await new.work(view.run_id)
    await new.answer(view.run_id, view.asks[0].id, "yes", user_id="U1")

    for runner in [*old, *old]:
        await runner.drain()
        await world.pass_time(LEAVE_PAUSE_S)
    view = await new.drain(view.run_id)

    assert view.result == "tea: yes"
    whats = [(line.what, line.by) for line in await world.store.journal(view.run_id)]
    assert [by for what, by in whats if what == "left"] == ["old0", "old1", "old2"], "each looks once"


@pytest.mark.parametrize("code", NEWER)
async def test_a_run_that_no_worker_can_read_is_parked_within_minutes(
    world: StoreWithClock, code: type[Workflow]
) -> None:
    view = await asked(worker(world, code, "new"), code)
    old = worker(world, Old, "old")
    await old.send(view.run_id, HumanResponseEvent(response="yes"))

    await old.drain()
    assert (await old.view(view.run_id)).status == "ready"
    await world.pass_time(PATIENCE_S)
    await old.drain()

    assert (await old.view(view.run_id)).status == "parked"
    assert PARKED in " ".join(await world.store.effects_of(view.run_id))


async def test_a_run_of_older_code_that_new_code_cannot_read_is_left_to_older_workers(world: StoreWithClock) -> None:
    """A step was removed; the old worker is still there."""
    old, new = worker(world, Old, "old"), worker(world, NewStep, "new")
    view = await asked(old, Old)
    await new.answer(view.run_id, view.asks[0].id, "yes", user_id="U1")

    await new.drain()
    view = await old.drain(view.run_id)

    assert view.result == "tea: yes"


async def test_a_question_of_newer_code_is_shown_by_a_worker_that_can_read_it(world: StoreWithClock) -> None:
    new, old = worker(world, NewStep, "new"), Runner(world.store, [], worker="old")
    view = await asked(new, NewStep)
    (owed,) = await world.store.effects_of(view.run_id)

    workspaces = OneWorkspace(AsyncWebClient())
    await SlackSurface(workspaces, old, Directory(workspaces)).show(view.run_id)

    assert await world.store.effects_of(view.run_id) == []
    await world.pass_time(RETRY_S[0])
    assert await world.store.effects_of(view.run_id) == [owed]


async def test_a_start_event_that_only_newer_code_can_read_waits_for_it(world: StoreWithClock) -> None:
    class Order(StartEvent):
        topic: str

    class Ordered(Workflow):
        @step
        async def only(self, ev: Order) -> StopEvent:
            return StopEvent(result=ev.topic)

    new, old = worker(world, Ordered, "new"), worker(world, Old, "old")
    run_id = await new.start(deployed(Ordered), topic="tea")

    await old.drain()
    view = await new.drain(run_id)

    assert view.result == "tea"


async def test_what_is_sent_to_a_run_at_work_is_left_to_who_can_read_it(world: StoreWithClock) -> None:
    """What the run has come to before is kept, and what was sent is there for the next worker."""

    class Waiting(Workflow):
        types = (Checked,)

        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            checked = await ctx.wait_for_event(Checked, waiter_event=InputRequiredEvent(prefix="Checked?"))
            return StopEvent(result=checked.text)

    class Unaware(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            await ctx.wait_for_event(HumanResponseEvent, prompt="Checked?")
            return StopEvent()

    new, old = worker(world, Waiting, "new"), worker(world, Unaware, "old")
    run_id = await new.start(deployed(Waiting), topic="tea")
    await new.drain(run_id)
    await new.send(run_id, Checked(text="fine"))

    await old.drain()
    view = await new.drain(run_id)

    assert view.result == "fine"


async def test_a_run_whose_workflow_is_gone_is_parked_with_what_to_do(world: StoreWithClock) -> None:
    class Other(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent()

    old = worker(world, Old, "old")
    run_id = await old.start(deployed(Old), topic="tea")
    rest = Runner(world.store, [Other()], worker="rest")

    await rest.drain()
    await world.pass_time(PATIENCE_S)
    await rest.drain()

    run = await world.store.run(run_id)
    assert run is not None
    assert run.status == "parked"
    note = (await world.store.journal(run_id))[-1].details["note"]
    assert "workflow Review is known to no worker; this one knows Other" in note
