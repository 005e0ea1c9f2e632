"""/release: a form is filled in before a version goes out."""

from datetime import date
from typing import Literal

from pydantic import BaseModel, Field, field_validator

from bot import CommandReceived, Prompt, SlackUser, literal, slash_command
from engine import HumanResponseEvent, StopEvent, Workflow, step


class Release(BaseModel):
    """What has to be known."""

    name: str = Field(max_length=40)
    day: date
    risk: Literal["low", "high"]
    copies: int = Field(default=1, ge=1, le=9)
    owner: SlackUser

    @field_validator("name")
    @classmethod
    def _is_new(cls, name: str) -> str:
        if name == "Release 1":
            raise ValueError("there is a release of this name")
        return name


@slash_command("/release", summary="Plan a release", usage="of what")
class PlanRelease(Workflow):
    @step
    async def ask(self, ev: CommandReceived) -> Prompt:
        return Prompt(prefix=f"**A release of {literal(ev.text)}**", form=Release)

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        release: Release = ev.form
        return StopEvent(
            result=f"{release.name} on {release.day:%d.%m.%Y}, risk {release.risk}, {release.copies} times"
        )
