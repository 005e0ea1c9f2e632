"""A sender that stalls in the middle of posting, beyond its lease, and then posts after all."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot import CommandReceived
from bot.playground import AppConfig, FakeSlack
from bot.plugins import discover
from bot.slack.directory import Directory
from bot.slack.surface import EFFECT_LEASE_S, SlackSurface
from bot.slack.workspaces import OneWorkspace
from engine.runner import Runner
from tests.integration.engine.stores import in_redis

pytestmark = pytest.mark.chaos

WORKFLOWS = Path(__file__).parents[2] / "workflows"


class StallingClient(AsyncWebClient):
    """A Slack client that stops before it posts, until told to go on."""

    def __init__(self, slack: FakeSlack) -> None:
        super().__init__(token=slack.app.bot_token, base_url=slack.api_base_url, retry_handlers=[])
        self.stalled = asyncio.Event()
        self.going_on = asyncio.Event()

    async def chat_postMessage(self, **arguments: Any) -> AsyncSlackResponse:  # noqa: N802 - Slack's name
        self.stalled.set()
        await self.going_on.wait()
        return await super().chat_postMessage(**arguments)


def _surface(client: AsyncWebClient, runner: Runner) -> SlackSurface:
    return SlackSurface(OneWorkspace(client), runner, Directory(OneWorkspace(client)))


async def test_the_copy_of_a_sender_that_stalled_is_deleted(redis_url: str, prefix: str) -> None:
    plugin = discover(WORKFLOWS)["/approve-draft"]
    async with in_redis(redis_url, prefix) as world, FakeSlack(AppConfig(signing_secret="unused")) as slack:
        runner = Runner(world.store, [plugin.workflow])
        asked = CommandReceived(text="owls", user_id="U1", channel_id="C2", team_id="T1")
        run_id = await runner.start(plugin.workflow, asked, tenant="T1", requester="U1", address="C2")
        await runner.drain(run_id)
        client = StallingClient(slack)
        other = AsyncWebClient(token=slack.app.bot_token, base_url=slack.api_base_url, retry_handlers=[])

        async with asyncio.TaskGroup() as tasks, asyncio.timeout(10):
            tasks.create_task(_surface(client, runner).show(run_id))
            await client.stalled.wait()
            await world.pass_time(EFFECT_LEASE_S + 1)
            await _surface(other, runner).show(run_id)
            (shown,) = slack.messages("C2")
            client.going_on.set()

        assert slack.messages("C2") == [shown]
        (ask,) = await world.store.open_asks(run_id)
        assert ask.messages == (f"C2:{shown.ts}",)
