"""Everything around a test: a fake Slack, bots as processes of their own, Redis, and rooms to talk in."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from bot import manifest
from bot.playground import AppConfig, CommandInfo, DeliveryResult, FakeSlack, ShortcutInfo
from bot.playground.workspace import Channel, Message, View
from bot.plugins import discover
from engine.errors import StoreUnavailable
from engine.redis import RedisRunStore
from engine.redis.keys import Keys
from engine.run_store import JournalEntry
from tests.e2e.process import LIMIT_S, ROOT, BotProcess, until
from tests.e2e.shapes import HTTP, Shape
from tests.messages import button, buttons, effect_of, run_of, shown

SIGNING_SECRET = "an-end-to-end-signing-secret"
BOT_TOKEN = "xoxb-end-to-end-bot"
APP_TOKEN = "xapp-end-to-end-app"
SECRETS = (SIGNING_SECRET, BOT_TOKEN, APP_TOKEN)
LANES = 4
WORKFLOWS = ROOT / "workflows"
PLUGINS = ROOT / "tests" / "e2e" / "plugins"
"""Workflows that ask for more, or do what they may not."""
PEOPLE = PLUGINS / "people"
"""One that asks people, groups and channels."""
ANA, BEN, CHLOE, DAN = "U1", "U2", "U3", "U4"
T = TypeVar("T")
_numbers = itertools.count(100)


@dataclass
class Stage:
    """A workspace and the bots behind it; Slack's requests go to the first one."""

    slack: FakeSlack
    bots: list[BotProcess]
    store: RedisRunStore
    keys: Keys

    @property
    def bot(self) -> BotProcess:
        return self.bots[0]

    async def start(self) -> None:
        """Start all that do not run, and wait until they are ready."""
        async with asyncio.TaskGroup() as tasks:
            for bot in self.bots:
                if not bot.runs:
                    tasks.create_task(bot.start())

    async def kill(self) -> None:
        """SIGKILL all of them, as when a machine dies."""
        for bot in self.bots:
            await bot.kill()

    async def terminate(self) -> set[int]:
        """SIGTERM all of them, as an orchestrator does; returns the exit codes."""
        for bot in self.bots:
            bot.ask_to_stop()
        return {await bot.ended() for bot in self.bots}

    def set(self, **settings: str) -> None:
        """Change settings for the next start."""
        for bot in self.bots:
            bot.set(**settings)

    def room(self, *members: str, kind: str = "public", with_bot: bool = True) -> Room:
        """Open a channel that nobody used before; without *members* everybody is in it."""
        number = next(_numbers)
        people = list(members or (ANA, BEN, CHLOE, DAN))
        channel = Channel(f"C{number}", f"room-{number}", "private" if kind == "private" else "public", people)
        if with_bot:
            channel.members.append(self.slack.app.bot_user_id)
        self.slack.workspace.channels[channel.id] = channel
        return Room(self, channel.id)

    def check(self) -> None:
        """Nothing technical and no secret came to anybody's eyes or to Slack; no fault or modal is left behind."""
        self.slack.faults.clear()
        self.slack.workspace.modals.clear()
        for messages in self.slack.workspace.messages.values():
            for message in messages:
                posted = json.dumps([message.text, message.blocks])
                assert not any(word in posted for word in ("Traceback", *SECRETS))
        for exchange in self.slack.log:
            if exchange.direction == "slack→bot":
                assert "Traceback" not in json.dumps(exchange.response, default=str)

    async def idle(self) -> None:
        """Wait until no run has anything to do and Slack is owed nothing."""
        indexes = [f"{self.keys.lane(lane)}{name}" for lane in range(LANES) for name in ("ready", "outq")]

        async def nothing_left() -> bool:
            return not any(await self.ask_redis(*[("ZCARD", index) for index in indexes]))

        await until(nothing_left)
        await self.slack.settled(LIMIT_S)

    async def move_clock(self, seconds: float) -> None:
        """Set the run store's clock ahead of the server's, so that leases end and delays are over."""
        await self.ask_redis(*[("SET", f"{self.keys.lane(lane)}skew", seconds) for lane in range(LANES)])

    async def ask_redis(self, *calls: tuple[str | bytes | float, ...]) -> list[Any]:
        """Send commands, as soon as Redis takes them: it may have been away since the last time."""

        async def answers() -> list[Any] | None:
            with suppress(StoreUnavailable):
                return await self.store.server.read_each(calls)
            return None

        return await until(answers)


