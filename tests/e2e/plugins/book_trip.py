"""/book-trip: a form with a field of each kind."""

from datetime import date
from enum import Enum
from typing import Literal

from pydantic import BaseModel, Field, model_validator

from bot import Choice, CommandReceived, Prompt, SlackUser, slash_command
from engine import Context, HumanResponseEvent, StopEvent, Workflow, step


class Class(Enum):
    """How to travel."""

    SECOND = "second"
    FIRST = "first"


class Trip(BaseModel):
    """What has to be known to book one."""

    where: str = Field(min_length=3, max_length=60, title="Where to?", description="A city")
    start: date
    nights: int = Field(default=2, ge=1, le=14)
    travel: Class = Class.SECOND
    extras: list[Literal["bike", "dog", "breakfast"]] = []
    refundable: bool = True
    companion: SlackUser | None = None

    @model_validator(mode="after")
    def _has_room(self) -> "Trip":
        if self.travel is Class.FIRST and "dog" in self.extras:
            raise ValueError("dogs travel second class")
        if self.where == "Atlantis":
            raise RuntimeError("the map is wet")
        return self


@slash_command("/book-trip", summary="Book a trip", usage="why")
class BookTrip(Workflow):
    """Ask for all of it at once."""

    @step
    async def ask(self, ctx: Context, ev: CommandReceived) -> Prompt:
        return Prompt(prefix="A trip?", form=Trip, timeout=86_400, choices=[Choice("skip", style="danger")])

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
        if ev.response == "skip":
            return StopEvent(result="No trip")
        trip: Trip = ev.form
        return StopEvent(
            result=f"{trip.where} {trip.start:%d.%m.%Y} {trip.nights + 1} days, {trip.travel.name}, "
            f"{'+'.join(trip.extras)}, {trip.refundable}, {trip.companion}"
        )
