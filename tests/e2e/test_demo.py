"""``signoff demo`` as people start and stop it: one address, no process left behind, everything there the next time."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.process import LIMIT_S, environment, until

pytestmark = pytest.mark.asyncio(loop_scope="session")
CHANNEL = "C2"


@dataclass
class Demo:
    """A running demo and its page's API."""

    process: asyncio.subprocess.Process
    url: str
    http: aiohttp.ClientSession

    async def act(self, what: str, **body: Any) -> dict[str, Any]:
        async with self.http.post(f"{self.url}/control/{what}", json=body) as answer:
            said: dict[str, Any] = await answer.json()
            return said

    async def messages(self) -> list[dict[str, Any]]:
        async with self.http.get(f"{self.url}/control/state", params={"user": "U1"}) as answer:
            found: list[dict[str, Any]] = (await answer.json())["messages"][CHANNEL]
            return found

    async def question(self) -> dict[str, Any]:
        """The message with buttons, once there is one."""
        return await until(lambda: self._first(lambda message: bool(_buttons(message))))

    async def result(self) -> str:
        found = await until(lambda: self._first(lambda message: message["text"].startswith(("Shipped", "Kept back"))))
        return str(found["text"])

    async def press(self, user: str, message: dict[str, Any], label: str) -> dict[str, Any]:
        action_id = _buttons(message)[label]
        return await self.act("action", user=user, channel=CHANNEL, ts=message["ts"], action_id=action_id)

    async def _first(self, claim: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
        return next(filter(claim, await self.messages()), None)

    async def stop(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        async with asyncio.timeout(LIMIT_S):
            return await self.process.wait()


@asynccontextmanager
async def demo(folder: Path) -> AsyncIterator[Demo]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "demo", "--folder", str(folder), "--port", "0"),
        env=environment({}),
        cwd=folder.parent,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LIMIT_S):
            line = (await process.stdout.readline()).decode()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found is not None, line + (await process.stdout.read()).decode()
        async with aiohttp.ClientSession() as http:
            yield Demo(process, found[0], http)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        rest = (await process.stdout.read()).decode()
        assert "Traceback" not in rest, rest
        log = folder / "bot.log"
        assert "Traceback" not in log.read_text(), log.read_text()


async def children(pid: int) -> dict[int, str]:
    """Process id and command line of the processes that *pid* has started and that live."""
    return {one: args for one, parent, args in await _processes() if parent == pid}


async def living(pids: set[int]) -> set[int]:
    return pids & {pid for pid, _, _ in await _processes()}


async def all_gone(pids: set[int]) -> bool:
    return not await living(pids)


async def _processes() -> list[tuple[int, int, str]]:
    listing = await asyncio.create_subprocess_exec(
        *("ps", "-A", "-o", "pid=,ppid=,stat=,args="), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await listing.communicate()
    rows = [row.split(None, 3) for row in out.decode(errors="replace").splitlines()]
    return [(int(row[0]), int(row[1]), row[3]) for row in rows if len(row) == 4 and not row[2].startswith("Z")]


def _buttons(message: dict[str, Any]) -> dict[str, str]:
    blocks = [block for block in message["blocks"] or [] if block["type"] == "actions"]
    pressed = [element for block in blocks for element in block["elements"] if element["type"] == "button"]
    return {element["text"]["text"]: element["action_id"] for element in pressed}


async def changed(before: set[int], look: Callable[[], Awaitable[dict[int, str]]]) -> set[int] | None:
    """The ids of bots that were not there before."""
    return {pid for pid, args in (await look()).items() if "serve" in args} - before or None


@pytest.mark.parametrize(
    "settings",
    [
        "SLACK_BOT_TOKEN=xoxb-real\nSLACK_APP_TOKEN=xapp-real\nSIGNOFF_DURABILITY=replica\n",
        "SLACK_CLIENT_ID=1.2\nSLACK_CLIENT_SECRET=abc\nSLACK_SIGNING_SECRET=def\nSLACK_REQUEST_PATH=/elsewhere\n",
    ],
)
async def test_a_demo_goes_by_nothing_that_is_set_for_a_real_workspace(tmp_path: Path, settings: str) -> None:
    (tmp_path / ".env").write_text(settings, "utf-8")

    async with demo(tmp_path / "demo") as shown:
        await shown.act("command", user="U1", channel=CHANNEL, text="/deploy v2")
        asked = await shown.question()
        await shown.press("U2", asked, "Ship")

        assert await shown.result() == "Shipped v2"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_a_stopped_demo_leaves_no_process_and_goes_on_the_next_time(tmp_path: Path, how: signal.Signals) -> None:
    async with demo(tmp_path / "demo") as first:
        await first.act("command", user="U1", channel=CHANNEL, text="/deploy v2")
        asked = await first.question()
        started = set(await children(first.process.pid))
        code = await first.stop(how)
        left = await living(started)

    async with demo(tmp_path / "demo") as second:
        seen = await second.question()
        await second.press("U2", seen, "Ship")
        result = await second.result()

    assert code == 0
    assert len(started) == 2  # the bot and its Redis
    assert left == set()
    assert (seen["ts"], seen["blocks"]) == (asked["ts"], asked["blocks"])
    assert result == "Shipped v2"


async def test_a_bot_that_is_killed_comes_back_and_finishes_what_was_open(tmp_path: Path) -> None:
    async with demo(tmp_path / "demo") as running:
        await running.act("command", user="U1", channel=CHANNEL, text="/deploy v2")
        asked = await running.question()

        async def look() -> dict[int, str]:
            return await children(running.process.pid)

        bots = await changed(set(), look) or set()
        for pid in bots:
            os.kill(pid, signal.SIGKILL)
        again = await until(lambda: changed(bots, look))
        await until(lambda: _accepts(running, asked))

        result = await running.result()

    assert len(bots) == len(again) == 1
    assert result == "Shipped v2"


async def test_the_bot_restarts_when_somebody_asks_for_it_on_the_page(tmp_path: Path) -> None:
    async with demo(tmp_path / "demo") as running:

        async def look() -> dict[int, str]:
            return await children(running.process.pid)

        before = await changed(set(), look) or set()
        answer = await running.act("restart")

        again = await until(lambda: changed(before, look))

    assert answer == {"ok": True}
    assert len(again) == 1


async def test_a_second_demo_in_the_same_folder_says_that_one_runs(tmp_path: Path) -> None:
    async with demo(tmp_path / "demo") as running:
        second = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "demo", "--folder", str(tmp_path / "demo"), "--port", "0"),
            env=environment({}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await second.communicate()

    assert running.process.returncode == 0
    assert second.returncode == 2
    assert out == b""
    assert b"another private server works here" in err
    assert b"Traceback" not in err


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent died")
async def test_a_killed_demo_leaves_no_process(tmp_path: Path) -> None:
    async with demo(tmp_path / "demo") as running:
        started = set(await children(running.process.pid))
        running.process.kill()
        await running.process.wait()

        await until(lambda: all_gone(started))

    assert len(started) == 2


async def _accepts(running: Demo, question: dict[str, Any]) -> bool:
    """Press until the bot is there again."""
    return bool((await running.press("U2", question, "Ship"))["ok"])
