"""``/runs``: what somebody has started here, one of it, and the way to cancel it. Only they see the answers."""

from __future__ import annotations

import logging

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltContext
from slack_bolt.response import BoltResponse

from bot.asking.triggers import RUNS
from bot.background import Spawn
from bot.languages import Catalogue
from bot.listeners.cancelling import Cancelling, ended
from bot.listeners.finding import Finding
from bot.listeners.hearing import Body, Readers, in_time, tenant_of, unreadable
from bot.payloads.interactions import ButtonClick, CommandCall, parse_click, parse_command
from bot.payloads.reading import PayloadError
from bot.slack.telling import Telling
from bot.views import listing
from bot.views.blocks import Message, private_message
from bot.views.escaping import safe, shorten
from engine.errors import StoreUnavailable

logger = logging.getLogger(__name__)


class MyRuns:
    """The command and the buttons of its answers."""

    def __init__(
        self,
        finding: Finding,
        cancelling: Cancelling,
        telling: Telling,
        readers: Readers,
        spawn: Spawn,
    ) -> None:
        self._finding = finding
        self._cancelling = cancelling
        self._telling = telling
        self._spawn = spawn
        self._words, self._unread = readers.words, readers.unread

    def listen(self, app: AsyncApp) -> None:
        app.command(RUNS.command)(self.on_command)
        app.action(listing.ACTION)(self.on_click)

    async def on_command(self, ack: AsyncAck, body: Body, context: AsyncBoltContext) -> BoltResponse:
        """Answer in the acknowledgement itself."""
        try:
            call = parse_command(body)
        except PayloadError as error:
            return await ack(self._unread(error, context).not_readable)
        try:
            async with in_time(context):
                message = await self._answer(call)
        except StoreUnavailable as error:
            logger.error("runs not looked up", extra={"reason": str(error)})
            return await ack(self._words(call).not_looked_up)
        return await ack(text=message.text, blocks=message.blocks)

    async def on_click(self, ack: AsyncAck, body: Body, context: AsyncBoltContext) -> BoltResponse:
        """Turn a page, or cancel a run; what was shown is replaced afterwards."""
        try:
            click = parse_click(body)
        except PayloadError as error:
            unreadable(error)
            return await ack()
        if click.action_id.startswith(listing.TURN):
            self._spawn(self._show(click, _number(click)))
            return await ack()
        words = self._words(click)
        try:
            async with in_time(context):
                row, told = await self._cancelling.cancel(tenant_of(click), click.user_id, click.value, words)
        except StoreUnavailable as error:
            logger.error("run not cancelled", extra={"reason": str(error)})
            row, told = None, words.not_recorded
        if row is None or not _number(click):
            self._spawn(self._telling.replace(click.response_url, private_message(told)))
        else:
            cancelled = row.run.run_id if row.run.status == "cancelled" else ""
            self._spawn(self._show(click, (_number(click) - 1) // listing.PAGE, headline=told, cancelled=cancelled))
        return await ack()

    async def _answer(self, call: CommandCall) -> Message:
        tenant, user = tenant_of(call), call.user_id
        words = self._words(call)
        match call.text.split():
            case [] | ["list"]:
                return await self._list(tenant, user, 0, words)
            case ["show" | "cancel" as verb, given]:
                row = await self._finding.one(tenant, user, given.lstrip("#").strip("`"))
                if row is None:
                    return private_message(words.runs_unknown.format(run=safe(shorten(given, 40))))
                if verb == "show":
                    return listing.run_card(row, words=words)
                return listing.cancel_card(row, words=words)
            case _:
                return private_message(words.runs_usage)

    async def _list(
        self, tenant: str, user: str, page: int, words: Catalogue, *, headline: str = "", cancelled: str = ""
    ) -> Message:
        """Return a page of runs; the one that was just *cancelled* may still be at work for a moment."""
        rows, more = await self._finding.page(tenant, user, page)
        shown = [ended(row) if row.run.run_id == cancelled else row for row in rows]
        return listing.run_list(shown, page, more=more, headline=headline, words=words)

    async def _show(self, click: ButtonClick, page: int, *, headline: str = "", cancelled: str = "") -> None:
        """Show a page in the place of what was clicked."""
        tenant, user = tenant_of(click), click.user_id
        words = self._words(click)
        page = min(page, listing.LAST_PAGE)
        try:
            message = await self._list(tenant, user, page, words, headline=headline, cancelled=cancelled)
        except StoreUnavailable as error:
            logger.error("runs not looked up", extra={"reason": str(error)})
            message = private_message(headline or words.not_looked_up)
        await self._telling.replace(click.response_url, message)


def _number(click: ButtonClick) -> int:
    """Return what a button's action id ends with: a page, or the place of a run in the list, 0 if it stands alone."""
    return int(click.action_id.rpartition(".")[2])
