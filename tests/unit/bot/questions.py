"""Questions to be asked in tests."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from bot.asking.choices import Choice
from bot.asking.prompts import Prompt, Question, question_of
from engine.events import InputRequiredEvent

REVIEW = Prompt(prefix="Good?", choices=["approve", "reject"], takes_text="feedback")
YES_NO = InputRequiredEvent(prefix="Approve? (yes/no): ")
SHIP = Prompt(prefix="Ship v2?", choices=[Choice("ship"), Choice("keep back", style="danger")])


class Trip(BaseModel):
    where: str
    days: int = 3


def asked(prefix: str = "Good?", **fields: Any) -> Question:
    return question_of(Prompt(prefix=prefix, **{"choices": ["approve", "reject"], **fields}))
