"""From a click, a modal or a reply in a thread to one answer and one truthful verdict.

Here the three ways meet. Nothing that came from Slack is believed but who did it: the
question is looked up, its run must belong to the workspace, and the run store decides.
Where the store can tell all that by itself, the question is not even read.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from bot.asking.prompts import Question, question_of
from bot.asking.replies import NOTHING, Filled, NoReply, NotTaken, Reply, read_reply, respond
from bot.background import Spawn
from bot.listeners.admission import Admission
from bot.payloads.events import ThreadReply, thread_link
from bot.payloads.tokens import AskToken
from bot.views.told import Told
from engine.errors import ContextSerdeError, NotJudged, RunNotFound, StoreUnavailable
from engine.run_store import AskRecord, RunRecord, Shown
from engine.runner import Asked, Runner
from engine.verdicts import (
    Accepted,
    Already,
    Cancelled,
    Expired,
    NotAllowed,
    Stale,
    Unknown,
    Verdict,
)

logger = logging.getLogger(__name__)

Via: TypeAlias = Literal["button", "modal", "thread", "home"]
"""Which way an answer came, for the journal."""


@dataclass(frozen=True, slots=True)
class Thread:
    """What a thread is about: its run, and of that one's open questions the newest."""

    run: RunRecord | None
    shown: AskRecord | None = None
    coming: AskRecord | None = None
    """One that is open and that nobody can have seen yet, as far as we know."""


