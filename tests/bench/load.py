"""Sends requests that were made and signed before, and times the answers. A program of its own, of little weight.

It reads one JSON object from stdin: ``port``, ``requests`` (whole HTTP requests as text) and either
``rate`` (a second, whatever the answers: an open loop) or ``at_once`` (the next one after an answer).
It writes one to stdout: ``ms`` and ``statuses``, in the order of the requests, and ``wall_s``.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Sequence
from typing import Any

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Connections:
    """Kept-alive connections to one port; as many as are needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, request: bytes) -> int:
        """Send one request and return the status of the answer, all of which has been read then."""
        reader, writer = self._free.pop() if self._free else await self._open()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = LENGTH.search(head)
        if length is None:
            raise ValueError(f"no length in {head!r}")
        await reader.readexactly(int(length[1]))
        self._free.append((reader, writer))
        return int(head[9:12])

    async def warm(self, many: int) -> None:
        """Open connections before time is taken."""
        self._free += [await self._open() for _ in range(many)]

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port)


async def open_loop(connections: Connections, requests: Sequence[bytes], rate: float) -> list[tuple[float, int]]:
    """Send at a fixed rate. Time counts from when a request was due, so nobody's queue is overlooked."""
    answers: list[tuple[float, int]] = [(0.0, 0)] * len(requests)

    async def send(n: int, due: float) -> None:
        status = await connections.ask(requests[n])
        answers[n] = time.perf_counter() - due, status

    begin = time.perf_counter() + 0.02
    async with asyncio.timeout(len(requests) / rate + 30), asyncio.TaskGroup() as tasks:
        for n in range(len(requests)):
            due = begin + n / rate
            await asyncio.sleep(due - time.perf_counter())
            tasks.create_task(send(n, due))
    return answers


async def closed_loop(connections: Connections, requests: Sequence[bytes], at_once: int) -> list[tuple[float, int]]:
    """Send the next request whenever an answer came, *at_once* of them at any time."""
    answers: list[tuple[float, int]] = [(0.0, 0)] * len(requests)
    left = iter(range(len(requests)))

    async def sender() -> None:
        for n in left:
            begun = time.perf_counter()
            status = await connections.ask(requests[n])
            answers[n] = time.perf_counter() - begun, status

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(sender())
    return answers


async def send_all(order: dict[str, Any]) -> dict[str, Any]:
    """Do what was read from stdin."""
    connections = Connections(order["port"])
    requests = [request.encode() for request in order["requests"]]
    await connections.warm(order.get("at_once") or 8)
    begun = time.perf_counter()
    if "rate" in order:
        answers = await open_loop(connections, requests, order["rate"])
    else:
        answers = await closed_loop(connections, requests, order["at_once"])
    return {
        "ms": [1000 * taken for taken, _ in answers],
        "statuses": [status for _, status in answers],
        "wall_s": time.perf_counter() - begun,
    }


if __name__ == "__main__":
    json.dump(asyncio.run(send_all(json.load(sys.stdin))), sys.stdout)
