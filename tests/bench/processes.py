"""Programs that are measured from outside: started, watched, stopped."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.playground.processes import die_with_parent
from tests.e2e.process import LIMIT_S, ROOT, environment, until

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Watched:
    """A running program that listens on *port* of this machine."""

    pid: int
    port: int

    def cpu_s(self) -> float:
        """Seconds of CPU it has used; where the system does not say it in detail, not a number."""
        try:
            after_name = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            return float("nan")
        return (int(after_name[11]) + int(after_name[12])) / TICKS_PER_S

    async def rss_bytes(self) -> int:
        """Memory of it that is in RAM."""
        ps = await asyncio.create_subprocess_exec(
            "ps", "-o", "rss=", "-p", str(self.pid), stdout=asyncio.subprocess.PIPE
        )
        return 1024 * int((await ps.communicate())[0])


@asynccontextmanager
async def program(
    arguments: Sequence[str], port: int, settings: Mapping[str, str], log: Path
) -> AsyncIterator[Watched]:
    """Run ``python`` with *arguments* while the block runs, which begins when it listens on *port*."""
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *(*die_with_parent(), sys.executable, *arguments),
            env=environment(settings),
            cwd=log.parent,  # where no .env lies
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )

    async def listens() -> bool:
        assert process.returncode is None, log.read_text()
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return False
        writer.close()
        return True

    try:
        await until(listens)
        yield Watched(process.pid, port)
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(LIMIT_S):
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()


@dataclass(frozen=True)
class Answers:
    """What a load got back. Latencies are in milliseconds, in the order of the requests."""

    ms: list[float]
    statuses: list[int]
    wall_s: float


async def load(port: int, requests: Sequence[str], *, rate: float = 0, at_once: int = 0) -> Answers:
    """Send requests from a process of its own: so many a second, or so many at once."""
    order = {"port": port, "requests": requests, **({"rate": rate} if rate else {"at_once": at_once})}
    process = await asyncio.create_subprocess_exec(
        *(*die_with_parent(), sys.executable, "-S", str(ROOT / "tests/bench/load.py")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(120):
        written, _ = await process.communicate(json.dumps(order).encode())
    assert process.returncode == 0
    return Answers(**json.loads(written))
