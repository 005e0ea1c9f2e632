"""What is stored of a run and its questions, as the messages that show it. Calls nobody."""

from __future__ import annotations

from dataclasses import replace

from bot import blocks, wording
from bot.languages import ENGLISH, Catalogue
from bot.prompts import Question, question_of
from engine.events import StopEvent, WorkflowCancelledEvent, WorkflowFailedEvent, WorkflowTimedOutEvent
from engine.held_run import RESULT
from engine.run_store import AskRecord, EffectClaim, RunRecord
from engine.runner import Runner
from engine.verdicts import Cancelled, Expired


class Showing:
    """Renders what is stored.

    Each method raises `ContextSerdeError` or `RunNotFound` for what this process cannot read.
    """

    def __init__(self, runner: Runner, *, thread_replies: bool = True, words: Catalogue = ENGLISH) -> None:
        """*thread_replies*: a reply below a question is an answer, and people may be told so; *words*: of messages."""
        self._runner = runner
        self._thread_replies = thread_replies
        self._words = words

    def question(self, run: RunRecord, ask: AskRecord, channel: str) -> blocks.Message:
        """Return a question as it stands: with buttons, or with what became of it.

        Where its audience would be wider than the people it names, *channel* learns only that they are asked.
        """
        asked = self.asked(run, ask)
        outcome = None if ask.status == "open" else self._outcome(run, ask)
        if self.hidden(run, ask, channel):
            return blocks.elsewhere_message(asked, outcome, words=self._words)
        if outcome is not None:
            return blocks.locked_message(asked, outcome, requester=run.requester, words=self._words)
        return blocks.prompt_message(
            asked,
            run_id=run.run_id,
            ask_id=ask.ask_id,
            revision=ask.revision,
            digest=ask.digest,
            requester=run.requester,
            deadline=ask.deadline,
            asked_at=ask.opened_at,
            reminded_at=ask.reminded_at,
            votes=ask.votes,
            thread_replies=self._thread_replies,
            words=self._words,
        )

    def reminder(self, ask: AskRecord) -> blocks.Message:
        """Return that a question still waits, to whoever may answer it."""
        voted = {actor for actor, _ in ask.votes}
        who = ", ".join(wording.mention(one) for one in ask.allowed if one not in voted)
        return blocks.private_message(self._words.reminder.format(who=who).strip())

    def result(self, claim: EffectClaim) -> blocks.Message:
        """Return what a run came to."""
        run = claim.run
        final = self._runner.codec(run.workflow).loads(claim.body, RESULT)
        match final:
            case WorkflowTimedOutEvent():
                return blocks.failure_message(self._words.timed_out, requester=run.requester, words=self._words)
            case WorkflowFailedEvent():
                return blocks.failure_message(requester=run.requester, words=self._words)
            case WorkflowCancelledEvent():
                return blocks.cancelled_message(words=self._words)
            case StopEvent() if type(final) is StopEvent:
                return blocks.result_message(final.result, words=self._words)
            case _:
                return blocks.result_message(final.model_dump(mode="json"), words=self._words)

    def home_of(self, run: RunRecord) -> str:
        """Return the conversation that a run is shown in."""
        return run.thread.partition(":")[0] or run.address

    def hidden(self, run: RunRecord, ask: AskRecord, channel: str) -> bool:
        """Tell whether a question is asked in private only, and *channel* is where others read.

        A conversation of the bot with the requester alone is no such place.
        """
        is_shared = channel == self.home_of(run) and not channel.startswith("D")
        return is_shared and self.asked(run, ask).home == "private"

    def asked(self, run: RunRecord, ask: AskRecord) -> Question:
        """Return what is asked, and of whom by now."""
        return replace(question_of(self._runner.question(run, ask)), approvers=ask.allowed)

    def _outcome(self, run: RunRecord, ask: AskRecord) -> blocks.Outcome:
        match ask.status:
            case "expired":
                return Expired(ask.at)
            case "cancelled":
                return Cancelled(ask.by, ask.at)
            case _:
                answer = self._runner.codec(run.workflow).loads(ask.answer, "answer")
                comment = str(getattr(answer, "comment", "") or "")
                shown, text = self.asked(run, ask).editable, getattr(answer, "text", None)
                edited = text if shown is not None and isinstance(text, str) and text != shown else ""
                return blocks.Decided(ask.by, ask.at, ask.response, comment, edited, ask.votes)
