"""The bot as a process of its own, a private Valkey, a fake Slack, and what people send: signed requests."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from redis.asyncio import Redis

from bot.asking.prompts import question_of
from bot.asking.triggers import CommandReceived
from bot.playground import AppConfig, FakeSlack
from bot.playground.delivery import signature_headers
from bot.playground.processes import free_port
from bot.playground.valkey import PrivateValkey
from bot.playground.workspace import Channel, Message
from bot.plugins import discover
from bot.views import blocks
from engine.redis import RedisRunStore
from engine.redis.keys import Keys
from engine.runner import Runner
from engine.workflow import Workflow
from tests.bench.processes import Answers, Watched, load, program
from tests.e2e.process import ROOT, until
from tests.messages import effect_of

FLOWS = ROOT / "tests" / "bench" / "flows"
SIGNING_SECRET = "a-benchmark-signing-secret"
LANES = 4
PER_CHANNEL = 2
"""Runs in one channel: each posts twice, and Slack takes five messages at once before it is one a second."""
PEOPLE = ["U1", "U2", "U3", "U4"]
PROMPTED_S = 60.0


@dataclass
class Stage:
    """What the bot stands on. Slack tells it nothing by itself: each request is one of ours."""

    folder: Path
    slack: FakeSlack
    redis_url: str
    workflow: Workflow
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _channels: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def bot(self, prefix: str, *arguments: str) -> AsyncIterator[Watched]:
        """Run ``python -m bot serve`` with a key prefix of its own."""
        port = free_port()
        settings = {
            **self._slack_settings(),
            "REDIS_URL": self.redis_url,
            "SIGNOFF_PORT": str(port),
            "SIGNOFF_WORKFLOWS": str(FLOWS),
            "SIGNOFF_KEY_PREFIX": prefix,
            "SIGNOFF_LANES": str(LANES),
            "SIGNOFF_PER_MINUTE": "0",  # a few people click for all
        }
        async with program(["-m", "bot", "serve", *arguments], port, settings, self.folder / f"{prefix}.log") as found:
            yield found

    @asynccontextmanager
    async def bare_bolt(self, mode: str = "first") -> AsyncIterator[Watched]:
        """Run the Bolt app that only acknowledges."""
        port = free_port()
        arguments = ["-m", "tests.bench.bare_bolt", str(port), mode]
        async with program(arguments, port, self._slack_settings(), self.folder / f"bolt-{mode}.log") as found:
            yield found

    def _slack_settings(self) -> dict[str, str]:
        return {
            "SLACK_BOT_TOKEN": self.slack.app.bot_token,
            "SLACK_SIGNING_SECRET": SIGNING_SECRET,
            "SLACK_API_BASE_URL": self.slack.api_base_url,
        }

    @asynccontextmanager
    async def runner(self, prefix: str) -> AsyncIterator[Runner]:
        """The engine on the bot's store, in this process."""
        store = RedisRunStore.from_url(self.redis_url, prefix=prefix, lanes=LANES)
        try:
            yield Runner(store, [self.workflow])
        finally:
            await store.close()

    # --- what people send ----------------------------------------------------------------------

    def command(self) -> str:
        """Somebody asks for a draft, about a topic nobody asked for before."""
        number, channel = self._place()
        fields = {
            "team_id": self.slack.workspace.team_id,
            "channel_id": channel,
            "channel_name": "room",
            "user_id": "U1",
            "user_name": "ana",
            "command": "/bench-draft",
            "text": f"Topic {number}",
            "api_app_id": self.slack.app.app_id,
            "response_url": self.slack.response_url(channel, "U1"),
            "trigger_id": self.slack.trigger("U1"),
        }
        return signed(urlencode(fields))

    def click(self, channel: str, ts: str, shown: Sequence[dict[str, Any]]) -> str:
        """Somebody else presses the first button of a message."""
        buttons = next(block for block in shown if block["type"] == "actions")["elements"]
        team = self.slack.workspace.team_id
        payload: dict[str, Any] = {
            "type": "block_actions",
            "user": {"id": "U2", "username": "ben", "name": "ben", "team_id": team},
            "team": {"id": team, "domain": "signoff"},
            "enterprise": None,
            "api_app_id": self.slack.app.app_id,
            "trigger_id": self.slack.trigger("U2"),
            "container": {"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": False},
            "channel": {"id": channel, "name": "room"},
            "message": {"type": "message", "ts": ts, "user": self.slack.app.bot_user_id, "blocks": list(shown)},
            "state": {"values": {}},
            "response_url": self.slack.response_url(channel, "U2"),
            "actions": [{**buttons[0], "block_id": "answers", "action_ts": self.slack.mint_ts()}],
        }
        return signed(urlencode({"payload": json.dumps(payload)}))

    def click_on(self, prompt: Message) -> str:
        return self.click(prompt.channel, prompt.ts, prompt.blocks or [])

    async def clicks_on_new_runs(self, runner: Runner, many: int) -> list[str]:
        """Let *many* runs come to their questions without Slack, and return a click on each."""
        made = []
        for _ in range(many):
            number, channel = self._place()
            run_id = await self.paused(runner, number, channel)
            asked = await runner.asked(run_id, (await runner.view(run_id)).asks[0].id)
            assert asked is not None
            shown = blocks.prompt_message(question_of(asked.event), asked.ask, requester="U1")
            made.append(self.click(channel, self.slack.mint_ts(), shown.blocks))
        return made

    async def paused(self, runner: Runner, number: int, channel: str = "C1") -> str:
        """Bring one run to its question, engine and store only."""
        team = self.slack.workspace.team_id
        start = CommandReceived(text=f"Topic {number}", user_id="U1", channel_id=channel, team_id=team, user_name="ana")
        run_id = await runner.start(self.workflow, start, tenant=team, requester="U1", address=channel)
        await runner.work(run_id)
        return run_id

    def _place(self) -> tuple[int, str]:
        """A new number and the channel to use it in."""
        number = next(self._numbers)
        if number % PER_CHANNEL == 0:
            channel = f"C{1000 + number}"
            members = [*PEOPLE, self.slack.app.bot_user_id]
            self.slack.workspace.channels[channel] = Channel(channel, f"room-{number}", "public", members)
            self._channels.append(channel)
        return number, self._channels[-1]

    # --- what came of it -----------------------------------------------------------------------

    def posted(self, effect: str, channels: Sequence[str] | None = None) -> list[Message]:
        """Public messages of one kind, by the beginning of their effect's id; in all our channels or some."""
        found = [message for channel in channels or self._channels for message in self.slack.messages(channel)]
        return [message for message in found if effect_of(message).startswith(effect)]

    async def after(self, bot: Watched, request: str, effect: str) -> tuple[float, Message]:
        """Send one request and return when, in POSIX seconds, and the message it leads to, the next of its kind.

        It is about the newest place. A message's own time, its ``ts``, is when the fake Slack received it.
        """
        channel = self._channels[-1:]
        before = len(self.posted(effect, channel))
        sent_at = time.time()
        reader, writer = await asyncio.open_connection("127.0.0.1", bot.port)
        writer.write(request.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        assert b" 200 " in head
        found = await self.slack.wait_for(lambda: self.posted(effect, channel)[before:], PROMPTED_S)
        return sent_at, found[0]

    async def prompted(self, bot: Watched, many: int) -> list[Message]:
        """Send *many* commands, a few at once, and return the questions they lead to."""
        before = {(message.channel, message.ts) for message in self.posted("prompt:")}
        all_saved(await load(bot.port, [self.command() for _ in range(many)], at_once=8))

        async def all_asked() -> bool:
            return len(self.posted("prompt:")) >= len(before) + many

        await until(all_asked, PROMPTED_S)
        return [message for message in self.posted("prompt:") if (message.channel, message.ts) not in before]

    async def told(self, user: str, many: int) -> None:
        """Wait until *user* has had so many private answers."""

        async def all_told() -> bool:
            return sum(len(self.slack.ephemerals(user, channel)) for channel in self._channels) >= many

        await until(all_told, PROMPTED_S)

    async def idle(self, prefix: str) -> None:
        """Wait until no run has anything to do and Slack is owed nothing."""
        keys = Keys(prefix, LANES)
        async with Redis.from_url(self.redis_url) as client:

            async def nothing_left() -> bool:
                indexes = [f"{keys.lane(lane)}{name}" for lane in range(LANES) for name in ("ready", "outq")]
                return not any([await client.zcard(index) for index in indexes])

            await until(nothing_left, PROMPTED_S)
        await self.slack.settled(PROMPTED_S)

    async def used_bytes(self) -> int:
        """What the server's data takes."""
        async with Redis.from_url(self.redis_url) as client:
            return int((await client.info("memory"))["used_memory"])


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    """Start the fake Slack, and a server that writes to disk once a second."""
    workflow = discover(FLOWS)["/bench-draft"].workflow
    config = AppConfig(signing_secret=SIGNING_SECRET, events=frozenset())
    async with PrivateValkey(folder / "valkey", appendfsync="everysec", port=0) as valkey, FakeSlack(config) as slack:
        yield Stage(folder, slack, valkey.url, workflow)


def signed(body: str) -> str:
    """A whole HTTP request with Slack's signature; it is good for five minutes."""
    raw = body.encode()
    headers = {
        "Host": "127.0.0.1",
        "Content-Type": "application/x-www-form-urlencoded",
        "Content-Length": str(len(raw)),
        **signature_headers(SIGNING_SECRET, raw, int(time.time())),
    }
    lines = ["POST /slack/events HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", body])


def all_saved(answers: Answers) -> Answers:
    """Check that each request was acknowledged, which the bot does only for what is saved."""
    assert set(answers.statuses) == {200}
    return answers
