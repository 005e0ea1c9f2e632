"""The fake Slack as one object: a server on 127.0.0.1 with the Web API, Socket Mode, the page and its control API.

    async with FakeSlack(AppConfig(signing_secret="...")) as slack:
        slack.request_url = "http://127.0.0.1:3000/slack/events"
        await slack.command("U1", "C2", "/approve-draft AI safety")
        await slack.wait_for(lambda: slack.messages("C2"))

It knows nothing of the bot but its address.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
from aiohttp import web

from bot.playground.control import Control, only_from_here
from bot.playground.delivery import Delivery, DeliveryResult
from bot.playground.exchanges import ExchangeLog
from bot.playground.faults import Faults
from bot.playground.file_methods import receive_upload, serve_file
from bot.playground.methods import WebApi
from bot.playground.people import NotPossible, People
from bot.playground.platform import AppConfig, CommandInfo, Platform, ShortcutInfo
from bot.playground.response_urls import receive_answer
from bot.playground.socket_mode import SocketHub
from bot.playground.timekeeping import Clock
from bot.playground.workspace import Message, View, Workspace, demo_workspace

__all__ = ["AppConfig", "CommandInfo", "DeliveryResult", "FakeSlack", "ShortcutInfo", "StateFileError"]

BODY_LIMIT_BYTES = 64 * 1024 * 1024
SAVE_EVERY_S = 0.2
T = TypeVar("T")
Restart = Callable[[], Awaitable[None]]
Advanced = Callable[[float], Awaitable[None]]


class StateFileError(Exception):
    """The saved state cannot be read; whoever runs the playground must move it away."""


class FakeSlack(People):
    """A workspace to try a bot in. Enter it to start listening; leave it to stop and save.

    *on_restart* is awaited when somebody asks on the page to restart the bot, *on_clock* with the clock's new
    offset from real time, in seconds, each time it is pushed forward.
    """

    def __init__(
        self,
        app: AppConfig,
        *,
        state_file: Path | None = None,
        port: int = 0,
        on_restart: Restart | None = None,
        on_clock: Advanced | None = None,
    ) -> None:
        super().__init__(Platform(app, demo_workspace(app.bot_user_id)))
        self.sockets = SocketHub(self._slack)
        self._state_file = state_file
        self._port = port
        self._on_restart = on_restart
        self._on_clock = on_clock
        self._stack = AsyncExitStack()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, known once the server runs."""
        return self._slack.url

    def stand_behind(self, url: str, enterprise_id: str | None = None, *, org_wide: bool = False) -> None:
        """Be reached through another server at *url*, as one workspace of several, maybe of an organisation."""
        self._slack.url = url
        self._slack.enterprise_id, self._slack.org_wide = enterprise_id, org_wide

    def knows(self, id_: str) -> bool:
        """Whether a response_url, upload, trigger or channel with that id is of this workspace."""
        slack = self._slack
        return any(id_ in known for known in (slack.response_urls, slack.triggers, slack.workspace.files)) or (
            id_ in slack.workspace.channels
        )

    @property
    def api_base_url(self) -> str:
        """What to give slack_sdk as `base_url`."""
        return self._slack.url + "/api/"

    @property
    def app(self) -> AppConfig:
        return self._slack.app

    @property
    def workspace(self) -> Workspace:
        return self._slack.workspace

    @property
    def clock(self) -> Clock:
        return self._slack.clock

    @property
    def faults(self) -> Faults:
        return self._slack.faults

    @property
    def log(self) -> ExchangeLog:
        return self._slack.log

    @property
    def request_url(self) -> str | None:
        """Where commands, interactions and events go; None sends them through Socket Mode."""
        return self._slack.app.request_url

    @request_url.setter
    def request_url(self, url: str | None) -> None:
        self._slack.set_request_url(url)

    def trigger(self, user: str) -> str:
        """A trigger_id, as an interaction of *user* would carry it."""
        return self._slack.trigger(user)

    def response_url(self, channel: str, user: str, message: Message | None = None) -> str:
        """A response_url, as an interaction of *user* would carry it."""
        return self._slack.response_url(channel, user, message)

    def mint_ts(self) -> str:
        """The timestamp a message would get now."""
        return self._slack.mint_ts()

    def messages(self, channel: str, *, thread_ts: str | None = None, seen_by: str | None = None) -> list[Message]:
        """Messages oldest first: of a channel with all its threads, or the replies of one thread.

        Ephemeral ones are left out unless *seen_by* names the person they are for.
        """
        if seen_by and self.workspace.channels[channel] not in self.workspace.visible_channels(seen_by):
            return []
        found = [m for m in self.workspace.in_channel(channel) if m.ephemeral_for in (None, seen_by)]
        return found if thread_ts is None else [m for m in found if m.thread_ts == thread_ts and m.ts != thread_ts]

    def ephemerals(self, user: str, channel: str | None = None) -> list[Message]:
        """What only *user* sees, oldest first."""
        rows = self.workspace.messages.items()
        found = [m for key, messages in rows if channel in (None, key) for m in messages if m.ephemeral_for == user]
        return sorted(found, key=lambda message: float(message.ts))

    def view_of(self, user: str) -> View | None:
        """The modal on top of *user*'s screen."""
        return self.workspace.modal_of(user)

    def home_of(self, user: str) -> View | None:
        return self.workspace.homes.get(user)

    async def wait_for(self, claim: Callable[[], T], timeout_s: float = 5.0) -> T:
        """Wait until *claim*, which is about the playground, is truthy, and return what it said.

        Raises:
            TimeoutError: it did not become so within *timeout_s* seconds.
        """
        await self._slack.pulse.holds(claim, timeout_s)
        return claim()

    async def settled(self, timeout_s: float = 5.0) -> None:
        """Wait until no event or call is on its way; what the bot does later on its own is not waited for."""
        await self._slack.quiet(timeout_s)

    async def advance(self, seconds: float) -> None:
        """Push the playground's clock forward, and the bot's if it was asked for with *on_clock*."""
        self._slack.clock.advance(seconds)
        self._slack.pulse.touch()
        if self._on_clock is not None:
            await self._on_clock(self._slack.clock.offset_s)

    async def restart(self) -> None:
        """Have the bot restarted by whoever runs both.

        Raises:
            NotPossible: nobody offered to.
        """
        if self._on_restart is None:
            raise NotPossible("the bot runs elsewhere and cannot be restarted from here")
        self.delivery.lost()
        await self._on_restart()

    async def __aenter__(self) -> Self:
        self._load()
        async with AsyncExitStack() as stack:
            stack.callback(self._save)
            # No limit: a delivery that waits for a free connection would lose part of its three seconds.
            connector = aiohttp.TCPConnector(limit=0)
            session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
            http = await stack.enter_async_context(session)
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            stack.callback(self._cancel_all)
            self._delivery = Delivery(self._slack, http, self.sockets)
            await self._listen(stack)
            self._start(tasks, self._tell_events(tasks))
            self._start(tasks, self._keep_saved())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _listen(self, stack: AsyncExitStack) -> None:
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", self._port)
        await site.start()
        # Before the server stops listening: those who wait for news are told there will be none.
        stack.push_async_callback(self.sockets.drop)
        stack.callback(self._slack.pulse.close)
        host, port = runner.addresses[0][:2]
        self._slack.url = f"http://{host}:{port}"

    def _application(self) -> web.Application:
        api = WebApi(self._slack, {"apps.connections.open": self.sockets.open_url})
        application = web.Application(client_max_size=BODY_LIMIT_BYTES, middlewares=[only_from_here])
        slack = self._slack

        async def upload(request: web.Request) -> web.StreamResponse:
            return await receive_upload(slack, request)

        async def download(request: web.Request) -> web.StreamResponse:
            return serve_file(slack, request)

        async def respond(request: web.Request) -> web.StreamResponse:
            return await receive_answer(slack, request)

        application.add_routes(
            [
                web.route("*", "/api/{method}", api.handle),
                web.post("/response/{id}", respond),
                web.post("/upload/{id}", upload),
                web.get("/files/{id}/{name}", download),
                web.get("/socket", self.sockets.serve),
                *Control(slack, self, self).routes(),
            ]
        )
        return application

    async def _tell_events(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            event = await self._slack.events.get()
            self._start(tasks, self.delivery.tell(event))

    async def _keep_saved(self) -> None:
        """Write the state down soon after each change."""
        saved = self._slack.pulse.rev
        while self._state_file is not None:
            saved = await self._slack.pulse.beyond(saved)
            await asyncio.sleep(SAVE_EVERY_S)  # a burst of changes is written once
            self._save()

    def _start(self, tasks: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> None:
        task = tasks.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _cancel_all(self) -> None:
        for task in list(self._running):
            task.cancel()

    def _load(self) -> None:
        if self._state_file is None or not self._state_file.exists():
            return
        try:
            self._slack.restore(json.loads(self._state_file.read_text("utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise StateFileError(f"{self._state_file}: not a playground's state ({error!r}); move it away") from error

    def _save(self) -> None:
        if self._state_file is None:
            return
        self._state_file.parent.mkdir(parents=True, exist_ok=True)
        written = self._state_file.with_suffix(".new")
        written.write_text(json.dumps(self._slack.to_json()), "utf-8")
        os.replace(written, self._state_file)
