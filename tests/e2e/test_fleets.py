"""Several processes on one Redis: each may be told to stop at any time, and they need not be of the same code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot import CommandReceived
from bot.plugins import discover
from engine.runner import Runner
from tests.e2e import requests
from tests.e2e.conftest import SetStage
from tests.e2e.process import BotProcess, until
from tests.e2e.shapes import HTTP, HTTP_FLEET, SOCKET, SOCKET_FLEET, only
from tests.e2e.stage import ANA, BEN, Logs, Room, Stage
from tests.messages import run_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHARGE = """
import asyncio
from pathlib import Path

from bot import CommandReceived, slash_command
from engine import Context, StopEvent, Workflow, step

HERE = Path(__file__).parent


@slash_command("/charge", summary="Charge once, and take long", required=False)
class Charge(Workflow):
    @step
    async def only(self, ctx: Context, ev: CommandReceived) -> StopEvent:
        await ctx.once("charge", self.charge)
        with (HERE / "begun").open("a") as begun:
            begun.write("begun\\n")
        while not (HERE / "go").exists():
            await asyncio.sleep(0.02)
        return StopEvent(result="Charged")

    async def charge(self) -> None:
        with (HERE / "charges").open("a") as charges:
            charges.write("charged\\n")
"""
REVIEW = """
from bot import CommandReceived, Prompt, literal, slash_command
from engine import Context, Event, HumanResponseEvent, StopEvent, Workflow, step


class {draft}(Event):
    text: str


@slash_command("/review", summary="Ask", required=False)
class Review(Workflow):
    @step
    async def write(self, ev: CommandReceived) -> {draft}:
        return {draft}(text=ev.text)

    @step
    async def {ask}(self, ctx: Context, ev: {draft}) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, waiter_event=Prompt(prefix=literal(ev.text)))
        return StopEvent(result=f"{{ev.text}} {{answer.response}}")
