"""Builds every part of one process from its settings and owns their lifetime."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass

import aiohttp
from aiohttp.web import RouteDef
from pydantic import SecretStr
from slack_bolt.async_app import AsyncApp, AsyncBoltContext
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

from bot import logs
from bot.background import Background
from bot.fleet import Fleet
from bot.identity import Identity, SlackRefused
from bot.languages import CATALOGUES
from bot.listeners.admission import Admission
from bot.listeners.answer_listeners import AnswerListeners
from bot.listeners.answering import Answering
from bot.listeners.cancelling import Cancelling
from bot.listeners.finding import Finding
from bot.listeners.hearing import Listening, Readers
from bot.listeners.home import Home, HomeListeners
from bot.listeners.leaving import Leaving
from bot.listeners.my_runs import MyRuns
from bot.listeners.pacing import Pacing
from bot.listeners.question_menu import QuestionMenu
from bot.listeners.shortcuts import Shortcuts
from bot.listeners.starting import Starting
from bot.listeners.unknown import AnythingElse, Unreadable
from bot.many_workspaces import ManyWorkspaces
from bot.metrics import Metrics
from bot.plugins import discover
from bot.settings import Settings
from bot.slack.calls import CALL_TIMEOUT_S
from bot.slack.directory import Directory
from bot.slack.surface import SlackSurface
from bot.slack.workspaces import OneWorkspace, Workspaces
from bot.stores import audience_of, unsealed_store_of
from bot.transport.dispatch import dispatch_to
from bot.transport.socket import SocketMode
from bot.transport.verify import Verifier
from bot.transport.web import application, bare, metrics, serving
from bot.writing import writer_of
from engine.errors import CodecError, StoreUnavailable
from engine.runner import Runner
from engine.sealed_store import SealedRunStore

logger = logging.getLogger(__name__)

GIVE_BACK_S = 2.0
"""How long it may take, once the time to finish is over, to give back what is in hand."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What a started process is: where it listens (0: nowhere) and which commands it knows."""

    port: int
    commands: tuple[str, ...]


