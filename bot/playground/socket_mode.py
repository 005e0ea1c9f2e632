"""Socket Mode's side of Slack: WebSockets that bots open, envelopes sent down them, and the acks that come back.

The frames are those of docs.slack.dev/apis/events-api/using-socket-mode.
"""

import asyncio
import json
import secrets
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from bot.playground.arguments import Arguments
from bot.playground.platform import Platform
from bot.playground.workspace import Json

MOST_CONNECTIONS = 10


class NoAck(Exception):
    """An envelope could not be handed over: no connection, or it broke before the ack."""


@dataclass(eq=False)
class _Connection:
    socket: web.WebSocketResponse
    waiting: dict[str, asyncio.Future[Any]] = field(default_factory=dict)
    leaving: bool = False


class SocketHub:
    """The open connections, and what goes wrong with them on purpose.

    `silent` makes them swallow everything, as a connection that died unnoticed. The next `refusals` connections break
    off when their address is used up already; the next `cuts` envelopes are the last of their connection. `turned_away`
    counts connections that were too many.
    """

    def __init__(self, slack: Platform) -> None:
        self._slack = slack
        self._tickets: set[str] = set()
        self._connections: list[_Connection] = []
        self.silent = False
        self.refusals = 0
        self.cuts = 0
        self.turned_away = 0

    @property
    def count(self) -> int:
        return len(self._connections)

    @property
    def ready(self) -> bool:
        """Whether an envelope could be sent now."""
        return any(not c.leaving and not c.socket.closed for c in self._connections)

    def open_url(self, slack: Platform, args: Arguments) -> Json:
        """`apps.connections.open`: an address that may be used once."""
        ticket = secrets.token_urlsafe(16)
        self._tickets.add(ticket)
        return {"ok": True, "url": f"ws{slack.url.removeprefix('http')}/socket?ticket={ticket}"}

    async def serve(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=404, text="unknown ticket")
        self._tickets.discard(ticket)
        if self.refusals:
            self.refusals -= 1
            return web.Response(status=503, text="try another address")
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        if self.count >= MOST_CONNECTIONS:
            await socket.send_json(_disconnect("too_many_websockets"))
            await socket.close()
            self.turned_away += 1
            self._slack.pulse.touch()
            return socket
        connection = _Connection(socket)
        self._connections.append(connection)
        try:
            with suppress(ConnectionError):
                await socket.send_json(self._hello())
                self._slack.pulse.touch()
                async for frame in socket:
                    await self._read(connection, frame)
        finally:
            self._connections.remove(connection)
            for waiter in connection.waiting.values():
                if not waiter.done():
                    waiter.set_exception(NoAck("the connection closed before the ack"))
            self._slack.pulse.touch()
        return socket

    async def send(self, kind: str, payload: Json, retry: tuple[int, str] | None) -> Any:
        """Send an envelope to one of the connections and return the payload of its ack, None if it had none.

        Raises:
            NoAck: there is no connection, or it closed first.
        """
        connection = self._next()
        envelope: Json = {
            "envelope_id": str(uuid.uuid4()),
            "payload": payload,
            "type": kind,
            "accepts_response_payload": kind != "events_api",
        }
        if kind == "events_api":
            envelope |= {"retry_attempt": retry[0] if retry else 0, "retry_reason": retry[1] if retry else ""}
        waiter: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        connection.waiting[envelope["envelope_id"]] = waiter
        try:
            if not self.silent:
                await connection.socket.send_json(envelope)
            if self.cuts:
                self.cuts -= 1
                await connection.socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)
            return await waiter
        except (aiohttp.ClientError, ConnectionError) as error:
            raise NoAck("the connection is gone") from error
        finally:
            connection.waiting.pop(envelope["envelope_id"], None)

    async def ask_to_reconnect(self) -> None:
        """Announce the end of each connection, as Slack does every few hours; no new envelope goes there."""
        for connection in list(self._connections):
            connection.leaving = True
            with suppress(ConnectionError):
                await connection.socket.send_json(_disconnect("refresh_requested"))

    async def drop(self) -> None:
        """Close each connection without a word."""
        for connection in list(self._connections):
            await connection.socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)

    def _next(self) -> _Connection:
        if not self.ready:
            raise NoAck("no socket is connected")
        chosen = next(c for c in self._connections if not c.leaving and not c.socket.closed)
        self._connections.remove(chosen)
        self._connections.append(chosen)
        return chosen

    async def _read(self, connection: _Connection, frame: aiohttp.WSMessage) -> None:
        if self.silent:
            return
        if frame.type is aiohttp.WSMsgType.PING:
            await connection.socket.pong(frame.data)
        elif frame.type is aiohttp.WSMsgType.TEXT:
            self._acknowledge(connection, frame.data)

    def _acknowledge(self, connection: _Connection, text: str) -> None:
        try:
            ack = json.loads(text)
        except ValueError:
            return
        waiter = connection.waiting.get(ack.get("envelope_id", "")) if isinstance(ack, dict) else None
        if waiter is not None and not waiter.done():
            waiter.set_result(ack.get("payload"))

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": self.count,
            "debug_info": {"host": "playground", "build_number": 1, "approximate_connection_time": 18060},
            "connection_info": {"app_id": self._slack.app.app_id},
        }


def _disconnect(reason: str) -> Json:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "playground"}}
