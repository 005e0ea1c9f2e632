"""The ways to answer a question, and what the words for them mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bot.asking.closing_list import VALUE_CHARS
from bot.asking.legible import has_ink, in_words
from bot.asking.mistakes import check_names, said_plainly
from bot.languages import ENGLISH

Style: TypeAlias = Literal["primary", "danger"]
Meaning: TypeAlias = Literal["yes", "no"]

YES = {"yes please", "go ahead", "ship it", "i approve", "looks good", "looks good to me"}.union(
    "y yes yep yeah sure ok okay go approve approved accept accepted agree agreed lgtm +1".split(),
    "ja jawohl einverstanden genehmigen genehmigt freigeben freigegeben".split(),
    ":+1: :thumbsup: :white_check_mark: :heavy_check_mark: :ballot_box_with_check: :ok_hand:".split(),
    "\N{THUMBS UP SIGN}\N{WHITE HEAVY CHECK MARK}\N{HEAVY CHECK MARK}\N{OK HAND SIGN}",
)
NO = {"no thanks", "do not", "don't", "i reject"}.union(
    "n no nope reject rejected deny denied decline declined refuse refused disapprove disapproved veto -1".split(),
    "nein ablehnen abgelehnt".split(),
    ":-1: :thumbsdown: :x: :no_entry: :no_entry_sign:".split(),
    "\N{THUMBS DOWN SIGN}\N{CROSS MARK}\N{NO ENTRY}",
)
# A red button may mean "no, keep things as they are" or "yes, destroy it". Never guess the first for these.
DESTRUCTIVE = set("delete remove destroy drop wipe purge erase terminate kill revoke disable".split())


class Choice(BaseModel):
    """One way to answer. *value* is what the workflow gets as ``ev.response``."""

    model_config = ConfigDict(frozen=True)

    value: str = Field(min_length=1, max_length=VALUE_CHARS)
    label: str | None = None
    style: Style | None = None
    confirm: str | None = Field(default=None, min_length=1, pattern=r"\S")
    """Asked again before it counts; such a choice is made by its button, never by a reply."""
    asks_comment: bool | Literal["required"] = False
    """Choosing it opens a text field first; it may stay empty unless it is required, and arrives as ``ev.comment``."""
    means: Meaning | None = None
    """What a reply of "yes" or "no" stands for, where the words themselves do not say it."""
    asks_form: bool = False
    """Choosing it opens the prompt's form first; it arrives as ``ev.form``."""

    if TYPE_CHECKING:

        def __init__(
            self,
            value: str,
            label: str | None = None,
            style: Style | None = None,
            confirm: str | None = None,
            asks_comment: bool | Literal["required"] = False,
            means: Meaning | None = None,
            asks_form: bool = False,
        ) -> None: ...

    else:

        def __new__(cls, *args: Any, **given: Any) -> Self:
            if args:  # as authors write it; what is stored comes by names alone, and may be of a newer version
                check_names(cls, given.keys())
            return super().__new__(cls)

        def __init__(self, *args: Any, **given: Any) -> None:
            placed = dict(zip(Choice.__pydantic_fields__, args, strict=False)) if args else {}
            with said_plainly(Choice):
                super().__init__(**placed, **given)

    @field_validator("value")
    @classmethod
    def _is_plain(cls, value: str) -> str:
        if value != value.strip() or not value.isprintable():
            raise ValueError(f"choice value {value!r}: leave out blanks at its ends and characters that do not show")
        return value

    @field_validator("label")
    @classmethod
    def _can_be_seen(cls, label: str | None) -> str | None:
        if label is not None and not has_ink(label):
            raise ValueError("choice label is blank")
        return label if label is None else " ".join(label.split())

    @property
    def shown(self) -> str:
        """The words on the button."""
        return self.label or _label(self.value)

    @property
    def opens(self) -> bool:
        """Whether something is asked in a modal before it counts."""
        return bool(self.asks_comment) or self.asks_form


def known(value: str, *, asks_comment: bool = False, asks_form: bool = False) -> Choice:
    """Return a choice that no author has put into words: it is called what a catalogue calls it."""
    return Choice(value, label=ENGLISH.labels.get(value), asks_comment=asks_comment, asks_form=asks_form)


def with_free_text(choices: tuple[Choice, ...], takes_text: str | None) -> tuple[Choice, ...]:
    """Return the choices with one that asks for words, where words are taken."""
    if takes_text is None:
        return choices
    own = next((choice for choice in choices if choice.value == takes_text), None)
    if own is None:
        return (*choices, known(takes_text, asks_comment=True))
    return tuple(c.model_copy(update={"asks_comment": True}) if c is own else c for c in choices)


def styled(choices: tuple[Choice, ...]) -> tuple[Choice, ...]:
    """Return the choices with the first green and refusals red, unless the author styled any."""
    if any(choice.style for choice in choices):
        return choices
    return tuple(
        choice.model_copy(update={"style": "danger"})
        if _says(choice, NO, "no")
        else choice.model_copy(update={"style": "primary"})
        if place == 0
        else choice
        for place, choice in enumerate(choices)
    )


def polarity(choices: tuple[Choice, ...]) -> tuple[str | None, str | None]:
    """Return the values of the choices that "yes" and "no" stand for, of each None if it is not just one."""
    yes = [choice.value for choice in choices if _says(choice, YES, "yes")]
    no = [choice.value for choice in choices if _says(choice, NO, "no")]
    if not yes and not no and len(choices) == 2:
        first, second = choices
        harmless = second.value.split()[0].casefold() not in DESTRUCTIVE and not second.confirm
        if first.style != "danger" and second.style == "danger" and harmless and not first.asks_comment:
            return first.value, second.value
    return (yes[0] if len(yes) == 1 else None), (no[0] if len(no) == 1 else None)


def _says(choice: Choice, words: set[str], meaning: Meaning) -> bool:
    if choice.means is not None:
        return choice.means == meaning
    return choice.value.casefold() in words or choice.shown.casefold() in words


def _label(value: str) -> str:
    short = {"y": "Yes", "n": "No"}
    return short.get(value.casefold(), in_words(value))
