"""Socket Mode: a connection that Slack sends envelopes down, each acknowledged once it is saved.

A client of our own: slack_sdk's goes silent when an address that was used up is refused, which it tries again for
ever, opens without a pause where Slack says that there are too many connections, and drops the acknowledgements in
hand when a connection is replaced. The frames are those of docs.slack.dev/apis/events-api/using-socket-mode.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.calls import UNCLEAR, retry_after
from bot.transport.dispatch import Dispatch

logger = logging.getLogger(__name__)

PING_S = 20.0
"""A connection on which nothing was heard for so long is pinged, and given up when nothing comes for half as long."""
CLOSE_S = 2.0
OPEN_S = 20.0
"""How long it may take until Slack greets us on a new connection."""
STEADY_S = 60.0
"""Whatever ended a connection this old, the next one is opened at once."""
PAUSES_S = (0.0, 0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Before the next connection: after a steady one, and after the first, second, ... in a row that was none."""


class NotGreeted(Exception):
    """Slack does not want the connection; the message is its reason."""


class SocketMode:
    """Keeps a connection to Slack open, from `held` on."""

    def __init__(
        self,
        dispatch: Dispatch,
        app_token: str,
        client: AsyncWebClient,
        *,
        ping_s: float = PING_S,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        """*client* asks for the addresses of connections, with *app_token* instead of its own."""
        self._dispatch = dispatch
        self._app_token = app_token
        self._client = client
        self._ping_s = ping_s
        self._pauses_s = pauses_s
        self._readers: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> bool:
        """Whether Slack has greeted us on a connection that still stands."""
        return bool(self._readers)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Stay connected while the block runs; what Slack has sent by its end is still answered."""
        async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as connections:
            holding = connections.create_task(self._hold(http, connections))
            try:
                yield
            finally:
                holding.cancel()
                for reader in self._readers:
                    reader.cancel()

    async def _hold(self, http: aiohttp.ClientSession, connections: asyncio.TaskGroup) -> None:
        """Open a connection whenever there is none, or the one there is will end."""
        in_vain = 0
        while True:
            began, wish_s = time.monotonic(), 0.0
            try:
                async with asyncio.timeout(OPEN_S):
                    socket = await self._opened(http)
            except (NotGreeted, SlackApiError, *UNCLEAR) as error:
                logger.warning("Slack's socket is not open", extra={"reason": repr(error)})
                wish_s = (retry_after(error) or 0.0) if isinstance(error, SlackApiError) else 0.0
            else:
                logger.info("Slack's socket is open")
                ending = asyncio.Event()
                connections.create_task(self._serve(socket, ending))
                await ending.wait()
            in_vain = 0 if time.monotonic() - began > STEADY_S else in_vain + 1
            await asyncio.sleep(max(wish_s, self._pauses_s[min(in_vain, len(self._pauses_s) - 1)]))

    async def _opened(self, http: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        """Open a connection, at an address of its own, and wait for Slack's greeting."""
        address = str((await self._client.apps_connections_open(app_token=self._app_token))["url"])
        socket = await http.ws_connect(
            address,
            heartbeat=self._ping_s,
            timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
            proxy=self._client.proxy,
            ssl=self._client.ssl or True,
        )
        try:
            first = _said(await socket.receive())
            if first.get("type") != "hello":
                raise NotGreeted(str(first.get("reason", "no greeting")))
        except BaseException:
            await socket.close()
            raise
        return socket

    async def _serve(self, socket: aiohttp.ClientWebSocketResponse, ending: asyncio.Event) -> None:
        """Answer what comes until the connection ends; *ending* is set when another one is wanted."""
        try:
            async with asyncio.TaskGroup() as answers:
                reader = answers.create_task(self._read(socket, ending, answers))
                self._readers.add(reader)
                reader.add_done_callback(self._readers.discard)
        finally:
            ending.set()
            await socket.close()

    async def _read(
        self, socket: aiohttp.ClientWebSocketResponse, ending: asyncio.Event, answers: asyncio.TaskGroup
    ) -> None:
        async for frame in socket:
            match _said(frame):
                case {"type": "disconnect", "reason": "warning"}:  # some seconds before the end
                    ending.set()
                case {"type": "disconnect", "reason": reason}:
                    logger.info("Slack ends its socket", extra={"reason": str(reason)})
                    break
                case {"envelope_id": str(), "payload": dict()} as envelope:
                    answers.create_task(self._answer(socket, envelope))
        else:
            logger.warning("Slack's socket has ended", extra={"reason": repr(socket.exception())})
        ending.set()

    async def _answer(self, socket: aiohttp.ClientWebSocketResponse, envelope: Mapping[str, Any]) -> None:
        """Bring an envelope to the listeners, and acknowledge it if they have; else Slack may send it again."""
        request = SocketModeRequest.from_dict(dict(envelope))
        if request is None:
            return
        response = await self._dispatch(request.payload)
        if response.status != 200:
            logger.warning("envelope not acknowledged", extra={"status": response.status})
            return
        with suppress(aiohttp.ClientError, ConnectionError):  # the connection is gone: it counts as not acknowledged
            await socket.send_json({"envelope_id": request.envelope_id} | _payload(response))


def _said(frame: aiohttp.WSMessage) -> Mapping[str, Any]:
    """Return the JSON object of a frame, or an empty one."""
    try:
        said = json.loads(frame.data) if frame.type is aiohttp.WSMsgType.TEXT else {}
    except (ValueError, RecursionError):
        said = {}
    return said if isinstance(said, dict) else {}


def _payload(response: BoltResponse) -> dict[str, Any]:
    if not response.body:
        return {}
    kind = next(iter(response.headers.get("content-type", ())), "")
    return {"payload": json.loads(response.body) if kind.startswith("application/json") else {"text": response.body}}
