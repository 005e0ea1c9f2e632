"""Slash commands that begin runs: at once, or by a modal that asks for the text that was left out."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltContext
from slack_bolt.response import BoltResponse

from bot.asking.forms import Problem
from bot.asking.triggers import BUILT_IN, BadText, CommandReceived, EmptyText, TextTooLong
from bot.deadline import answer_by
from bot.languages import Catalogue
from bot.listeners.hearing import ANYTHING, Body, FromSomebody, Readers, in_time, tenant_of
from bot.payloads.interactions import CommandCall, ModalSubmit, parse_command, parse_modal
from bot.payloads.reading import PayloadError
from bot.payloads.tokens import ID
from bot.plugins import Plugin
from bot.slack.telling import Telling
from bot.views import modals, wording
from engine.errors import StoreUnavailable
from engine.runner import Runner

logger = logging.getLogger(__name__)


class Starting:
    """Hears commands, and the modals that asked for their text."""

    def __init__(self, plugins: Mapping[str, Plugin], runner: Runner, telling: Telling, readers: Readers) -> None:
        """It hears every command that nobody heard before."""
        self._plugins = plugins
        self._runner = runner
        self._telling = telling
        self._words, self._unread = readers.words, readers.unread

    def listen(self, app: AsyncApp) -> None:
        app.command(ANYTHING)(self.on_command)
        app.view(modals.START)(self.on_text)

    async def on_command(self, ack: AsyncAck, body: Body, context: AsyncBoltContext) -> BoltResponse:
        """Start a run, ask for the text it needs, or say privately why not."""
        try:
            call = parse_command(body)
        except PayloadError as error:
            return await ack(self._unread(error, context).not_readable)
        words = self._words(call)
        plugin = self._plugins.get(call.command)
        if plugin is None:
            return await ack(self._unknown(call.command, words))
        problem = plugin.command.check(call.text)
        if problem is not None:
            asked = isinstance(problem, EmptyText) and await self._ask(plugin, call, words, answer_by(context))
            return await ack("" if asked else wording.bad_text(problem, words))
        try:
            async with in_time(context):
                await self._start(plugin, call, call.text, call.channel_id, call.user_name, call.delivery_id)
        except StoreUnavailable as error:
            logger.error("run not started", extra={"reason": str(error)})
            return await ack(words.not_started)
        return await ack("")

    async def on_text(self, ack: AsyncAck, body: Body, context: AsyncBoltContext) -> BoltResponse:
        """Start a run, where its command was typed, with the text that the modal asked for."""
        try:
            sent = parse_modal(body)
            command, channel = _place(sent)
        except PayloadError as error:
            words = self._unread(error, context)
            return await ack(modals.replaced_by(modals.notice_modal(words.not_readable, words)))
        words, text = self._words(sent), sent.text(modals.TEXT).strip()
        plugin = self._plugins.get(command)
        if plugin is None:
            return await ack(modals.replaced_by(modals.notice_modal(self._unknown(command, words), words)))
        problem = plugin.command.check(text)
        if problem is not None:
            return await ack(modals.field_errors({modals.TEXT: wording.problem_text(_problem(problem), words)}))
        try:
            async with in_time(context):
                await self._start(plugin, sent, text, channel, sent.user_name, sent.delivery_id)
        except StoreUnavailable as error:
            logger.error("run not started", extra={"reason": str(error)})
            return await ack(modals.field_errors({modals.TEXT: words.not_recorded}))
        return await ack()

    def _unknown(self, command: str, words: Catalogue) -> str:
        known = [*(plugin.command for plugin in self._plugins.values()), *BUILT_IN]
        return wording.unknown_command(command, known, words)

    async def _ask(self, plugin: Plugin, call: CommandCall, words: Catalogue, by: float) -> bool:
        """Open a modal for the text that was left out; False if Slack would not."""
        place = json.dumps({"command": call.command, "channel": call.channel_id})
        view = modals.text_modal(plugin.command, place, words)
        return bool(call.trigger_id) and await self._telling.open_modal(tenant_of(call), call.trigger_id, view, by=by)

    async def _start(
        self, plugin: Plugin, by: FromSomebody, text: str, channel: str, user_name: str, delivery: str
    ) -> None:
        run_id = await self._runner.start(
            plugin.workflow,
            CommandReceived(text=text, user_id=by.user_id, channel_id=channel, team_id=by.team_id, user_name=user_name),
            key=delivery,
            tenant=tenant_of(by),
            requester=by.user_id,
            address=channel,
        )
        command = plugin.command.command
        logger.info("run started", extra={"run_id": run_id, "command": command, "by": by.user_id})


def _place(sent: ModalSubmit) -> tuple[str, str]:
    """Return the command that a modal goes on with, and the channel where it was typed.

    Raises:
        PayloadError: the modal does not say.
    """
    try:
        match json.loads(sent.private_metadata):
            case {"command": str(command), "channel": str(channel)} if ID.fullmatch(channel):
                return command, channel
    except ValueError:
        pass
    raise PayloadError("view_submission: private_metadata names no command and channel")


def _problem(problem: BadText) -> Problem:
    if isinstance(problem, TextTooLong):
        return Problem("string_too_long", limits={"max_length": problem.max_chars})
    return Problem("missing")