"""


@dataclass
class Shop:
    """A folder with the one slow workflow, and what it has left there."""

    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "charge.py").write_text(CHARGE)

    @property
    def settings(self) -> dict[str, str]:
        """Nobody takes over by waiting for a lease to end."""
        return {"SIGNOFF_WORKFLOWS": str(self.folder), "SIGNOFF_LEASE_S": "600"}

    async def begun(self, times: int = 1) -> None:
        """Wait until the step has begun so often."""

        async def so_often() -> bool:
            return self.lines("begun") >= times

        await until(so_often)

    def lines(self, name: str) -> int:
        path = self.folder / name
        return len(path.read_text().splitlines()) if path.exists() else 0

    def go(self) -> None:
        """Let the step end."""
        (self.folder / "go").touch()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@asynccontextmanager
async def more(
    found: Stage, logs: Logs, settings: Mapping[str, str], *commands: Sequence[str]
) -> AsyncIterator[list[BotProcess]]:
    """Start further processes beside those of a stage."""
    given = {**found.bot.environment, **settings}
    processes = [BotProcess(given, logs.path("more"), command) for command in commands]
    try:
        async with asyncio.TaskGroup() as tasks:
            for process in processes:
                tasks.create_task(process.start())
        yield processes
    finally:
        for process in processes:
            await process.kill()


async def begin(room: Room, shop: Shop) -> None:
    """Start the slow workflow and wait until it is in the middle of its step."""
    await room.slack.run_command(requests.command(room, "/charge"))
    await shop.begun()


one_process = only(HTTP, SOCKET, because="the process that is stopped takes requests and does the work")


@one_process
async def test_sigterm_lets_a_step_end(set_stage: SetStage, shop: Shop) -> None:
    """Acceptance 24."""
    async with set_stage(settings=shop.settings) as found:
        room = found.room()
        await begin(room, shop)

        found.bot.ask_to_stop()
        await until(lambda: _says(found.bot, (503, "it is stopping")))
        shop.go()
        code = await found.bot.ended()

        assert code == 0
        assert [message.text for message in room.posted("result")] == ["Charged"]
    assert (shop.lines("charges"), shop.lines("begun")) == (1, 1)


@one_process
@pytest.mark.parametrize("command", [("serve",), ("worker",)])
async def test_what_does_not_end_in_time_is_gone_on_with_at_once(
    set_stage: SetStage, logs: Logs, shop: Shop, command: tuple[str, ...]
) -> None:
    """Acceptance 24."""
    settings = shop.settings | {"SIGNOFF_DRAIN_S": "0.2"}
    async with set_stage(settings=settings) as found:
        room = found.room()
        await begin(room, shop)
        async with more(found, logs, settings, command):
            code = await found.bot.terminate()
            await shop.begun(2)
            shop.go()
            result = await room.result()
            await found.idle()

            assert (code, result.text) == (0, "Charged")
            assert len(room.posted("result")) == 1
    assert shop.lines("charges") == 1


@only(HTTP_FLEET, SOCKET_FLEET, because="it is about workers that are processes of their own")
async def test_workers_beside_a_process_that_takes_requests_only(set_stage: SetStage, shop: Shop) -> None:
    """One worker is told to stop in the middle of the step, the other goes on; the web process stays ready."""
    settings = shop.settings | {"SIGNOFF_DRAIN_S": "0.2"}
    async with set_stage(start=False, settings=settings) as found:
        web, first, second = found.bots
        await web.start()
        await first.start()
        room = found.room()
        await begin(room, shop)
        await second.start()

        assert await first.terminate() == 0
        await shop.begun(2)
        shop.go()

        assert (await room.result()).text == "Charged"
        await found.idle()
        assert await web.readiness() == (200, "None")
        assert await web.terminate() == 0
    assert shop.lines("charges") == 1


async def test_the_sweep_alone_finds_what_has_to_be_done(set_stage: SetStage, shop: Shop) -> None:
    """The run is started past every process: nobody was woken for it."""
    shop.go()
    async with set_stage(settings=shop.settings) as found:
        room = found.room()
        workflow = discover(shop.folder)["/charge"].workflow
        event = CommandReceived(text="", user_id=ANA, channel_id=room.channel, team_id="T1")

        await Runner(found.store, [workflow]).start(workflow, event, tenant="T1", requester=ANA, address=room.channel)

        assert (await room.result()).text == "Charged"


async def test_a_run_that_somebody_has_spoilt_in_redis_stops_no_other(own_stage: Stage) -> None:
    """Its timer fails in each sweep, and so does whoever takes it up. Nobody is woken for the other."""
    spoilt, room, keys = own_stage.room(), own_stage.room(), own_stage.keys
    bad = run_of(await spoilt.started(ANA, "/deploy v1"))
    (ask,) = await own_stage.store.open_asks(bad)
    workflow = discover(Path("workflows"))["/deploy"].workflow
    event = CommandReceived(text="v2", user_id=ANA, channel_id=room.channel, team_id="T1")

    await own_stage.store.server.read_each(
        [
            ("HSET", keys.at(bad, "meta"), "f", "spoilt"),
            ("HSET", keys.ask(bad, ask.ask_id), "l", "spoilt"),
            ("ZADD", keys.beside(bad, "timers"), 1, f"{bad}|{ask.ask_id}"),
            ("ZADD", keys.beside(bad, "ready"), 1, bad),
            ("RPUSH", keys.at(bad, "inbox"), "spoilt"),
        ]
    )
    await Runner(own_stage.store, [workflow]).start(workflow, event, tenant="T1", requester=ANA, address=room.channel)
    await room.press(BEN, await room.prompt(), "Ship")

    assert (await room.result()).text == "Shipped v2"
    await own_stage.store.purge(bad, force=True)


async def test_runs_of_old_and_new_code_end_while_a_deploy_rolls(
    set_stage: SetStage, logs: Logs, tmp_path: Path
) -> None:
    """Neither code can read what the other has stored; each run is finished by the one that has begun it."""
    old, new = tmp_path / "old", tmp_path / "new"
    for folder, names in ((old, {"draft": "Draft", "ask": "ask"}), (new, {"draft": "Sketch", "ask": "ask_once"})):
        folder.mkdir()
        (folder / "review.py").write_text(REVIEW.format(**names))
    async with set_stage(settings={"SIGNOFF_WORKFLOWS": str(old)}) as found:
        early = found.room()
        await early.slack.run_command(requests.command(early, "/review one"))
        asked = [(early, await early.prompt())]
        async with more(found, logs, {"SIGNOFF_WORKFLOWS": str(new)}, ("serve",)):
            for n in range(5):
                room = found.room()
                await room.slack.run_command(requests.command(room, f"/review {n}"))
                asked.append((room, await room.prompt()))
            await found.idle()  # nobody replies before the bot knows where its question stands
            for room, prompt in asked:
                await room.reply(BEN, prompt, "fine")

            results = [(await room.result()).text for room, _ in asked]

            assert sorted(results) == ["0 fine", "1 fine", "2 fine", "3 fine", "4 fine", "one fine"]
            assert not [room for room, _ in asked if room.posted("parked")]


async def _says(process: BotProcess, said: tuple[int, str]) -> bool:
    return await process.readiness() == said
