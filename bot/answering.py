"""From a click, a modal or a reply in a thread to one answer and one truthful verdict.

Here the three ways meet. Nothing that came from Slack is believed but who did it: the
question is looked up, its run must belong to the workspace, and the run store decides.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bot import wording
from bot.payloads import thread_link
from bot.prompts import AskToken, Question, question_of
from bot.replies import NotUnderstood, Reply, read_reply, respond
from engine.run_store import AskRecord
from engine.runner import Asked, Runner
from engine.verdicts import Accepted, Already, Recorded, Unknown, Verdict

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody who answered is to be told; *text* is mrkdwn."""

    verdict: Verdict | NotUnderstood
    text: str

    @property
    def counts(self) -> bool:
        """Whether the answer changed something."""
        return isinstance(self.verdict, Accepted | Recorded)


class Answering:
    """Takes answers to the questions of runs."""

    def __init__(self, runner: Runner, permalink: Callable[[str], Awaitable[str | None]]) -> None:
        """*permalink* returns the address of a message by its reference, or None."""
        self._runner = runner
        self._permalink = permalink

    async def look_up(self, token: AskToken | None, team: str) -> Asked | None:
        """Return the question a button or modal belongs to, if it is this workspace's."""
        asked = None if token is None else await self._runner.asked(token.run_id, token.ask_id)
        return asked if asked is not None and asked.run.tenant == team else None

    async def asked_in(self, team: str, channel: str, thread_ts: str) -> Asked | None:
        """Return the newest question of the run whose thread this is: an open one, if there is one."""
        run_id = await self._runner.store.linked(thread_link(team, channel, thread_ts))
        if run_id is None:
            return None
        asks = await self._runner.store.open_asks(run_id)
        if not asks:
            return None
        return await self._runner.asked(run_id, asks[-1].ask_id)

    async def knows(self, team: str, channel: str, thread_ts: str) -> bool:
        """Whether a thread is that of a run."""
        return await self._runner.store.linked(thread_link(team, channel, thread_ts)) is not None

    async def choose(self, asked: Asked | None, value: str, user: str, delivery: str, comment: str = "") -> Told:
        """Answer with one of the question's choices."""
        if asked is None:
            return Told(Unknown(), wording.verdict_text(Unknown()))
        question = question_of(asked.event)
        return await self._take(asked, question, respond(question, value, comment), user, delivery)

    async def reply(self, asked: Asked, text: str, user: str, delivery: str) -> Told:
        """Answer in one's own words."""
        question = question_of(asked.event)
        return await self._take(asked, question, read_reply(question, text), user, delivery, said=text)

    async def _take(
        self, asked: Asked, question: Question, reply: Reply | NotUnderstood, user: str, delivery: str, said: str = ""
    ) -> Told:
        if isinstance(reply, NotUnderstood):
            return Told(reply, wording.not_understood_text(reply, question, said))
        verdict = await self._runner.decide(
            asked,
            reply.response,
            user_id=user,
            delivery_id=delivery,
            final=question.is_final(reply.choice),
            comment=reply.comment,
            choice=reply.choice,
        )
        logger.info(
            "answer judged",
            extra={"run_id": asked.run.run_id, "ask": asked.ask.ask_id, "by": user, "verdict": type(verdict).__name__},
        )
        text = wording.verdict_text(verdict, viewer=user, labels=question.labels)
        if isinstance(verdict, Already):
            text = await self._with_current(asked, text)
        return Told(verdict, text)

    async def _with_current(self, asked: Asked, text: str) -> str:
        """Point somebody who answered an old question to the one that is open now."""
        newer = _newest(await self._runner.store.open_asks(asked.run.run_id))
        if newer is None or not newer.messages:
            return text
        return f"{text} {wording.outdated_text(await self._permalink(newer.messages[0]))}"


def _newest(asks: Sequence[AskRecord]) -> AskRecord | None:
    return max(asks, key=lambda ask: ask.opened_at, default=None)
