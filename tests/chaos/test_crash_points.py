"""One reference run, crashed before and after every call of Redis and of Slack, then gone on with elsewhere, and twice.

A crash is an exception that nobody catches: everything of the process is gone but what Redis and
Slack have. *Before* means the call was not made, *after* that its answer was lost.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot import CommandReceived
from bot.asking.replies import Filled
from bot.background import Background
from bot.listeners.admission import Admission
from bot.listeners.answering import Answering
from bot.payloads.tokens import AskToken
from bot.playground import AppConfig, FakeSlack
from bot.playground.workspace import Message
from bot.plugins import Plugin, discover
from bot.slack.directory import Directory
from bot.slack.surface import EFFECT_LEASE_S, SlackSurface
from bot.slack.workspaces import OneWorkspace
from engine.run_store import RunStore
from engine.runner import Runner
from engine.verdicts import Accepted
from tests.chaos.crashing import LEASE_OVER_S, Crash, CrashingStore, Fuse, pairs, singles
from tests.integration.engine.stores import StoreWithClock, in_redis
from tests.messages import buttons

ROUNDS = 60
WORKFLOWS = Path(__file__).parents[2] / "workflows"

pytestmark = pytest.mark.chaos


class CrashingClient(AsyncWebClient):
    """A Slack client whose every call may be the last."""

    def __init__(self, slack: FakeSlack, fuse: Fuse) -> None:
        super().__init__(token=slack.app.bot_token, base_url=slack.api_base_url, retry_handlers=[])
        self._fuse = fuse

    async def api_call(self, api_method: str, **kwargs: Any) -> AsyncSlackResponse:
        answer = await self._fuse.burn(api_method, lambda: super(CrashingClient, self).api_call(api_method, **kwargs))
        return cast(AsyncSlackResponse, answer)


@dataclass
class Process:
    """What one process is made of."""

    runner: Runner
    surface: SlackSurface
    answering: Answering

    @classmethod
    def begin(cls, store: RunStore, slack: FakeSlack, plugin: Plugin, fuse: Fuse) -> Process:
        runner = Runner(cast(RunStore, CrashingStore(store, fuse)), [plugin.workflow])
        workspaces = OneWorkspace(CrashingClient(slack, fuse))
        directory = Directory(workspaces)
        surface, admission = SlackSurface(workspaces, runner, directory), Admission(runner, directory)
        return cls(runner, surface, Answering(runner, admission, surface.permalink, Background().spawn))

    async def work(self) -> None:
        for run_id in await self.runner.sweep():
            await self.runner.work(run_id)
            await self.surface.show(run_id)
        await self.surface.catch_up()


@dataclass
class Story:
    """A person's side: a command, feedback on the first version, approval of the second.

    Like Slack, it delivers again what was not acknowledged, under the same delivery id.
    """

    name: str
    plugin: Plugin
    slack: FakeSlack
    run_id: str = ""
    accepted: list[str] = field(default_factory=list)

    async def act(self, process: Process) -> None:
        if not self.run_id:
            self.run_id = await process.runner.start(
                self.plugin.workflow,
                CommandReceived(text="AI safety", user_id="U1", channel_id="C2", team_id="T1"),
                key=self.name,
                tenant="T1",
                requester="U1",
                address="C2",
            )
        elif "feedback" not in self.accepted and self.shows("Version 1"):
            await self._answer(process, "U2", "feedback", "shorter please")
        elif "approve" not in self.accepted and self.shows("Version 2"):
            await self._answer(process, "U3", "approve", "")

    async def _answer(self, process: Process, user: str, value: str, comment: str) -> None:
        asks = await process.runner.store.open_asks(self.run_id)
        ask_id = asks[-1].ask_id if asks else self.asked[value]
        self.asked[value] = ask_id
        asked = await process.runner.asked(self.run_id, ask_id)
        button = AskToken(self.run_id, ask_id, 1, value)
        told = await process.answering.choose(asked, button, user, f"{self.name}:{value}", Filled(comment), via="modal")
        assert isinstance(told.verdict, Accepted), f"{value} was told {told}"
        self.accepted.append(value)

    asked: dict[str, str] = field(default_factory=dict)
    """Which question each answer was for, as a button knows it."""

    def posted(self) -> list[Message]:
        return [m for m in self.slack.messages("C2") if self.effect(m)]

    def effect(self, message: Message) -> str | None:
        payload = (message.metadata or {}).get("event_payload", {})
        return payload["effect_id"] if payload.get("run_id") == self.run_id else None

    def shows(self, words: str) -> bool:
        return any(words in message.text for message in self.posted())


@pytest.fixture
async def world(redis_url: str, prefix: str) -> AsyncIterator[StoreWithClock]:
    async with in_redis(redis_url, prefix) as world:
        yield world


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack(AppConfig(signing_secret="unused")) as slack:
        yield slack


async def test_whatever_call_is_the_last_the_run_goes_on_as_if_nothing_had_happened(
    world: StoreWithClock, slack: FakeSlack
) -> None:
    plugin = discover(WORKFLOWS)["/approve-draft"]
    whole = Fuse()
    await live(world, Story("whole", plugin, slack), whole)

    for fuse in [*singles(len(whole.calls)), *pairs(len(whole.calls))]:
        try:
            await live(world, Story(str(fuse), plugin, slack), fuse)
        except Exception as error:
            error.add_note(f"{fuse}; calls: {fuse.calls}")
            raise

    assert len(whole.calls) >= 30, "the reference run should be worth crashing"


async def live(world: StoreWithClock, story: Story, fuse: Fuse) -> None:
    """Let the story happen, crashing where *fuse* says, and check what is left in Slack and in Redis."""
    process = Process.begin(world.store, story.slack, story.plugin, fuse)
    for _ in range(ROUNDS):
        try:
            await process.work()
            await story.act(process)
        except* Crash:
            process = Process.begin(world.store, story.slack, story.plugin, fuse)
            await world.pass_time(max(LEASE_OVER_S, EFFECT_LEASE_S + 1))
        if await over(world.store, story):
            break
    await world.pass_time(3 * EFFECT_LEASE_S)  # what was done in two attempts is looked at once more
    await Process.begin(world.store, story.slack, story.plugin, Fuse()).work()

    effects = [story.effect(message) for message in story.posted()]
    run = await world.store.run(story.run_id)
    assert run is not None
    assert (run.status, story.accepted) == ("done", ["feedback", "approve"])
    assert sorted(map(str, effects)) == sorted({*map(str, effects)}), "an effect shows twice"
    assert len(effects) == 3, "two questions and a result"
    assert not any(buttons(message) for message in story.posted()), "a closed question still has buttons"
    assert sum("approved" in message.text for message in story.posted() if story.effect(message) == "result") == 1
    assert list(await world.store.due()) == []
    assert list(await world.store.due_effects()) == []
    assert list(await world.store.doubtful()) == []


async def over(store: RunStore, story: Story) -> bool:
    if len(story.accepted) < 2:
        return False
    run = await store.run(story.run_id)
    return run is not None and run.status == "done" and not await store.due_effects()