class App:
    """The parts of one process, wired. Nothing runs before `running`."""

    def __init__(self, settings: Settings) -> None:
        """Load the plug-ins and build the parts.

        Raises:
            PluginError: a workflow file cannot be used; the message names it.
            SettingsError: SIGNOFF_MODEL names no model that can be used.
        """
        self.settings = settings
        self.plugins = discover(settings.workflows)
        writer_of(settings)  # a model that cannot be used is told of now, not when the first text is wanted
        url = settings.redis_url.get_secret_value()
        kept = unsealed_store_of(settings)
        self.store = SealedRunStore(kept, settings.keyring)
        self.metrics = Metrics(kept.backlog)
        self.runner = Runner(
            self.store,
            [plugin.workflow for plugin in self.plugins.values()],
            worker=f"{socket.gethostname()[:40]}-{secrets.token_hex(4)}",  # whoever looks at a run knows where to look
            lease_s=settings.lease_s,
        )
        self.client = AsyncWebClient(
            token=_value(settings.bot_token),
            base_url=settings.api_base_url,
            timeout=CALL_TIMEOUT_S,
            retry_handlers=[],  # a repeated post is a second message: the surface decides what to repeat
        )
        self._many = ManyWorkspaces(settings, self.client) if settings.many_workspaces else None
        self.workspaces: Workspaces = OneWorkspace(self.client) if self._many is None else self._many.workspaces
        self.directory = Directory(self.workspaces, words=CATALOGUES[settings.language])
        self.surface = SlackSurface(
            self.workspaces, self.runner, self.directory, thread_replies=settings.thread_replies
        )
        commands = {plugin.workflow.definition.stored_name: plugin.command.command for plugin in self.plugins.values()}
        self.finding = Finding(self.runner, commands, self.surface.permalink)
        self.audience = audience_of(settings)
        self.home = Home(self.workspaces, self.runner, self.finding, self.directory, self.audience)
        self.admission = Admission(self.runner, self.directory, allow_guests=settings.allow_guests)
        self._background = Background()
        self.answering = Answering(self.runner, self.admission, self.surface.permalink, self._background.spawn)
        self.fleet = Fleet(url, self.attend, self.due, self.tidy, name=settings.key_prefix, sweep_s=settings.sweep_s)
        self.runner.wake = self._wake
        self._identity = Identity(self.client, settings.bot_token, settings.app_token)
        spawn = self._background.spawn
        self._tenancy = None if self._many is None else self._many.tenancy(self.runner, self.surface, spawn)
        self._socket: SocketMode | None = None
        self._stopping = False

    async def _wake(self, run_id: str) -> None:
        """Bring a run to a worker, behind the acknowledgement if one is being made: that need not wait for it."""
        if self._background.open:
            self._background.begin(self.fleet.wake(run_id))
        else:
            await self.fleet.wake(run_id)

    # --- what workers do -------------------------------------------------------------------

    async def attend(self, run_id: str) -> None:
        """Do what a run has to do and show what it owes."""
        try:
            await self.runner.work(run_id)
            await self.home.changed(await self.surface.show(run_id))
        except (CodecError, StoreUnavailable) as error:
            logger.warning("run left for later", extra={"run_id": run_id, "reason": str(error)})

    async def due(self) -> Iterable[str]:
        """Fire timers and return the runs that have something to do."""
        try:
            return await self.runner.sweep()
        except StoreUnavailable as error:
            logger.warning("sweep cut short", extra={"reason": str(error)})
            return ()

    async def tidy(self) -> None:
        """Show what is late, and close what is over."""
        try:
            if self._tenancy is not None:
                await self._tenancy.tidy()
            await self.home.changed(await self.surface.catch_up())
        except StoreUnavailable as error:
            logger.warning("what is late was not all shown", extra={"reason": str(error)})

    # --- lifetime --------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self, *, web: bool = True, worker: bool = True) -> AsyncIterator[Ready]:
        """Run the process's parts while the block runs: the ways in from Slack, and a worker.

        Raises:
            SlackRefused: the token is not accepted.
            OSError: the address to listen on is taken.
        """
        # One session for all calls: each of its own would begin with a TLS handshake.
        self.client.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_S))
        try:
            await self._identity.learn()
            async with asyncio.TaskGroup() as tasks, self._measured(), self._ways_in(web) as port:
                fleet = tasks.create_task(self.fleet.serve(worker=worker))
                try:
                    yield Ready(port, tuple(self.plugins))
                finally:
                    await self._drain(fleet)
        finally:
            await self.client.session.close()
            await self.store.close()
            if self._many is not None:
                await self._many.installs.close()
            await self.audience.close()

    async def _drain(self, fleet: asyncio.Task[None]) -> None:
        """Take no more work, let what is in hand end, and give back what does not."""
        self._stopping = True
        fleet.cancel()
        await asyncio.wait([fleet], timeout=self.settings.drain_s)
        self.fleet.drop()
        await asyncio.wait([fleet], timeout=GIVE_BACK_S)
        fleet.cancel()  # the first time pydocket lets its tasks end, however long they take

    @asynccontextmanager
    async def _ways_in(self, web: bool) -> AsyncIterator[int]:
        if not web:
            yield 0
            return
        settings = self.settings
        dispatch = dispatch_to(self._bolt(), self.metrics.answering)
        secret = settings.signing_secret
        verifier = Verifier(secret) if secret is not None and not settings.socket_mode else None
        site = application(dispatch, verifier, settings.request_path, self.not_ready)
        if self._many is not None:
            site.add_routes(self._many.oauth.routes())
        if settings.metrics_port is None:
            site.add_routes(self._metrics())
        if (token := settings.app_token) is not None:
            self._socket = SocketMode(dispatch, token.get_secret_value(), self.client)
        held = nullcontext() if self._socket is None else self._socket.held()
        async with self._background, held, serving(site, settings.host, settings.port) as port:
            yield port

    @asynccontextmanager
    async def _measured(self) -> AsyncIterator[None]:
        """Count what is logged while the block runs; show the figures where they have a port of their own."""
        port = self.settings.metrics_port
        shown = nullcontext() if port is None else serving(bare(*self._metrics()), self.settings.host, port)
        with logs.also_to(self.metrics.lines):
            async with shown:
                yield

    def _metrics(self) -> list[RouteDef]:
        token = self.settings.metrics_token
        return [] if token is None else [metrics(self.metrics.page, token)]

    def _bolt(self) -> AsyncApp:
        async def authorize(  # Bolt fills every parameter it sees, a method's `self`, too: this is none
            context: AsyncBoltContext, enterprise_id: str | None, team_id: str | None
        ) -> AuthorizeResult:
            if self._tenancy is not None:
                return await self._tenancy.authorize(context, enterprise_id, team_id)
            if self._identity.wanted:  # no request waits for Slack
                self._background.begin(self._identity.learn_after_all())
            return self._identity.known or AuthorizeResult(enterprise_id=None, team_id=None)

        bolt = AsyncApp(
            client=self.client,
            authorize=authorize,
            process_before_response=True,  # else 200 is answered before the listener ran: a crash loses the event
            request_verification_enabled=False,  # bot.transport.verify has done it, over the raw bytes
        )
        for listener in self._listeners():
            listener.listen(bolt)
        return bolt

    def _listeners(self) -> list[Listening]:
        """Return what hears Slack. Bolt asks in this order; what one has taken is kept from those behind it."""
        cancelling, spawn = Cancelling(self.runner, self.finding), self._background.spawn
        readers = Readers(self.directory, spawn)
        tenancy = [] if self._tenancy is None else [self._tenancy]
        return [
            Unreadable(readers),
            Pacing(self.settings.per_minute, self.directory, self.surface, spawn),
            *tenancy,
            Leaving(self.store, self.directory, self.surface, spawn),
            MyRuns(self.finding, cancelling, self.surface, readers, spawn),
            Shortcuts(self.plugins, self.runner, self.surface, readers, spawn),
            HomeListeners(self.home, cancelling, self.surface, readers, spawn),
            Starting(self.plugins, self.runner, self.surface, readers),
            QuestionMenu(self.runner, self.answering, self.admission, self.surface, readers, spawn),
            AnswerListeners(
                self.answering,
                self.surface,
                self.directory,
                self.home,
                readers,
                spawn,
                thread_replies=self.settings.thread_replies,
            ),
            AnythingElse(),
        ]

    async def not_ready(self) -> str | None:
        """Return why this process cannot do its work, or None."""
        if self._stopping:
            return "it is stopping"
        try:
            if self._identity.missing:
                await self._identity.learn()
        except SlackRefused as error:
            return str(error)
        if self._identity.missing:
            return "Slack has not been reached yet"
        if self._socket is not None and not self._socket.connected:
            return "Slack's socket is not open"
        try:
            await self.store.due(1)
        except StoreUnavailable as error:
            logger.warning("not ready", extra={"reason": str(error)})
            return "Redis does not answer"  # whoever may ask is not told where it is
        return None


def _value(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
