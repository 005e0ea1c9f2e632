"""Answers to questions, heard: clicks, modals, replies in threads. An acknowledgement means *saved*.

Words to the person who did something are sent afterwards, in the background: the
acknowledgement does not wait for Slack.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltContext, AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.asking.prompts import Question, question_of
from bot.asking.replies import NotTaken
from bot.background import Spawn
from bot.deadline import answer_by
from bot.languages import Catalogue
from bot.listeners.answering import Answering, Thread, Via
from bot.listeners.hearing import ANYTHING, EMPTY, NOT_SAVED, Body, Gate, Readers, in_time, tenant_of, unreadable
from bot.listeners.home import Home
from bot.payloads.events import Ignored, ThreadReply, parse_reply
from bot.payloads.interactions import ButtonClick, ModalSubmit, parse_click, parse_modal
from bot.payloads.reading import PayloadError
from bot.payloads.tokens import AskToken
from bot.slack.directory import Directory
from bot.slack.surface import SlackSurface
from bot.views import buttons, modals
from bot.views.told import Told
from engine.errors import ContextSerdeError, StoreUnavailable
from engine.runner import Asked
from engine.verdicts import Unknown

logger = logging.getLogger(__name__)

Text: TypeAlias = Callable[[Catalogue], str]
"""What somebody is told, once their language is known."""

FRESH_S = 60.0
"""A thread of ours this young may not be known by its run yet: posting it and noting that are two calls."""


class AnswerListeners:
    """The ways to answer, and whatever else comes as a button, a modal or a message that no other listener knows."""

    def __init__(
        self,
        answering: Answering,
        surface: SlackSurface,
        directory: Directory,
        home: Home,
        readers: Readers,
        spawn: Spawn,
        *,
        thread_replies: bool = True,
    ) -> None:
        self._answering = answering
        self._surface = surface
        self._directory = directory
        self._home = home
        self._spawn = spawn
        self._words, self._unread = readers.words, readers.unread
        self._thread_replies = thread_replies

    def listen(self, app: AsyncApp) -> None:
        """Hear every button, modal and message but those that were somebody's before."""
        _Clicks(self._on_click).listen(app)
        app.action(ANYTHING)(self.on_other_click)
        app.view(ANYTHING)(self.on_modal)
        app.event("message")(self.on_message)

    async def on_other_click(self, ack: AsyncAck, body: Body) -> BoltResponse:
        """Say of a button that nothing is known of it."""
        try:
            click = parse_click(body)
        except PayloadError as error:
            unreadable(error)
            return await ack()
        if click.message_ts:  # a view that holds what is not ours is not ours: its trigger stays unspent
            self._tell(click, lambda words: words.unknown)
        return await ack()

    async def _on_click(self, body: Body, context: AsyncBoltContext) -> BoltResponse:
        """Take a button as an answer, or open the modal that it stands for."""
        try:
            click = parse_click(body)
        except PayloadError as error:
            unreadable(error)
            return EMPTY
        try:
            async with in_time(context):
                if await self._choose_at_once(click):
                    return EMPTY
                asked = await self._answering.look_up(click.token, tenant_of(click))
                question = None if asked is None else question_of(asked.event)
                told, view = await self._answering.misplaced(asked, click.ref), None
                if told is None:
                    view = _modal(click.token, asked, question, self._words(click), edit=_edits(click))
                if view is None:
                    told = told or await self._answering.choose(
                        asked, click.token, click.user_id, click.delivery_id, via=_via(click), question=question
                    )
                    self._spawn(self._tell_with_link(click, await self._looked_for(told, click)))
            by = answer_by(context)
            if view is not None and not await self._surface.open_modal(tenant_of(click), click.trigger_id, view, by=by):
                self._tell(click, lambda words: words.modal_not_opened)
        except (ContextSerdeError, StoreUnavailable) as error:
            logger.error("click not recorded", extra=_about(click, error))
            self._tell(click, lambda words: words.not_recorded)
        return EMPTY

    async def _choose_at_once(self, click: ButtonClick) -> bool:
        """Take a button as an answer without reading the question, if that does; its words are looked up later."""
        if _edits(click):
            return False
        tenant, user = tenant_of(click), click.user_id
        verdict = await self._answering.choose_at_once(
            click.token, tenant, click.ref, user, click.delivery_id, via=_via(click)
        )
        if verdict is None:
            return False

        async def tell() -> None:
            told = await self._answering.accepted(click.token, tenant, user, verdict)
            await self._telling(click, told.text)

        self._spawn(tell())
        return True

    async def on_modal(self, ack: AsyncAck, body: Body, context: AsyncBoltContext) -> BoltResponse:
        """Take a modal as an answer; what is wrong with it shows beside its field."""
        try:
            sent = parse_modal(body)
        except PayloadError as error:
            words = self._unread(error, context)
            return await ack(modals.replaced_by(modals.notice_modal(words.not_readable, words)))
        words, filled = self._words(sent), modals.filled(sent)
        try:
            async with in_time(context):
                asked = await self._answering.look_up(sent.token, tenant_of(sent))
                told = await self._answering.choose(
                    asked, sent.token, sent.user_id, sent.delivery_id, filled, via="modal"
                )
                told = await self._looked_for(told, sent)
        except (ContextSerdeError, StoreUnavailable) as error:
            logger.error("modal not recorded", extra=_about(sent, error))
            return await ack(modals.field_errors({next(iter(sent.values), ""): words.not_recorded}))
        with contextlib.suppress(TimeoutError):  # the verdict is known, and is told without a link, too
            async with asyncio.timeout_at(answer_by(context)):
                told = await self._answering.with_link(told)
        if told.counts:
            self._tell_beside(asked, sent, told)
            return await ack()
        if errors := told.errors(words):
            return await ack(modals.field_errors(errors))
        text = told.text(words)
        view = None
        if told.verdict == NotTaken("form_changed"):
            question = None if asked is None else question_of(asked.event)
            view = _modal(sent.token, asked, question, words, edit=filled.text is not None, note=text)
        return await ack(modals.replaced_by(view or modals.notice_modal(text, words)))

    async def on_message(self, ack: AsyncAck, body: Body, context: AsyncBoltContext) -> BoltResponse:
        """Take a reply in the thread of a run as an answer to its open question."""
        try:
            reply = parse_reply(body)
            if isinstance(reply, Ignored) or not self._thread_replies:
                return EMPTY
            async with in_time(context):
                team = tenant_of(reply)
                thread = await self._answering.thread(team, reply.channel_id, reply.thread_ts)
                if _is_early(thread, reply, context.bot_user_id):
                    return NOT_SAVED
                told = await self._answering.reply(thread, reply)
        except PayloadError as error:
            unreadable(error)
            return EMPTY
        except (ContextSerdeError, StoreUnavailable) as error:
            logger.error("reply not recorded", extra={"reason": str(error)})
            return NOT_SAVED
        if told is not None:
            place = {"channel": reply.channel_id, "thread_ts": reply.thread_ts}
            self._spawn(self._say_with_link(team, reply.user_id, told, **place))
        return EMPTY

    async def _looked_for(self, told: Told, sent: ButtonClick | ModalSubmit) -> Told:
        """Return what somebody is told; of a question that Redis has lost, that its run asks again, which it does."""
        run_id = await self._answering.lost(sent.token, tenant_of(sent)) if told.verdict == Unknown() else None
        if run_id is None:
            return told
        self._spawn(self._surface.show_again(run_id))
        return replace(told, verdict=NotTaken("lost"))

    def _tell(self, click: ButtonClick, text: Text) -> None:
        self._spawn(self._telling(click, text))

    async def _telling(self, click: ButtonClick, text: Text) -> None:
        if not click.response_url and not click.channel_id:
            await self._say_above(click, text)
            return
        place = {"channel": click.channel_id, "thread_ts": click.thread_ts}
        await self._say(tenant_of(click), click.user_id, text, response_url=click.response_url, **place)

    async def _say_above(self, click: ButtonClick, text: Text) -> None:
        """Tell somebody in App Home, which has no place for a private note; and show it as it stands now."""
        tenant, words = tenant_of(click), self._words(click)
        await self._surface.tell_above(tenant, click.user_id, click.trigger_id, text(words), words)
        await self._home.refresh(tenant, click.user_id)

    async def _tell_with_link(self, click: ButtonClick, told: Told) -> None:
        await self._telling(click, (await self._answering.with_link(told)).text)

    async def _say_with_link(self, tenant: str, user: str, told: Told, **place: str) -> None:
        await self._say(tenant, user, (await self._answering.with_link(told)).text, **place)

    async def _say(self, tenant: str, user: str, text: Text, **place: str) -> None:
        words = await self._directory.learn(tenant, user)
        await self._surface.tell(tenant, user, text(words), **place)

    def _tell_beside(self, asked: Asked | None, sent: ModalSubmit, told: Told) -> None:
        """Tell the sender of a modal, beside the question: a modal has no place of its own to answer to."""
        if asked is None or not asked.ask.messages:
            return
        channel, _, ts = asked.ask.messages[0].partition(":")
        thread_ts = asked.run.thread.partition(":")[2] or ts
        self._spawn(self._say(tenant_of(sent), sent.user_id, told.text, channel=channel, thread_ts=thread_ts))


