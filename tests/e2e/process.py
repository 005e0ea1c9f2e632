"""The bot as an operator runs it: a process of its own, with a log, that can be stopped kindly or killed.

It is forked from one that has imported all it needs. That ``python -m bot`` does the same is for `test_demo` and
`test_newcomer` to show.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TypeVar

import aiohttp

from bot.playground.processes import free_port
from tests.forks import forks, run_bot

ROOT = Path(__file__).parents[2]
LIMIT_S = 30.0
"""Far more than anything here takes; who waits that long has failed."""
POLL_S = 0.02
T = TypeVar("T")


class BotProcess:
    """``python -m bot serve``, or another *command*. It listens on the same port after each restart."""

    def __init__(self, settings: Mapping[str, str], log: Path, command: Sequence[str] = ("serve",)) -> None:
        self.port = free_port()
        self.log = log
        self.command = command
        self._environment = environment({**settings, "SIGNOFF_PORT": str(self.port)})
        self._process: ForkServerProcess | None = None
        self._written_before = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def request_url(self) -> str:
        return f"{self.url}/slack/events"

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.is_alive()

    async def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        await self.launch()
        await until(self.is_ready if self.command[0] == "serve" else self._says_ready)

    async def launch(self) -> None:
        """Start it and wait until it listens, ready or not; a worker listens nowhere."""
        self.log.touch()
        self._written_before = self.log.stat().st_size
        given = (self.command, self._environment, self.log.parent, self.log, self.log)
        self._process = forks.Process(target=run_bot, args=given, daemon=True)
        self._process.start()
        if self.command[0] == "serve":
            await until(self._listens)

    async def readiness(self) -> tuple[int, str]:
        """What /readyz says: the HTTP status and the reason."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.url}/readyz") as answer:
            return answer.status, str((await answer.json())["reason"])

    async def is_ready(self) -> bool:
        return (await self.readiness())[0] == 200

    @property
    def environment(self) -> dict[str, str]:
        """What it is started with."""
        return dict(self._environment)

    def set(self, **settings: str) -> None:
        """Change settings for the next start."""
        self._environment.update(settings)

    async def kill(self) -> None:
        """SIGKILL: no goodbye, as in a crash."""
        if self._process is not None and self.runs:
            self._process.kill()
            await self.ended()

    async def terminate(self) -> int:
        """SIGTERM, as an orchestrator does; returns the exit code."""
        self.ask_to_stop()
        return await self.ended()

    def ask_to_stop(self) -> None:
        """SIGTERM, without waiting for what comes of it."""
        assert self._process is not None
        self._process.terminate()

    async def ended(self) -> int:
        """Wait until it has ended by itself; returns the exit code."""
        assert self._process is not None
        await until(self._is_gone)
        assert self._process.exitcode is not None
        return self._process.exitcode

    async def _is_gone(self) -> bool:
        return not self.runs

    async def _says_ready(self) -> bool:
        assert self.runs, self.log.read_text()
        return b"ready" in self.log.read_bytes()[self._written_before :]

    async def _listens(self) -> bool:
        assert self.runs, self.log.read_text()
        try:
            async with aiohttp.ClientSession() as http, http.get(f"{self.url}/healthz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it had printed."""

    code: int
    stdout: str
    stderr: str


async def signoff(settings: Mapping[str, str], folder: Path, *command: str) -> Ended:
    """Run a command that ends by itself, in a *folder* where no .env lies."""
    with tempfile.TemporaryDirectory() as scratch:
        out, err = Path(scratch, "out"), Path(scratch, "err")
        process = forks.Process(target=run_bot, args=(command, environment(settings), folder, out, err), daemon=True)
        process.start()

        async def ended() -> bool:
            return not process.is_alive()

        try:
            await until(ended)
        finally:
            process.kill()
        assert process.exitcode is not None
        return Ended(process.exitcode, out.read_text("utf-8"), err.read_text("utf-8"))


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with *settings* and without any others of ours; what is compiled may be kept."""
    ours = ("SLACK_", "SIGNOFF_", "REDIS_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PYTHONPATH": str(ROOT), "SIGNOFF_WORKFLOWS": str(ROOT / "workflows"), **settings}


async def until(claim: Callable[[], Awaitable[T | None]], limit_s: float = LIMIT_S) -> T:
    """Ask another process again and again until it says something truthy, and return that.

    Raises:
        TimeoutError: it did not within *limit_s* seconds.
    """
    async with asyncio.timeout(limit_s):
        while True:
            if said := await claim():
                return said
            await asyncio.sleep(POLL_S)
