"""A bounded number of redis-py's connections, used directly: half the time of a call through its client.

The client spends it on choosing, checking and releasing a connection for every command (measured with
redis-py 8.1: 95 us a command, 42 us so). Connecting, TLS, passwords, Sentinel and parsing stay redis-py's.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias

from redis import exceptions
from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection

from engine.redis.rows import Argument

Call: TypeAlias = tuple[Argument, ...]
"""A command and its arguments."""

_TRUSTED_S = 1.0
"""A connection that rested for longer is looked at before it is used: its server may have gone."""


def encode(call: Call) -> bytes:
    """Return a command as it goes over the wire."""
    parts = [b"*%d\r\n" % len(call)]
    for argument in call:
        raw = argument if isinstance(argument, bytes) else str(argument).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return b"".join(parts)


class Connections:
    """Connections of *pool*, at most *limit*; whoever finds none free waits for one."""

    def __init__(self, pool: ConnectionPool, limit: int) -> None:
        self._pool = pool
        self._slots = asyncio.Semaphore(limit)
        self._resting: list[tuple[AbstractConnection, float]] = []

    async def exchange(self, payload: bytes, replies: int) -> list[Any]:
        """Send *payload* and return so many replies; one that is an error is returned, not raised."""
        async with self._slots:
            connection = await self._take()
            try:
                await connection.send_packed_command(payload, check_health=False)
                answers = [await _reply(connection) for _ in range(replies)]
            except BaseException:  # also when given up halfway: what is still to come must meet nobody else
                await connection.disconnect(nowait=True)
                await self._pool.release(connection)
                await self.close()
                raise
            self._resting.append((connection, asyncio.get_running_loop().time()))
            return answers

    async def close(self) -> None:
        """Give the resting connections back to the pool, which looks at them before it lends them again."""
        while self._resting:
            connection, _ = self._resting.pop()
            await self._pool.release(connection)

    async def _take(self) -> AbstractConnection:
        if self._resting:
            rested, since = self._resting.pop()
            if asyncio.get_running_loop().time() - since < _TRUSTED_S:
                return rested
            await self._pool.release(rested)
        fresh: AbstractConnection = await self._pool.get_connection()  # type: ignore[no-untyped-call] # its decorator
        return fresh


async def _reply(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except exceptions.ResponseError as error:
        return error