class _Clicks(Gate):
    """Hears clicks on questions before Bolt looks for a listener: to find and to call one takes a tenth of the time."""

    def __init__(self, heard: Callable[[Body, AsyncBoltContext], Awaitable[BoltResponse]]) -> None:
        self._heard = heard

    async def answer(self, req: AsyncBoltRequest) -> BoltResponse | None:
        """Hear a click on a question."""
        match req.body:
            case {"type": "block_actions", "actions": [{"action_id": str(name)}, *_]} if buttons.ACTION.fullmatch(name):
                return await self._heard(req.body, req.context)
            case _:
                return None


def _about(sent: ButtonClick | ModalSubmit, error: Exception) -> dict[str, str]:
    """Return what the log tells of an answer that was not recorded: whoever asks for it later names run and person."""
    told = {"by": sent.user_id, "reason": str(error)}
    return told if sent.token is None else {"run_id": sent.token.run_id, **told}


def _edits(click: ButtonClick) -> bool:
    return click.action_id.startswith(buttons.EDIT)


def _via(click: ButtonClick) -> Via:
    return "button" if click.ref else "home"


def _modal(
    token: AskToken | None,
    asked: Asked | None,
    question: Question | None,
    words: Catalogue,
    *,
    edit: bool,
    note: str = "",
) -> dict[str, Any] | None:
    """Return the modal that a choice opens, while the question is open as it was shown."""
    if token is None or asked is None or question is None:
        return None
    if asked.ask.status != "open" or not token.shows(asked.ask):
        return None
    question = question.said_in(words)
    choice = question.choice(token.choice)
    edit = edit and question.edits and token.choice == question.yes
    if choice is None or not (choice.opens or edit):
        return None
    return modals.answer_modal(token, question, choice, edit=edit, note=note, words=words)


def _is_early(thread: Thread, reply: ThreadReply, bot_user_id: str | None) -> bool:
    """Whether a reply may be one to a message of ours that its run does not know yet; Slack shall send it again.

    Posting a message and noting that are two calls, and between them people can be quick.
    """
    if thread.run is None:
        ours = bot_user_id is not None and reply.parent_user_id == bot_user_id
        return ours and time.time() - float(reply.thread_ts) < FRESH_S
    return thread.shown is None and thread.coming is not None and time.time() - thread.coming.opened_at < FRESH_S
