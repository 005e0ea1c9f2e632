"""``signoff demo``: a private Redis, a fake Slack with its page, and the real bot as a process of its own.

Everything it keeps is in one folder, so that stopping and starting it again goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from redis.asyncio import Redis

from bot.asking.triggers import BUILT_IN
from bot.playground import AppConfig, CommandInfo, FakeSlack, ShortcutInfo
from bot.playground.processes import die_with_parent, end_process, free_port
from bot.playground.valkey import PrivateValkey
from bot.plugins import discover
from bot.settings import Settings
from engine.redis.keys import Keys

logger = logging.getLogger(__name__)

SIGNING_SECRET = "playground-signing-secret"  # noqa: S105  # opens nothing but this playground
PORT = 8765
PREFIX = "signoff"
LANES = 4
START_LIMIT_S = 30.0
STOP_LIMIT_S = 8.0
RESPAWN_S = 1.0


class DemoError(Exception):
    """The demo cannot start; the message says what to do."""


class BotProcess:
    """The bot as a child process that can be restarted, and is when it ends by itself."""

    def __init__(self, port: int, log: Path, on_back: Callable[[], Awaitable[object]]) -> None:
        """*on_back* is awaited whenever it has come back."""
        self._on_back = on_back
        self._environment: dict[str, str] = {}
        self._port = port
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    async def start(self, environment: dict[str, str]) -> None:
        """Start it and wait until it can do its work.

        Raises:
            DemoError: it ended, or was not ready in time.
        """
        self._environment = environment
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            command = [*die_with_parent(), sys.executable, "-m", "bot", "serve"]
            self._process = await asyncio.create_subprocess_exec(
                *command,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(START_LIMIT_S):
                await self._ready(self._process)
        except TimeoutError:
            raise DemoError(f"the bot was not ready within {START_LIMIT_S:g} s; {self._last_words()}") from None

    async def _ready(self, process: asyncio.subprocess.Process) -> None:
        async with aiohttp.ClientSession() as session:
            while process.returncode is None:
                try:
                    async with session.get(f"http://127.0.0.1:{self._port}/readyz") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.03)
        raise DemoError(f"the bot ended with exit code {process.returncode}; {self._last_words()}")

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-5:]
        return "\n  ".join([f"{self._log} ends with:", *lines])

    async def stop(self) -> None:
        """End it kindly, then by force."""
        self._stopping = True
        if self._process is not None:
            await end_process(self._process, STOP_LIMIT_S)

    async def restart(self) -> None:
        """Kill it without a warning, as a crash does, and start it again."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()  # `keep_alive` brings it back
            await self._process.wait()

    async def keep_alive(self) -> None:
        """Start it again whenever it has ended."""
        while self._process is not None:
            await self._process.wait()
            if self._stopping:
                return
            await asyncio.sleep(RESPAWN_S)
            try:
                await self.start(self._environment)
            except DemoError as error:
                logger.error("the bot does not come back: %s", error)
            else:
                await self._on_back()


@asynccontextmanager
async def demo(folder: Path, workflows: Path, port: int = PORT) -> AsyncIterator[str]:
    """Run the playground while the block runs and yield its address.

    Raises:
        DemoError: some part does not start.
        PluginError: a workflow file cannot be used.
        ValkeyUnavailable: there is no Redis to be had.
    """
    bot_port = free_port()
    config = _app(workflows, f"http://127.0.0.1:{bot_port}/slack/events")
    async with _redis(folder) as redis_url:

        async def reached() -> bool:
            return await slack.delivery.verify_url()

        bot = BotProcess(bot_port, folder / "bot.log", reached)

        async def move_clock(offset_s: float) -> None:
            await _move_clock(redis_url, offset_s)

        slack = FakeSlack(
            config,
            state_file=folder / "slack.json",
            port=port if _is_free(port) else 0,
            on_restart=bot.restart,
            on_clock=move_clock,
        )
        async with slack:
            environment = _environment(slack, redis_url, bot_port, workflows)
            try:
                await bot.start(environment)
                async with asyncio.TaskGroup() as tasks:
                    keeper = tasks.create_task(bot.keep_alive())
                    yield slack.url
                    keeper.cancel()
            finally:
                await bot.stop()


def _app(workflows: Path, request_url: str) -> AppConfig:
    """Return the app as Slack would know it by its manifest."""
    plugins = discover(workflows).values()
    commands = [*(plugin.command for plugin in plugins), *BUILT_IN]
    shortcuts = [plugin.shortcut for plugin in plugins if plugin.shortcut is not None]
    return AppConfig(
        signing_secret=SIGNING_SECRET,
        commands=tuple(CommandInfo(one.command, one.summary, one.usage) for one in commands),
        shortcuts=tuple(ShortcutInfo(one.callback_id, one.name) for one in shortcuts),
        request_url=request_url,
    )


def _environment(slack: FakeSlack, redis_url: str, port: int, workflows: Path) -> dict[str, str]:
    """Return what the bot is set up by: nothing that ``.env`` may have for a real workspace."""
    names = [field.alias or "" for field in Settings.model_fields.values()]
    return {
        **os.environ,
        **{name: "" for name in names if name.startswith("SLACK_")},
        "SLACK_BOT_TOKEN": slack.app.bot_token,
        "SLACK_SIGNING_SECRET": slack.app.signing_secret,
        "SLACK_API_BASE_URL": slack.api_base_url,
        "REDIS_URL": redis_url,
        "SIGNOFF_HOST": "127.0.0.1",
        "SIGNOFF_PORT": str(port),
        "SIGNOFF_WORKFLOWS": str(workflows),
        "SIGNOFF_KEY_PREFIX": PREFIX,
        "SIGNOFF_LANES": str(LANES),
        "SIGNOFF_SWEEP_S": "0.5",
        "SIGNOFF_DRAIN_S": "5",
        "SIGNOFF_DURABILITY": "local",
        "SIGNOFF_METRICS_PORT": "",
    }


@asynccontextmanager
async def _redis(folder: Path) -> AsyncIterator[str]:
    """Yield the address of the Redis that REDIS_URL names, else of a private one."""
    if url := os.environ.get("REDIS_URL"):
        yield url
        return
    async with PrivateValkey(folder / "redis") as valkey:
        yield valkey.url


async def _move_clock(redis_url: str, offset_s: float) -> None:
    """Let the run store's clock be *offset_s* ahead, so that reminders and deadlines come."""
    async with Redis.from_url(redis_url) as client:
        for lane in range(LANES):
            await client.set(f"{Keys(PREFIX, LANES).lane(lane)}skew", repr(offset_s))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
