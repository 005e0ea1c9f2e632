"""What can be done about a question that stays open: hand it on to somebody else, or ask the requester for details."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltContext
from slack_bolt.response import BoltResponse

from bot.asking.prompts import question_of
from bot.asking.replies import NotTaken
from bot.background import Spawn
from bot.deadline import answer_by
from bot.languages import Catalogue
from bot.listeners.admission import Admission, Admitted
from bot.listeners.answering import Answering
from bot.listeners.hearing import Body, Readers, in_time, tenant_of, unreadable
from bot.payloads.interactions import ButtonClick, ModalSubmit, parse_click, parse_modal
from bot.payloads.reading import PayloadError
from bot.slack.telling import Telling
from bot.slack_ids import is_group, is_person
from bot.views import buttons, modals, wording
from engine.errors import ContextSerdeError, StoreUnavailable
from engine.run_store import Amendment, NewEffect, copy_of
from engine.runner import Asked, Runner
from engine.verdicts import Accepted, Stale, Unknown, Verdict

logger = logging.getLogger(__name__)

TRIES = 3
"""How often who may answer is looked up again when it has just changed."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it, for whoever did it; *field* names what they have to put right, "" if nothing."""

    text: str
    field: str = ""


class QuestionMenu:
    """The menu of an open question and the modals it opens."""

    def __init__(
        self,
        runner: Runner,
        answering: Answering,
        admission: Admission,
        telling: Telling,
        readers: Readers,
        spawn: Spawn,
    ) -> None:
        self._runner = runner
        self._answering = answering
        self._admission = admission
        self._telling = telling
        self._spawn = spawn
        self._words, self._unread = readers.words, readers.unread

    def listen(self, app: AsyncApp) -> None:
        app.action(buttons.MENU)(self.on_menu)
        app.view(buttons.HAND_ON)(self.on_handed_on)
        app.view(buttons.DETAILS)(self.on_details)

    async def on_menu(self, ack: AsyncAck, body: Body, context: AsyncBoltContext) -> BoltResponse:
        """Open the modal of what was chosen, or say privately why there is nothing to be done."""
        try:
            click = parse_click(body)
        except PayloadError as error:
            unreadable(error)
            return await ack()
        words = self._words(click)
        try:
            async with in_time(context):
                asked = await self._answering.look_up(click.token, tenant_of(click))
            told = None if asked is None else asked.ask.verdict
            if asked is None or click.token is None or told is not None:
                self._tell(click, wording.verdict_text(told or Unknown(), viewer=click.user_id, words=words))
            else:
                modal = modals.hand_on_modal if click.token.choice == buttons.HAND_ON else modals.details_modal
                view = modal(click.token, question_of(asked.event).said_in(words), words=words)
                by = answer_by(context)
                if not await self._telling.open_modal(tenant_of(click), click.trigger_id, view, by=by):
                    self._tell(click, words.modal_not_opened)
        except (ContextSerdeError, StoreUnavailable) as error:
            logger.error("question not looked up", extra={"reason": str(error)})
            self._tell(click, words.not_recorded)
        return await ack()

    async def on_handed_on(self, ack: AsyncAck, body: Body, context: AsyncBoltContext) -> BoltResponse:
        """Let somebody else answer."""
        return await self._sent(ack, body, context, self._hand_on)

    async def on_details(self, ack: AsyncAck, body: Body, context: AsyncBoltContext) -> BoltResponse:
        """Ask the requester something."""
        return await self._sent(ack, body, context, self._ask_back)

    async def _sent(
        self,
        ack: AsyncAck,
        body: Body,
        context: AsyncBoltContext,
        act: Callable[[Asked, ModalSubmit, Catalogue], Awaitable[Done]],
    ) -> BoltResponse:
        try:
            sent = parse_modal(body)
        except PayloadError as error:
            words = self._unread(error, context)
            return await ack(modals.replaced_by(modals.notice_modal(words.not_readable, words)))
        words = self._words(sent)
        try:
            async with in_time(context):
                asked = await self._answering.look_up(sent.token, tenant_of(sent))
                done = Done(words.unknown) if asked is None else await act(asked, sent, words)
        except (ContextSerdeError, StoreUnavailable) as error:
            logger.error("modal not recorded", extra={"reason": str(error)})
            done = Done(words.not_recorded, sent.callback_id)
        if done.field:
            return await ack(modals.field_errors({done.field: done.text}))
        return await ack(modals.replaced_by(modals.notice_modal(done.text, words)))

    async def _hand_on(self, asked: Asked, sent: ModalSubmit, words: Catalogue) -> Done:
        run, to = asked.run, sent.text(buttons.HAND_ON)
        verdict: Verdict = Stale()
        beside: list[str] = []
        for _ in range(TRIES):
            names = await self._names(asked, sent.user_id)
            if isinstance(names, NotTaken):
                return Done(wording.not_taken_text(names, words), buttons.HAND_ON)
            ask, beside = asked.ask, _groups(asked.ask.allowed, names)
            if ask.status == "open":
                problem = _why_not(asked, sent.user_id, names, to, words) or await self._why_not_to(asked, to, words)
                if problem is not None:
                    return Done(problem, buttons.HAND_ON)
            change = Amendment(
                run_id=run.run_id,
                ask_id=ask.ask_id,
                delivery_id=sent.delivery_id,
                actor=sent.user_id,
                what="handed on",
                allowed=_handed_on(ask.allowed, sent.user_id, names, to),
                before=ask.allowed,
                effects=[copy_of(ask.ask_id, to)],
            )
            verdict = await self._runner.amend(change)
            if verdict != Stale():
                break
            asked = await self._runner.asked(run.run_id, ask.ask_id) or asked
        return self._told(asked, verdict, sent, wording.handed_on(to, beside, words), words)

    async def _ask_back(self, asked: Asked, sent: ModalSubmit, words: Catalogue) -> Done:
        text, ask = sent.text(buttons.DETAILS).strip(), asked.ask
        if not text:
            return Done(words.comment_missing, buttons.DETAILS)
        names = await self._names(asked, sent.user_id)
        if isinstance(names, NotTaken):
            return Done(wording.not_taken_text(names, words), buttons.DETAILS)
        if ask.status == "open" and ask.allowed and not names.intersection(ask.allowed):
            return Done(words.not_yours_to_hand_on, buttons.DETAILS)
        body = json.dumps({"by": sent.user_id, "text": text}).encode()
        change = Amendment(
            run_id=ask.run_id,
            ask_id=ask.ask_id,
            delivery_id=sent.delivery_id,
            actor=sent.user_id,
            what="asked back",
            effects=[NewEffect(f"details:{ask.ask_id}:{sent.delivery_id}", body, ask.ask_id)],
            note=text,
            asks_back=True,
        )
        verdict = await self._runner.amend(change)
        told = words.details_sent.format(requester=wording.mention(asked.run.requester))
        return self._told(asked, verdict, sent, told, words)

    def _told(self, asked: Asked, verdict: Verdict, sent: ModalSubmit, done: str, words: Catalogue) -> Done:
        extra = {"run_id": asked.run.run_id, "ask": asked.ask.ask_id, "by": sent.user_id}
        logger.info("question kept open", extra={**extra, "how": sent.callback_id, "verdict": type(verdict).__name__})
        if isinstance(verdict, Accepted):
            return Done(done)
        labels = question_of(asked.event).said_in(words).labels
        return Done(wording.verdict_text(verdict, viewer=sent.user_id, labels=labels, words=words))

    async def _names(self, asked: Asked, user: str) -> set[str] | NotTaken:
        """Return by which names somebody stands on the list of who may answer, and their own; or why they may not."""
        admitted = await self._admission.admit(asked, question_of(asked.event), user)
        return {user, *admitted.groups} if isinstance(admitted, Admitted) else admitted

    async def _why_not_to(self, asked: Asked, to: str, words: Catalogue) -> str | None:
        """Return why a question cannot be handed on to somebody, by what Slack says of them, or None."""
        names = await self._names(asked, to)
        if isinstance(names, NotTaken):
            barred = words.handed_to_barred.format(who=wording.mention(to))
            return words.unchecked if names.why == "unchecked" else barred
        if names.intersection(asked.ask.allowed):
            return words.handed_already.format(who=wording.mention(to))
        return None

    def _tell(self, click: ButtonClick, text: str) -> None:
        place = {"response_url": click.response_url, "channel": click.channel_id, "thread_ts": click.thread_ts}
        self._spawn(self._telling.tell(tenant_of(click), click.user_id, text, **place))


