"""A runner and what it shows in a fake Slack, in one process, with a clock that a test moves."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from slack_sdk.web.async_client import AsyncWebClient

from bot import Choice, CommandReceived, Prompt, slash_command
from bot.background import Background
from bot.languages import ENGLISH, Catalogue
from bot.listeners.admission import Admission
from bot.listeners.answering import Answering
from bot.payloads.tokens import AskToken
from bot.playground import AppConfig, FakeSlack
from bot.playground.workspace import Message
from bot.slack.directory import Directory
from bot.slack.pace import Pace
from bot.slack.surface import SlackSurface
from bot.slack.workspaces import OneWorkspace, Workspaces
from bot.views.told import Told
from engine import HumanResponseEvent, StopEvent, Workflow, step
from engine.run_store import AskRecord
from engine.runner import Runner
from engine.testing import ManualClock
from tests.integration.engine.stores import StoreWithClock, in_memory

ANA, BEN, CHLOE, DAN = "U1", "U2", "U3", "U4"
HOME = "C2"


@slash_command("/board", summary="Ask the board")
class Board(Workflow):
    """Asks for what it was given."""

    def __init__(self, **prompt: object) -> None:
        super().__init__(timeout=None)
        self._prompt = prompt

    @step
    async def ask(self, ev: CommandReceived) -> Prompt:
        choices = [Choice("approve"), Choice("reject", style="danger")]
        return Prompt(prefix="Buy the boat?", choices=choices, **self._prompt)

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=f"decided: {ev.response}")


@dataclass
class Desk:
    """Where one run is worked on and shown."""

    slack: FakeSlack
    world: StoreWithClock
    clock: ManualClock
    runner: Runner
    workspaces: Workspaces
    words: Catalogue
    directory: Directory = field(init=False)
    surface: SlackSurface = field(init=False)
    answering: Answering = field(init=False)
    run_id: str = ""
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget what a process of the bot keeps in its memory."""
        self.directory = Directory(self.workspaces, words=self.words)
        self.surface = SlackSurface(self.workspaces, self.runner, self.directory, pace=Pace(self.clock))
        self.answering = Answering(
            self.runner, Admission(self.runner, self.directory), self.surface.permalink, Background().spawn
        )

    async def start(self, workflow: Workflow, channel: str = HOME, *, shown: bool = True) -> None:
        """Start a run as Ana, in *channel*, and show what it asks, unless *shown* says otherwise."""
        self.run_id = await self.runner.start(
            workflow,
            CommandReceived(text="", user_id=ANA, channel_id=channel, team_id="T1"),
            tenant="T1",
            requester=ANA,
            address=channel,
        )
        await self.runner.drain(self.run_id)
        if shown:
            await self.settle()

    async def settle(self) -> None:
        """Do all there is to do now."""
        await self.runner.drain(self.run_id)
        await self.surface.catch_up()  # owed or not: there may be something to look at again
        while owed := list(await self.world.store.due_effects()):
            await self.surface.catch_up()
            if list(await self.world.store.due_effects()) == owed:
                break

    async def pass_time(self, seconds: float) -> None:
        """Let some time pass and what it brings happen."""
        await self.world.pass_time(seconds)
        self.clock.advance(seconds)
        await self.world.store.fire_timers()
        await self.settle()

    async def ask(self) -> AskRecord:
        """The question asked last."""
        whole = await self.world.store.export(self.run_id)
        assert whole is not None
        return whole.asks[-1]

    async def answer(self, user: str, value: str) -> Told:
        """Press a button and let happen what follows."""
        ask = await self.ask()
        asked = await self.runner.asked(self.run_id, ask.ask_id)
        button = AskToken(self.run_id, ask.ask_id, ask.revision, value, ask.digest)
        told = await self.answering.choose(asked, button, user, f"click {next(self._numbers)}", via="button")
        await self.settle()
        return told

    async def whats(self) -> list[str]:
        return [line.what for line in await self.world.store.journal(self.run_id)]

    def private(self, user: str) -> list[Message]:
        """What the bot wrote to one person directly."""
        return self.slack.messages(self.slack.workspace.dm_of(user).id)

    def home(self) -> list[Message]:
        return self.slack.messages(HOME)


@asynccontextmanager
async def desk(*workflows: Workflow, timeout_s: int = 30, words: Catalogue = ENGLISH) -> AsyncIterator[Desk]:
    """Set up a desk for these workflows, at which Slack has so long for an answer; messages are in these *words*."""
    async with FakeSlack(AppConfig(signing_secret="unused")) as slack:
        client = AsyncWebClient(
            token=slack.app.bot_token, base_url=slack.api_base_url, timeout=timeout_s, retry_handlers=[]
        )
        world = in_memory()
        runner = Runner(world.store, workflows)
        clock = ManualClock()
        yield Desk(slack, world, clock, runner, OneWorkspace(client), words)
