"""One connection that all calls share: what they send goes out in order, and the replies come back in order.

redis-py connects, with TLS, passwords and Sentinel, and hands the socket over; hiredis reads the replies.
A call through redis-py's client costs several times as much, most of it for having a connection to itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import hiredis
from redis import exceptions
from redis.asyncio.connection import AbstractConnection

from engine.redis.rows import Argument

Call: TypeAlias = tuple[Argument, ...]
"""A command and its arguments."""
TOGETHER = 16
"""So many calls are sent at once at most: the server is at work on them while this process makes the next."""


class Refused(exceptions.ResponseError):
    """The server's answer to a call is an error."""

    @property
    def code(self) -> str:
        """Its first word, such as NOSCRIPT."""
        return str(self).partition(" ")[0]


@dataclass(slots=True)
class _Exchange:
    """Some calls sent together."""

    told: asyncio.Future[list[Any]]
    count: int
    until: float
    replies: list[Any] = field(default_factory=list)


class Pipe(asyncio.Protocol):
    """A connection of redis-py's, taken over. A reply that takes longer than *timeout_s* seconds ends it."""

    def __init__(self, connection: AbstractConnection, timeout_s: float) -> None:
        writer = connection._writer
        if writer is None:
            raise exceptions.ConnectionError("the connection was closed before it was used")
        self.connection = connection
        self.closed = False
        self._loop = asyncio.get_running_loop()
        self._timeout_s = timeout_s
        self._replies = hiredis.Reader(replyError=Refused)
        self._exchanges: deque[_Exchange] = deque()
        self._unsent: list[bytes] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._transport: Any = writer.transport
        self._transport.set_protocol(self)

    def exchange(self, calls: list[Call]) -> asyncio.Future[list[Any]]:
        """Send *calls* and return their replies, in order; one that is an error is a `Refused` among them.

        Nobody else's calls come in between. Whoever stops waiting loses the replies, not the calls.

        Raises:
            ConnectionError, TimeoutError: of redis-py; what was sent may have been done.
        """
        now = self._loop.time()
        sent = _Exchange(self._loop.create_future(), len(calls), now + self._timeout_s)
        if self.closed:
            sent.told.set_exception(exceptions.ConnectionError("the connection is closed"))
            return sent.told
        waited_for = bool(self._exchanges)
        self._exchanges.append(sent)
        if waited_for and not self._unsent:
            self._loop.call_soon(self._send)  # with all that others have to send in this turn of the loop
        self._unsent += [hiredis.pack_command(call) for call in calls]  # type: ignore[arg-type]  # declared for a single argument
        if not waited_for or len(self._unsent) >= TOGETHER:
            self._send()  # whoever is alone does not wait for others, nor do many
        if self._alarm is None:
            self._alarm = self._loop.call_at(sent.until, self._look_at_time)
        return sent.told

    def end(self, error: Exception) -> None:
        """Close the connection; every call without a reply fails with *error*."""
        self.closed = True
        self._transport.abort()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        while self._exchanges:
            told = self._exchanges.popleft().told
            if not told.done():
                told.set_exception(error)

    def _send(self) -> None:
        unsent, self._unsent = self._unsent, []
        if unsent and not self.closed:
            self._transport.write(b"".join(unsent))

    def _look_at_time(self) -> None:
        self._alarm = None
        if not self._exchanges:
            return
        until = self._exchanges[0].until
        if until <= self._loop.time():
            self.end(exceptions.TimeoutError(f"no reply within {self._timeout_s:g} seconds"))
        else:
            self._alarm = self._loop.call_at(until, self._look_at_time)

    # --- what asyncio tells ------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._replies.feed(data)
        try:
            while (reply := self._replies.gets()) is not False:
                first = self._exchanges[0]
                first.replies.append(reply)
                if len(first.replies) == first.count:
                    self._exchanges.popleft()
                    if not first.told.done():  # nobody waits any more
                        first.told.set_result(first.replies)
        except (hiredis.ProtocolError, IndexError) as error:
            self.end(exceptions.ConnectionError(f"the server's reply makes no sense: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(exceptions.ConnectionError(f"the connection was lost: {exc or 'closed by the server'}"))