@dataclass(frozen=True)
class Room:
    """One channel and what people do and see there."""

    stage: Stage
    channel: str

    @property
    def slack(self) -> FakeSlack:
        return self.stage.slack

    # --- what people do ----------------------------------------------------------------------

    async def command(self, user: str, line: str) -> DeliveryResult:
        return await self.slack.command(user, self.channel, line)

    async def press(self, user: str, message: Message, label: str, *, as_seen: Message | None = None) -> DeliveryResult:
        """Press the button with this label; *as_seen* is the message as this person's screen still shows it."""
        action_id = button(as_seen or message, label)["action_id"]
        return await self.slack.click(user, self.channel, message.ts, action_id, as_seen=as_seen)

    async def reply(self, user: str, to: Message, text: str, **more: Any) -> Message:
        return await self.slack.say(user, self.channel, text, thread_ts=to.thread_ts or to.ts, **more)

    async def open_form(self, user: str, message: Message, label: str) -> View:
        """Press a button that stands for a modal and return that."""
        assert (await self.press(user, message, label)).ok
        return await self.see(lambda: self.slack.view_of(user))

    async def submit(self, user: str, view: View, text: str) -> DeliveryResult:
        return await self.slack.submit(user, view.id, {"comment": {"text": text}})

    async def started(self, user: str, line: str) -> Message:
        """Type a command and return the question it leads to."""
        result = await self.command(user, line)
        assert result.ok, result
        prompt = await self.prompt()
        await self.stage.idle()  # nobody is so quick that the bot does not know yet where its question stands
        return prompt

    # --- what people see ---------------------------------------------------------------------

    def posted(self, effect: str) -> list[Message]:
        """Public messages of one kind, by the id of their effect, oldest first."""
        return [message for message in self.slack.messages(self.channel) if effect_of(message).startswith(effect)]

    async def see(self, claim: Callable[[], T | None]) -> T:
        """Wait until *claim*, about the workspace, is truthy, and return what it said."""
        found = await self.slack.wait_for(claim, LIMIT_S)
        assert found is not None
        return found

    async def prompt(self, nth: int = 1) -> Message:
        """The *nth* question asked here."""
        return (await self.see(lambda: found if len(found := self.posted("prompt:")) >= nth else None))[nth - 1]

    async def result(self, nth: int = 1) -> Message:
        return (await self.see(lambda: found if len(found := self.posted("result")) >= nth else None))[nth - 1]

    async def locked(self, prompt: Message) -> str:
        """What the question says once it has lost its buttons."""
        await self.see(lambda: not buttons(prompt))
        return shown(prompt)

    def notes(self, user: str) -> list[str]:
        """What only *user* was told here, oldest first."""
        return [note.text for note in self.slack.ephemerals(user, self.channel)]

    async def told(self, user: str, *words: str, nth: int = 1) -> str:
        """Wait for the *nth* private note to *user* that has all these *words*, and return it."""

        def heard() -> str | None:
            found = [note for note in self.notes(user) if all(word in note for word in words)]
            return found[nth - 1] if len(found) >= nth else None

        try:
            return await self.see(heard)
        except TimeoutError:
            raise AssertionError(f"{user} was not told {words} but {self.notes(user)}") from None

    # --- what is written down ----------------------------------------------------------------

    async def journal(self, message: Message) -> Sequence[JournalEntry]:
        """The audit trail of the run that a message belongs to."""
        return await self.stage.store.journal(run_of(message))

    async def times(self, what: str, message: Message) -> int:
        """How often *what* stands in the audit trail."""
        return sum(entry.what == what for entry in await self.journal(message))


@dataclass
class Logs:
    """What bots wrote, to be looked through after each test."""

    folder: Path
    _read: dict[Path, int] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        return self.folder / f"{name}-{next(_numbers)}.log"

    def news(self) -> str:
        """What was written since the last time."""
        found = []
        for path in sorted(self.folder.glob("*.log")):
            with path.open("rb") as log:
                log.seek(self._read.get(path, 0))
                found.append(log.read().decode(errors="replace"))
                self._read[path] = log.tell()
        return "".join(found)


@asynccontextmanager
async def stage(
    logs: Logs,
    redis_url: str,
    prefix: str,
    shape: Shape = HTTP,
    *,
    start: bool = True,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Stage]:
    """Set up a workspace with the bots of a *shape* on one Redis, *start* them, and look at the end what is there."""
    config = app_config(Path((settings or {}).get("SIGNOFF_WORKFLOWS", WORKFLOWS)))
    async with FakeSlack(config) as slack:
        given = bot_settings(slack, redis_url, prefix, shape) | dict(settings or {})
        processes = [BotProcess(given, logs.path(prefix), command) for command in shape.commands]
        store = RedisRunStore.from_url(redis_url, prefix=prefix, lanes=LANES)
        slack.request_url = None if shape.socket_mode else processes[0].request_url
        found = Stage(slack, processes, store, Keys(prefix, LANES))
        try:
            if start:
                await found.start()
            yield found
            found.check()
        finally:
            await found.kill()
            await store.close()


def app_config(folder: Path = WORKFLOWS) -> AppConfig:
    """The app as the manifest of the workflows in *folder* describes it, with no scope more."""
    plugins = discover(folder).values()
    shortcuts = [plugin.shortcut for plugin in plugins if plugin.shortcut is not None]
    described = manifest.build([plugin.command for plugin in plugins], shortcuts)
    return AppConfig(
        signing_secret=SIGNING_SECRET,
        bot_token=BOT_TOKEN,
        app_token=APP_TOKEN,
        commands=tuple(CommandInfo(command["command"]) for command in described["features"]["slash_commands"]),
        shortcuts=tuple(ShortcutInfo(shortcut.callback_id, shortcut.name) for shortcut in shortcuts),
        scopes=frozenset(described["oauth_config"]["scopes"]["bot"]),
        events=frozenset(described["settings"]["event_subscriptions"]["bot_events"]),
    )


def bot_settings(slack: FakeSlack, redis_url: str, prefix: str, shape: Shape = HTTP) -> dict[str, str]:
    """What an operator would put into the environment."""
    return {
        "SLACK_BOT_TOKEN": BOT_TOKEN,
        "SLACK_SIGNING_SECRET": "" if shape.socket_mode else SIGNING_SECRET,
        "SLACK_APP_TOKEN": APP_TOKEN if shape.socket_mode else "",
        "SLACK_API_BASE_URL": slack.api_base_url,
        "REDIS_URL": redis_url,
        "SIGNOFF_KEY_PREFIX": prefix,
        "SIGNOFF_LANES": str(LANES),
        "SIGNOFF_LEASE_S": "2",
        "SIGNOFF_SWEEP_S": "0.2",
        "SIGNOFF_PER_MINUTE": "0",
    }