def _why_not(asked: Asked, user: str, names: Collection[str], to: str, words: Catalogue) -> str | None:
    """Return why *user*, by these *names*, cannot hand a question on to *to*, or None."""
    ask, requester = asked.ask, asked.run.requester
    if not question_of(asked.event).hand_on:
        return words.not_to_hand_on
    if not _may_hand_on(asked, names):
        return words.not_yours_to_hand_on
    if not is_person(to):
        return words.handed_to_nobody
    if to == requester and not ask.self_approval:
        return words.handed_to_requester
    if ask.quorum > 1 and (groups := _groups(ask.allowed, names)):  # they could answer beside whom they have chosen
        beside = wording.mentions(groups, words.list_or)
        return words.handed_by_group.format(quorum=ask.quorum, beside=beside)
    left = _handed_on(ask.allowed, user, names, to)
    if len(left) < ask.quorum and not any(is_group(name) for name in left):
        return words.handed_to_too_few.format(quorum=ask.quorum)
    return None


def _may_hand_on(asked: Asked, names: Collection[str]) -> bool:
    """Whether somebody with these *names* may choose who answers in their place.

    Whoever may answer, and whoever asked where the workflow leaves it open who answers: they choose none of the
    approvers that it names, and nobody in place of their own second pair of eyes.
    """
    ask, requester = asked.ask, asked.run.requester
    if requester in names and not ask.self_approval:
        return False
    if not ask.allowed or not set(ask.allowed).isdisjoint(names):
        return True
    return requester in names and not question_of(asked.event).approvers


def _handed_on(allowed: tuple[str, ...], user: str, names: Collection[str], to: str) -> tuple[str, ...]:
    """Return who may answer once *user*, by these *names*, has handed on to *to*.

    *to* takes their own place. A group that they are in keeps its own: who else is in it is not theirs to give away.
    Of somebody who is not on the list *to* takes everybody's place.
    """
    if not set(allowed).intersection(names):
        return (to,)
    return (*(name for name in allowed if name != user), to)


def _groups(allowed: Collection[str], names: Collection[str]) -> list[str]:
    """Return the groups on a list by which somebody with these *names* stands there."""
    return [name for name in allowed if is_group(name) and name in names]
