"""Who draws an App Home when several processes do: on a real Redis and a Slack that knows each view's hash."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot import CommandReceived
from bot.listeners.audience import KEPT_S, Audience, Seen
from bot.listeners.finding import Finding
from bot.listeners.home import TRIES, Home
from bot.playground import AppConfig, FakeSlack
from bot.plugins import discover
from bot.slack.directory import Directory
from bot.slack.workspaces import OneWorkspace
from bot.views.home_view import Pages
from bot.views.listing import Row
from engine import Workflow
from engine.keyring import Keyring, new_key
from engine.memory_store import MemoryRunStore
from engine.redis.connections import connections_to
from engine.redis.scripts import Server
from engine.run_store import RunRecord
from engine.runner import Runner
from engine.sealed_store import SealedRunStore

TEAM, ANA = "T1", "U1"


class Slow(Finding):
    """Finds runs, and then waits, once, until it is let go: as a process does that is stalled."""

    def __init__(self, runner: Runner) -> None:
        async def nowhere(tenant: str, ref: str) -> None:
            return None

        super().__init__(runner, {}, nowhere)
        self.stalled, self.go_on = asyncio.Event(), asyncio.Event()

    async def rows(self, runs: Sequence[RunRecord]) -> list[Row]:
        found = await super().rows(runs)
        if not self.stalled.is_set():
            self.stalled.set()
            await self.go_on.wait()
        return found


@dataclass
class Desk:
    slack: FakeSlack
    runner: Runner
    workflow: Workflow
    audience: Audience
    server: Server
    prefix: str

    def home(self, finding: Finding | None = None) -> Home:
        """The Homes as another process draws them."""
        client = AsyncWebClient(token=self.slack.app.bot_token, base_url=self.slack.api_base_url, retry_handlers=[])
        quick = Slow(self.runner)
        quick.stalled.set()
        workspaces = OneWorkspace(client)
        return Home(workspaces, self.runner, finding or quick, Directory(workspaces), self.audience)

    async def start(self, text: str) -> None:
        event = CommandReceived(text=text, user_id=ANA, channel_id="C2")
        await self.runner.start(self.workflow, event, tenant=TEAM, requester=ANA, address="C2")
        await self.runner.drain()

    @property
    def shown(self) -> str:
        view = self.slack.home_of(ANA)
        return "" if view is None else str(view.blocks)

    def refused(self) -> int:
        """How often Slack kept what it had."""
        calls = [entry.response for entry in self.slack.log if entry.method == "views.publish"]
        return sum(not answer["ok"] for answer in calls)


@pytest.fixture
async def desk(redis_url: str, prefix: str) -> AsyncIterator[Desk]:
    server = Server(connections_to(redis_url, 5.0))
    audience = Audience(server, prefix)
    (workflow,) = (plugin.workflow for plugin in discover(Path(__file__).parents[2] / "e2e" / "flows").values())
    async with FakeSlack(AppConfig(signing_secret="s")) as slack:
        yield Desk(slack, Runner(MemoryRunStore(), [workflow]), workflow, audience, server, prefix)
    await audience.close()


async def test_an_older_state_never_takes_the_place_of_a_newer_one(desk: Desk) -> None:
    """Acceptance 21."""
    await desk.home().opened(TEAM, ANA, "")
    await desk.home().refresh(TEAM, ANA)
    stalled = Slow(desk.runner)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(desk.home(stalled).refresh(TEAM, ANA))
        await stalled.stalled.wait()
        await desk.start("U2 1 Is this newer?")
        await desk.home().refresh(TEAM, ANA)
        assert "Is this newer?" in desk.shown
        stalled.go_on.set()

    assert "Is this newer?" in desk.shown
    assert desk.refused() == 1


async def test_a_hash_that_a_crash_has_lost_keeps_nobody_from_drawing(desk: Desk) -> None:
    await desk.home().opened(TEAM, ANA, "")
    await desk.home().refresh(TEAM, ANA)
    await desk.audience.shown(TEAM, ANA, Seen("1.lost", Pages()))
    await desk.start("U2 1 Is it drawn?")

    await desk.home().refresh(TEAM, ANA)

    assert "Is it drawn?" in desk.shown
    assert desk.refused() == TRIES - 1


async def test_nobody_is_remembered_for_ever(desk: Desk) -> None:
    home, key = desk.home(), f"{desk.prefix}:home:{TEAM}:{ANA}"
    await home.refresh(TEAM, ANA)
    assert desk.shown == "", "who never looked is shown nothing"

    await home.opened(TEAM, ANA, "")
    await desk.server.read("EXPIRE", key, 100)
    await home.refresh(TEAM, ANA)
    left: int = await desk.server.read("TTL", key)
    await home.opened(TEAM, ANA, "")

    assert 0 < left <= 100, "drawing is not looking"
    assert await desk.server.read("TTL", key) > KEPT_S - 100


async def test_a_slack_that_refuses_does_no_harm(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    await desk.home().opened(TEAM, ANA, "")
    desk.slack.uninstall()

    await desk.home().refresh(TEAM, ANA)

    assert "App Home not drawn" in caplog.text


async def test_what_cannot_be_decrypted_stops_nothing_else(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """A worker draws Homes between its other duties."""
    kept = desk.runner.store
    desk.runner = Runner(SealedRunStore(kept, Keyring([new_key()])), [desk.workflow])
    await desk.start(f"{ANA} 1 Is this sealed?")
    desk.runner = Runner(SealedRunStore(kept, Keyring([new_key()])), [desk.workflow])
    await desk.home().opened(TEAM, ANA, "")

    await desk.home().refresh(TEAM, ANA)

    assert "question left out of a list" in caplog.text
    assert "App Home not drawn" not in caplog.text
