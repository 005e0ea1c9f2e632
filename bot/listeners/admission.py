"""Who may answer a question: what Slack says of a person just now, held against what the question says."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from bot.asking.prompts import Question
from bot.asking.replies import NotTaken
from bot.slack.directory import Directory, Person, Unchecked
from engine.runner import Asked, Runner

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Admitted:
    """Somebody whose answer is to be judged, as one of *groups*, too."""

    asked: Asked
    groups: frozenset[str] = frozenset()


class Admission:
    """Looks people up before their answers are judged."""

    def __init__(self, runner: Runner, directory: Directory, *, allow_guests: bool = False) -> None:
        """With *allow_guests* guests and people of other workspaces may answer every question."""
        self._runner = runner
        self._directory = directory
        self._allow_guests = allow_guests

    def is_plain(self, tenant: str, user: str) -> bool:
        """Tell whether somebody is known just now to be one who may answer whatever a question says of guests."""
        person = self._directory.fresh(tenant, user)
        return person is not None and _barred(person, guests=self._allow_guests) is None

    async def admit(self, asked: Asked, question: Question, user: str) -> Admitted | NotTaken:
        """Look somebody up for a question; one that is closed tells everybody the same, so nobody is looked up."""
        if asked.ask.status != "open":
            return Admitted(asked)
        try:
            found = await self._directory.check(asked.run.tenant, user, asked.ask.allowed)
        except Unchecked as error:
            logger.warning("not known who answers", extra={"run_id": asked.run.run_id, "reason": str(error)})
            now = await self._runner.asked(asked.run.run_id, asked.ask.ask_id)
            return NotTaken("unchecked") if now is None or now.ask.status == "open" else Admitted(now)
        if (barred := _barred(found.person, guests=question.guests or self._allow_guests)) is not None:
            return barred
        return Admitted(asked, found.groups)


def _barred(person: Person, *, guests: bool) -> NotTaken | None:
    if person.deactivated:
        return NotTaken("deactivated")
    if person.is_bot:
        return NotTaken("bot")
    if person.is_stranger and not guests:
        return NotTaken("stranger")
    return NotTaken("guest") if person.is_guest and not guests else None
