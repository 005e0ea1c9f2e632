"""What whoever answered is told: which words say it, and beside which field of a modal."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.asking.prompts import Question
from bot.asking.replies import Amiss, NoReply, NotTaken, NotUnderstood
from bot.languages import Catalogue
from bot.views import modals, wording
from engine.run_store import RunRecord
from engine.verdicts import Accepted, Invalid, Recorded, Stale, Verdict


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody who answered is to be told, in whichever language they read."""

    verdict: Verdict | NoReply
    viewer: str = ""
    question: Question | None = None
    said: str = ""
    """What they wrote, where an answer was read out of that."""
    choice: str = ""
    """Value of the choice that was read out of it."""
    run: RunRecord | None = field(default=None, compare=False)
    """The run, where it may wait for an answer to another question than theirs; see `Answering.with_link`."""
    message: str = ""
    """Where that question is, as far as is known."""
    newer: bool = False
    """Theirs is closed, and that one is open now."""
    current: str | None = None
    """Its address, if it has one."""

    @property
    def counts(self) -> bool:
        """Whether the answer changed something."""
        return isinstance(self.verdict, Accepted | Recorded)

    @property
    def names_choice(self) -> bool:
        """Whether they gave one of the question's answers, and not words of their own."""
        return self.question is not None and self.choice not in ("", self.question.takes_text)

    def text(self, words: Catalogue) -> str:
        """Return it as mrkdwn."""
        question = None if self.question is None else self.question.said_in(words)
        match self.verdict:
            case NotTaken() as reply:
                return wording.not_taken_text(reply, words)
            case NotUnderstood() as reply:
                return wording.not_understood_text(reply, question, self.said, words)
            case Amiss(problems=problems):
                told = [(self._label(name), wording.problem_text(one, words)) for name, one in problems.items()]
                return wording.verdict_text(Invalid(tuple(told)), words=words)
            case Stale():
                return wording.outdated_text(self.current, words)
            case verdict:
                labels = None if question is None else question.labels
                text = wording.verdict_text(verdict, viewer=self.viewer, labels=labels, words=words)
                if self.counts and self.said:
                    text = f"{wording.taken_as(self.said, self.choice, labels, words)} {text}"
        return f"{text} {wording.outdated_text(self.current, words)}" if self.newer else text

    def errors(self, words: Catalogue) -> dict[str, str]:
        """Return what is wrong with the fields of a modal, by their ids, as plain text."""
        match self.verdict:
            case Amiss(problems=problems):
                return {name: wording.problem_text(one, words) for name, one in problems.items()}
            case NotUnderstood(why="needs_text"):
                return {modals.COMMENT: words.needs_text}
            case _:
                return {}

    def _label(self, name: str) -> str:
        form = None if self.question is None else self.question.form
        return next((asked.label for asked in form.fields if asked.id == name), "") if form is not None else ""
