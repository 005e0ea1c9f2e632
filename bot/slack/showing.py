"""What is stored of a run and its questions, as the messages that show it. Calls nobody."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from bot.asking.prompts import Escalation, Question, question_of
from bot.languages import Catalogue
from bot.slack_ids import is_direct
from bot.views import blocks, wording
from engine.core.questions import listed
from engine.events import StopEvent, WorkflowCancelledEvent, WorkflowFailedEvent, WorkflowTimedOutEvent
from engine.held_run import RESULT
from engine.run_store import AskRecord, EffectClaim, RunRecord
from engine.runner import Runner
from engine.verdicts import Cancelled, Expired


class Showing:
    """Renders what is stored, in the words of those who read it.

    Each method raises `ContextSerdeError` or `RunNotFound` for what this process cannot read.
    """

    def __init__(self, runner: Runner, *, thread_replies: bool = True) -> None:
        """*thread_replies*: a reply below a question is an answer, and people may be told so."""
        self._runner = runner
        self._thread_replies = thread_replies

    def question(self, run: RunRecord, ask: AskRecord, channel: str, words: Catalogue) -> blocks.Message:
        """Return a question as it stands: with buttons, or with what became of it.

        Where its audience would be wider than the people it names, *channel* learns only that they are asked.
        """
        asked = self.asked(run, ask).said_in(words)
        outcome = None if ask.status == "open" else self._outcome(run, ask)
        if self.hidden(run, ask, channel):
            return blocks.elsewhere_message(asked, outcome, words=words)
        if outcome is not None:
            return blocks.locked_message(asked, outcome, requester=run.requester, words=words)
        return blocks.prompt_message(
            asked,
            ask,
            requester=run.requester,
            asked_too=self._asked_too(run, ask),
            thread_replies=self._thread_replies,
            words=words,
        )

    def reminder(self, ask: AskRecord, words: Catalogue) -> blocks.Message:
        """Return that a question still waits, to whoever may answer it."""
        voted = {actor for actor, _ in ask.votes}
        who = ", ".join(wording.mention(one) for one in ask.allowed if one not in voted)
        return blocks.private_message(words.reminder.format(who=who).strip())

    def escalation(self, ask: AskRecord, who: Sequence[str], words: Catalogue) -> blocks.Message:
        """Return that further people are asked, and why."""
        people = ", ".join(wording.mention(one) for one in who)
        at = wording.when(ask.opened_at, words)
        return blocks.private_message(words.escalated.format(who=people, at=at))

    def details(self, claim: EffectClaim, words: Catalogue) -> blocks.Message:
        """Return what somebody asks the requester."""
        asked = json.loads(claim.body)
        return blocks.details_message(asked["by"], claim.run.requester, asked["text"], words=words)

    def result(self, claim: EffectClaim, words: Catalogue) -> blocks.Message:
        """Return what a run came to."""
        run = claim.run
        final = self._runner.codec(run.workflow).loads(claim.body, RESULT)
        match final:
            case WorkflowTimedOutEvent():
                return blocks.failure_message(words.timed_out, requester=run.requester, words=words)
            case WorkflowFailedEvent():
                return blocks.failure_message(words.failed_why, requester=run.requester, words=words)
            case WorkflowCancelledEvent():
                return blocks.cancelled_message(words=words)
            case StopEvent() if type(final) is StopEvent:
                return blocks.result_message(final.result, words=words)
            case _:
                return blocks.result_message(final.model_dump(mode="json"), words=words)

    def home_of(self, run: RunRecord) -> str:
        """Return the conversation that a run is shown in."""
        return run.thread.partition(":")[0] or run.address

    def hidden(self, run: RunRecord, ask: AskRecord, channel: str) -> bool:
        """Tell whether a question is asked in private only, and *channel* is where others read.

        A conversation of the bot with the requester alone is no such place.
        """
        is_shared = channel == self.home_of(run) and not is_direct(channel)
        return is_shared and self.asked(run, ask).home == "private"

    def asked(self, run: RunRecord, ask: AskRecord) -> Question:
        """Return what is asked, and of whom by now."""
        asked = question_of(self._runner.question(run, ask))
        return replace(asked, approvers=ask.allowed, copies=ask.allowed or asked.copies)

    def escalated_to(self, run: RunRecord, ask: AskRecord, n: int) -> tuple[str, ...]:
        """Return whom the *n*th rung of its ladder asks too."""
        rungs = listed(getattr(self._runner.question(run, ask), "escalate", None))
        return tuple(getattr(rungs[n], "to", ())) if n < len(rungs) else ()

    def _asked_too(self, run: RunRecord, ask: AskRecord) -> list[str]:
        """Return whom the rungs that have fired have asked too."""
        waited_s = 0.0 if ask.reminded_at is None else ask.reminded_at - ask.opened_at
        rungs = listed(getattr(self._runner.question(run, ask), "escalate", None))
        fired = [rung for rung in rungs if isinstance(rung, Escalation) and rung.after <= waited_s]
        return list(dict.fromkeys(person for rung in fired for person in rung.to))

    def _outcome(self, run: RunRecord, ask: AskRecord) -> blocks.Outcome:
        match ask.status:
            case "expired":
                silence = self.asked(run, ask).silence
                return blocks.Decided("", ask.at, silence) if silence else Expired(ask.at)
            case "cancelled":
                return Cancelled(ask.by, ask.at)
            case _:
                answer = self._runner.codec(run.workflow).loads(ask.answer, "answer")
                comment = str(getattr(answer, "comment", "") or "")
                shown, text = self.asked(run, ask).editable, getattr(answer, "text", None)
                edited = text if shown is not None and isinstance(text, str) and text != shown else ""
                return blocks.Decided(ask.by, ask.at, ask.response, comment, edited, ask.votes)