class Answering:
    """Takes answers to the questions of runs."""

    def __init__(
        self,
        runner: Runner,
        admission: Admission,
        permalink: Callable[[str, str], Awaitable[str | None]],
        spawn: Spawn,
    ) -> None:
        """*permalink* returns the address of a message by its tenant and reference, or None; *spawn* does what may
        wait until Slack is answered.
        """
        self._runner = runner
        self._admission = admission
        self._permalink = permalink
        self._spawn = spawn

    async def look_up(self, token: AskToken | None, team: str) -> Asked | None:
        """Return the question a button or modal belongs to, if it is this workspace's."""
        asked = None if token is None else await self._runner.asked(token.run_id, token.ask_id)
        return asked if asked is not None and asked.run.tenant == team else None

    async def misplaced(self, asked: Asked | None, ref: str) -> Told | None:
        """Return what somebody is told whose button stood on another message, *ref*, than its open question.

        None: it stood where it belongs, or, as in App Home, on no message, or on one that is about to be noted.
        """
        if asked is None or asked.ask.status != "open" or not ref or not asked.ask.messages:
            return None
        if ref in asked.ask.messages:
            return None
        run_id, ask_id = asked.run.run_id, asked.ask.ask_id
        if any(ask_id in effect.split(":") for effect in await self._runner.store.effects_of(run_id)):
            return None
        now = await self._runner.asked(run_id, ask_id)  # noted since, perhaps: that and being owed end together
        if now is None or now.ask.status != "open" or ref in now.ask.messages:
            return None
        return _outdated(now.run, now.ask.messages[:1])

    async def thread(self, team: str, channel: str, thread_ts: str) -> Thread:
        """Return what a thread is about."""
        run_id = await self._runner.store.linked(thread_link(team, channel, thread_ts))
        run = None if run_id is None else await self._runner.store.run(run_id)
        if run is None:
            return Thread(None)
        asks = await self._runner.store.open_asks(run.run_id)
        shown = _newest([ask for ask in asks if ask.messages])
        return Thread(run, shown, _newest([ask for ask in asks if not ask.messages]))

    async def lost(self, token: AskToken | None, team: str) -> str | None:
        """Return the run of a question that is not known, if that one is, and goes on.

        Redis has come back with an older state then, and the run asks again.
        """
        run = None if token is None else await self._runner.store.run(token.run_id)
        if run is None or run.tenant != team or run.status not in ("ready", "waiting"):
            return None
        return run.run_id

    async def choose_at_once(
        self, token: AskToken | None, team: str, ref: str, user: str, delivery: str, *, via: Via
    ) -> Accepted | None:
        """Answer with a choice that is a whole answer, in one call that does not read the question.

        None: it takes more than that, and nothing was recorded that `choose` would not be told again.
        """
        if token is None or not self._admission.is_plain(team, user):
            return None
        try:
            verdict = await self._runner.answer_shown(
                token.run_id,
                token.ask_id,
                token.choice,
                Shown(team, token.digest, ref),
                user_id=user,
                delivery_id=delivery,
                revision=token.revision,
                via=via,
                **Reply(token.choice, token.choice).fields,
            )
        except NotJudged:
            return None
        if not isinstance(verdict, Accepted):
            return None
        _log(token.run_id, token.ask_id, user, verdict)
        return verdict

    async def accepted(self, token: AskToken | None, team: str, user: str, verdict: Accepted) -> Told:
        """Return what somebody is told of a choice that counts: in the question's words, if it can be read."""
        try:
            asked = await self.look_up(token, team)
            question = None if asked is None else question_of(asked.event)
        except (ContextSerdeError, RunNotFound, StoreUnavailable) as error:
            logger.warning("question not read", extra={"reason": str(error)})
            question = None
        return Told(verdict, user, question)

    async def choose(
        self,
        asked: Asked | None,
        token: AskToken | None,
        user: str,
        delivery: str,
        filled: Filled = NOTHING,
        *,
        via: Via,
        question: Question | None = None,
    ) -> Told:
        """Answer with one of the question's choices, if it is still what was shown. *question*, if it is read yet."""
        if asked is None or token is None:
            if token is not None:  # after a restart of Redis without its data, say, each click is one
                _log(token.run_id, token.ask_id, user, Unknown())
            return Told(Unknown())
        if asked.ask.status == "open" and not token.shows(asked.ask):
            _log(asked.run.run_id, asked.ask.ask_id, user, Stale())
            return _outdated(asked.run, asked.ask.messages[-1:])
        question = question or question_of(asked.event)
        try:
            answer = respond(question, token.choice, filled)
        except Exception:  # a validator of the author's form
            logger.exception("form not checked", extra={"run_id": asked.run.run_id, "ask": asked.ask.ask_id})
            return Told(NotTaken("form_broken"))
        if not isinstance(answer, Reply) and asked.ask.status != "open":
            answer = Reply(token.choice, token.choice)  # it counts no more, whatever it is: the store says why
        return await self._take(asked, question, answer, user, delivery, via)

    async def reply(self, thread: Thread, reply: ThreadReply) -> Told | None:
        """Answer in one's own words; None if nothing is to be said, since nobody waits for an answer.

        A reply answers what its writer could see: one older than the question was meant for another; and what was
        edited into one answers nothing. Below a question that is closed people may talk: only who gives one of its
        answers is told that it is.
        """
        run, shown = thread.run, thread.shown
        if run is None:
            return None
        if shown is not None and shown.asks_back and reply.user_id == run.requester not in shown.allowed:
            return None  # they tell whoever asked what they wanted to know
        if reply.edited:
            return None if shown is None or not _was_seen(shown, reply) else self._edited(run, shown, reply)
        if shown is not None and _was_seen(shown, reply):
            return await self._read(run, shown, reply)
        closed = await self._runner.store.last_closed(run.run_id)
        late = await self._read(run, closed, reply) if closed is not None and _was_seen(closed, reply) else None
        if late is not None and late.counts:  # it had decided the question when it was delivered before
            return late
        if run.status not in ("ready", "waiting"):
            return late if late is not None and late.names_choice else None
        if shown is None:
            return Told(NotTaken("nothing_open"))
        return _outdated(run, shown.messages[:1])

    def _edited(self, run: RunRecord, ask: AskRecord, reply: ThreadReply) -> Told | None:
        """An edit is no answer: what others have read may not become one. Whoever has edited one into it is told so."""
        question = question_of(self._runner.question(run, ask))
        answer = read_reply(question, reply.text)
        named = isinstance(answer, Reply) and answer.choice != question.takes_text
        return Told(NotTaken("edited")) if named else None

    async def _read(self, run: RunRecord, ask: AskRecord, reply: ThreadReply) -> Told:
        """Take a reply as an answer to one question."""
        asked = Asked(run, ask, self._runner.question(run, ask))
        question = question_of(asked.event)
        answer = read_reply(question, reply.text)
        return await self._take(asked, question, answer, reply.user_id, reply.delivery_id, "thread", said=reply.text)

    async def _take(
        self,
        asked: Asked,
        question: Question,
        reply: Reply | NoReply,
        user: str,
        delivery: str,
        via: Via,
        said: str = "",
    ) -> Told:
        told = Told(Unknown(), user, question, said, reply.choice if isinstance(reply, Reply) else "")
        if not isinstance(reply, Reply):
            return replace(told, verdict=reply)
        admitted = await self._admission.admit(asked, question, user)
        if isinstance(admitted, NotTaken):
            if admitted.why == "unchecked":
                return replace(told, verdict=admitted)
            verdict = await self._runner.refuse(
                asked, reply.response, user_id=user, delivery_id=delivery, why=admitted.why, via=via
            )
            return replace(told, verdict=admitted if isinstance(verdict, NotAllowed) else verdict)
        verdict = await self._runner.decide(
            admitted.asked,
            reply.response,
            user_id=user,
            delivery_id=delivery,
            via=via,
            acting_as=admitted.groups,
            final=question.is_final(reply.choice),
            approves=_digest(reply.text) if reply.text is not None and reply.edited else "",
            **reply.fields,
        )
        if isinstance(verdict, Expired) and (silence := question.silence):
            verdict = Already("", verdict.at, silence)
        _log(asked.run.run_id, asked.ask.ask_id, user, verdict)
        if _is_late(verdict, user, reply.response) and (via != "thread" or told.names_choice):
            self._spawn(self._note_late(asked, reply.response, user, delivery, via))
        return replace(told, verdict=verdict, run=asked.run if isinstance(verdict, Already) else None)

    async def _note_late(self, asked: Asked, response: str, user: str, delivery: str, via: Via) -> None:
        try:
            await self._runner.note_late(asked, response, user_id=user, delivery_id=delivery, via=via)
        except StoreUnavailable as error:
            extra = {"run_id": asked.run.run_id, "by": user, "reason": str(error)}
            logger.warning("late answer not written down", extra=extra)

    async def with_link(self, told: Told) -> Told:
        """Return it with the address of the question that is open now, if Redis and Slack tell; the verdict stands."""
        run = told.run
        if run is None:
            return told
        if isinstance(told.verdict, Already):
            try:
                newer = _newest(await self._runner.store.open_asks(run.run_id))
            except StoreUnavailable as error:
                logger.warning("newer question not looked for", extra={"reason": str(error)})
                return told
            if newer is None or not newer.messages:
                return told
            told = replace(told, newer=True, message=newer.messages[0])
        return replace(told, current=await self._permalink(run.tenant, told.message)) if told.message else told


def _outdated(run: RunRecord, messages: Sequence[str]) -> Told:
    return Told(Stale(), run=run, message=messages[0] if messages else "")


def _is_late(verdict: Verdict, user: str, response: str) -> bool:
    """Whether an answer came after its question was closed, and not by the same answer of the same person."""
    if isinstance(verdict, Already):
        return (verdict.by, verdict.response) != (user, response)
    return isinstance(verdict, Expired | Cancelled)


def _log(run_id: str, ask_id: str, user: str, verdict: Verdict) -> None:
    extra = {"run_id": run_id, "ask": ask_id, "by": user, "verdict": type(verdict).__name__}
    logger.info("answer judged", extra=extra)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def _was_seen(ask: AskRecord, reply: ThreadReply) -> bool:
    """Whether a question had been shown, by Slack's clock, when somebody wrote a reply."""
    return bool(ask.messages) and float(ask.messages[0].partition(":")[2]) <= float(reply.message_ts)


def _newest(asks: Sequence[AskRecord]) -> AskRecord | None:
    return max(asks, key=lambda ask: ask.opened_at, default=None)
