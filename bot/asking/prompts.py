"""What a workflow asks people.

`Prompt` is what an author writes, `Question` is the same for whoever shows it: any
`InputRequiredEvent` becomes one, also the plain ones whose text ends in ``(yes/no)``.
Nothing here knows how a question looks in Slack.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias, TypeGuard

from pydantic import BaseModel, Field, field_validator, model_validator

from bot.asking.choices import Choice, known, polarity, styled, with_free_text
from bot.asking.closing_list import CHOICES, as_value, closing_list
from bot.asking.forms import Form, form_of
from bot.asking.inputs import check_form
from bot.asking.legible import LINE_ENDS, has_ink, width
from bot.asking.mistakes import check_names, said_plainly
from bot.languages import ENGLISH, Catalogue
from bot.slack_ids import ANYBODY, is_group, is_person
from engine.events import EffectInDoubt, InputRequiredEvent

Home: TypeAlias = Literal["", "channel", "thread", "private"]
"""How a question is shown where its command was typed; "private" is only that others are asked."""

EDIT_CHARS = 3000  # of a plain_text_input: docs.slack.dev/reference/block-kit/block-elements/plain-text-input-element
_MENTIONED = re.compile(rf"<(?:@|!subteam\^|#)({ANYBODY})(?:\|[^>]*)?>")
_WHO = re.compile(ANYBODY)
_PLACES = ("channel", "thread", "approvers")
_PLACE = "'channel', 'thread', 'approvers' or the Slack id of a person"


if TYPE_CHECKING:
    Choices: TypeAlias = Sequence[
        Any
    ]  # so that words are taken by those, too, who check types without pydantic's plugin
else:
    Choices = list[Choice]


class Escalation(BaseModel):
    """Whom to ask too when *after* seconds have passed unanswered."""

    after: float = Field(gt=0, allow_inf_nan=False)
    to: list[str] = Field(min_length=1)
    """Slack ids of people, user groups or channels; each person is asked in private, too."""

    if not TYPE_CHECKING:

        def __init__(self, **given: Any) -> None:
            with said_plainly(Escalation):
                super().__init__(**given)

    @field_validator("to", mode="before")
    @classmethod
    def _from_mentions(cls, given: Any) -> Any:
        return _people_of(given, "escalate to")


class Prompt(InputRequiredEvent):
    """A question with buttons; the run waits until it is answered. All but *prefix* is optional.

    A class of your own below it may declare more.
    """

    prefix: str
    """The question, in Markdown. Put what people typed through `literal`."""
    choices: Choices = Field(default_factory=list, max_length=CHOICES)
    """The buttons, at most 10: a word is short for a `Choice` of that value. Without any, words are the answer."""
    takes_text: str | None = None
    """The choice that any other words in the thread stand for, as ``"feedback"``."""
    form: type[BaseModel] | None = None
    """A model, of the workflow's own file, that a modal asks for; the answer brings one of it as ``ev.form``.

    It opens for each choice that asks for it. Where none does, a button "Fill in" is put first, in its readers'
    language: response ``submit``.
    """
    editable: str | None = None
    """A text that may be changed before it is approved: what was approved is the answer's ``ev.text``.

    A button beside the choice that means yes opens it in a modal, if it has at most 3,000 characters.
    """
    version: int | None = None
    """Which version of a draft this is, shown to people."""
    details: str | None = None
    """More to read, in Markdown, which Slack folds when it is long. What no message holds goes on in a file."""
    concerns: list[str] = Field(default_factory=list)
    """Slack ids of the people it is about, as a form brings them; they are named below it. In a text a mention is
    nothing but its letters, whoever wrote it."""
    approvers: list[str] = Field(default_factory=list)
    """Slack ids of people, user groups or channels whose members may answer; empty: anybody who sees it."""
    guests: bool = False
    """Guests and people of other workspaces may answer, too."""
    hand_on: bool | None = None
    """Whoever may answer may let somebody else answer in their place; a member of a group beside the group, and not at
    all where several must agree. None: only where *approvers* names nobody, so that all who answer were named."""
    quorum: int = Field(default=1, ge=1)
    four_eyes: bool = False
    """Whoever started the run may not decide."""
    timeout: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Seconds until the question expires."""
    on_timeout: str = "expire"
    """``"expire"``, ``"fail"``, or the response that silence stands for."""
    remind: list[Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=list)
    """Seconds after which people are reminded."""
    escalate: list[Escalation] = Field(default_factory=list)
    where: str | list[str] | None = None
    """Where it is shown: ``"channel"`` or ``"thread"`` says where below the command, and ids of people, or
    ``"approvers"``, show it to each of them in their conversation with the bot. If it names people alone, everybody
    else learns no more than that they were asked. None: where the command was typed, and from the second question on
    in that one's thread."""

    def __new__(cls, /, **given: Any) -> Self:
        """Refuse a rule that there is not: events carry what they do not declare, and it would be lost.

        Raises:
            TypeError: a name is none of its fields'.
        """
        if not given.keys() <= cls._accepted:
            check_names(cls, given.keys() - cls._accepted)
        return super().__new__(cls)

    if not TYPE_CHECKING:

        def __init__(self, /, **given: Any) -> None:
            with said_plainly(type(self)):
                super().__init__(**given)

    @field_validator("choices", mode="before")
    @classmethod
    def _from_words(cls, given: Any) -> Any:
        if _is_list(given):
            return [Choice(item) if isinstance(item, str) else item for item in given]
        return given

    @field_validator("escalate", mode="before")
    @classmethod
    def _are_rungs(cls, given: Any) -> Any:
        if isinstance(given, Escalation):
            raise ValueError("give a list, as [Escalation(after=3600, to=['U012AB3CD'])]")
        return given

    @field_validator("approvers", mode="before")
    @classmethod
    def _from_mentions(cls, given: Any) -> Any:
        return _people_of(given, "approver")

    @field_validator("concerns", mode="after")
    @classmethod
    def _are_people(cls, given: list[str]) -> list[str]:
        found = _people_of(given, "concerns")
        if others := [who for who in found if is_group(who)]:
            raise ValueError(f"concerns {others[0]!r}: no person; name people")
        return list(found)

    @field_validator("where", mode="after")
    @classmethod
    def _are_places(cls, given: str | list[str] | None) -> str | list[str] | None:
        places = [given] if isinstance(given, str) else given or []
        found = [place if place in _PLACES else _person_of(place, "where", _PLACE) for place in places]
        for place in found:
            if is_group(place):
                raise ValueError(f"where {place!r}: no person, so it cannot be asked in private; name people")
        if {"channel", "thread"} <= set(found):
            raise ValueError("where: a question is either in the channel or in the thread; name one of them")
        return found[0] if isinstance(given, str) else found or None

    @model_validator(mode="after")
    def _fits_together(self) -> Prompt:
        values = [choice.value.casefold() for choice in self.choices]
        if twice := {value for value in values if values.count(value) > 1}:
            raise ValueError(f"choices: {', '.join(sorted(twice))} is there twice; give each a value of its own")
        if 0 < len(self.approvers) < self.quorum and all(map(is_person, self.approvers)):
            raise ValueError(f"quorum is {self.quorum} but only {len(self.approvers)} may answer")
        if self.on_timeout not in ("expire", "fail") and (options := self.options) and self.on_timeout not in options:
            known = ", ".join(repr(value) for value in ("expire", "fail", *options))
            raise ValueError(f"on_timeout {self.on_timeout!r} is no answer to this; use one of {known}")
        if self.on_timeout != "expire" and self.timeout is None:
            raise ValueError(f"on_timeout is {self.on_timeout!r} but there is no timeout, so it never comes; give both")
        if self.home == "private" and not self.copies:
            raise ValueError("where is 'approvers', but approvers names no people: nobody would be asked")
        self._check_form()
        self._check_editable()
        return self

    def _check_form(self) -> None:
        asking = [choice.value for choice in self.choices if choice.asks_form]
        if self.form is None:
            if asking:
                raise ValueError(f"choice {asking[0]!r} asks for a form and there is none; give the prompt its form")
            return
        if self.quorum > 1:
            raise ValueError(f"quorum is {self.quorum}, and each would fill in the form differently; ask one person")
        check_form(self.form)

    def _check_editable(self) -> None:
        if self.editable is None:
            return
        if not has_ink(self.editable):
            raise ValueError("editable is blank; leave it out where there is no text to change")
        if self.quorum > 1:
            raise ValueError(f"quorum is {self.quorum}, and each would edit the text differently; ask one person")
        if question_of(self).yes is None:
            raise ValueError("editable: no single choice approves the text; mark it, as in Choice('send', means='yes')")

    @property
    def places(self) -> list[str]:
        """`where`, as a list."""
        return [self.where] if isinstance(self.where, str) else self.where or []

    @property
    def home(self) -> Home:
        """How it is shown where the command was typed."""
        if not self.places:
            return ""
        return "channel" if "channel" in self.places else "thread" if "thread" in self.places else "private"

    @property
    def copies(self) -> list[str]:
        """The people to whom it is shown in private."""
        if not (places := self.places):
            return []
        people = [*filter(is_person, self.approvers)] if "approvers" in places else []
        return list(dict.fromkeys([*people, *(place for place in places if place not in _PLACES)]))

    @property
    def options(self) -> list[str]:
        """The responses the engine is to accept; empty when any text is one."""
        if self.choices and self.takes_text is None and self.form is None:
            return [choice.value for choice in self.choices]  # most prompts; each is asked for them when it is stored
        asked = question_of(self)
        return [] if asked.text_is_response else [choice.value for choice in asked.choices]

    @property
    def complete_options(self) -> list[str]:
        """Those of `options` that are a whole answer: nothing is written, filled in or approved along with them."""
        if self.choices and self.takes_text is None and self.form is None and self.editable is None:
            return [choice.value for choice in self.choices if not choice.opens]
        asked = question_of(self)
        approves = asked.yes if asked.editable is not None else None
        return [
            choice.value
            for choice in asked.choices
            if not (choice.opens or asked.needs_text(choice) or choice.value == approves)
        ]

    @property
    def vetoes(self) -> list[str]:
        """Those of `options` one of which decides whatever the quorum: the one that means no."""
        no = question_of(self).no
        return [] if no is None else [no]

    @property
    def brings(self) -> dict[str, dict[str, str]]:
        """What goes along with a response that says no more: the text that is approved as it was shown."""
        approves = question_of(self).yes
        return {} if self.editable is None or approves is None else {approves: {"text": self.editable}}

    @property
    def allowed(self) -> list[str]:
        """`approvers`, by the engine's name; without any, those who alone can see the question, if it is so."""
        return self.approvers or (self.copies if self.home == "private" else [])

    @property
    def groups(self) -> list[str]:
        """Those who may answer, by and by, that stand for several people."""
        asked_later = [who for rung in self.escalate for who in rung.to]
        return [who for who in (*self.allowed, *asked_later) if not is_person(who)]

    @property
    def self_approval(self) -> bool:
        """The opposite of `four_eyes`, by the engine's name."""
        return not self.four_eyes


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be shown, and how answers to it are to be read."""

    text: str
    choices: tuple[Choice, ...]
    takes_text: str | None = None
    """Value of the choice that any other text stands for."""
    text_is_response: bool = False
    """That text itself is the response, as a plain event's reader expects; else it is a comment."""
    yes: str | None = None
    """Value of the choice that "yes" stands for, if there is just one."""
    no: str | None = None
    concerns: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()
    quorum: int = 1
    four_eyes: bool = False
    guests: bool = False
    hand_on: bool = True
    """It may be handed on to people whom the author has not named."""
    details: str = ""
    editable: str | None = None
    form: Form | None = None
    version: int | None = None
    silence: str = ""
    """The response that silence stands for; "": it is none."""
    home: Home = ""
    copies: tuple[str, ...] = ()
    """Whom it is shown to in private."""
    made_up: frozenset[str] = frozenset()
    """Values of the choices that no author has put into words; their labels are English until `said_in`."""
    ours: str = ""
    """Name of the question in the catalogue, where its text is no author's; that is English until `said_in`, too."""
    about: Mapping[str, str] = field(default_factory=dict)
    """What is filled in there, as Markdown."""

    def said_in(self, words: Catalogue) -> Question:
        """Return it with what no author has written in another language."""
        if words is ENGLISH or not (self.made_up or self.ours):
            return self
        text, labels = (self.text, words.labels)
        if self.ours:
            text, labels = words.questions[self.ours].format(**self.about), words.answers
        named = (
            choice.model_copy(update={"label": labels[choice.value]})
            if choice.value in self.made_up & labels.keys()
            else choice
            for choice in self.choices
        )
        return replace(self, text=text, choices=tuple(named))

    def choice(self, value: str) -> Choice | None:
        """Return the choice of this value, or None: what comes back from Slack is not trusted."""
        return next((choice for choice in self.choices if choice.value == value), None)

    def needs_text(self, choice: Choice) -> bool:
        """Whether the choice is nothing without words."""
        return choice.value == self.takes_text or choice.asks_comment == "required"

    def in_a_word(self, choice: Choice) -> bool:
        """Whether a reply that names the choice makes it."""
        return choice.confirm is None and not choice.asks_form and not self.needs_text(choice)

    @property
    def edits(self) -> bool:
        """Whether the text to be approved can be changed first: one that is too long for a modal is not cut."""
        return self.editable is not None and width(self.editable) <= EDIT_CHARS

    def is_final(self, value: str) -> bool:
        """Whether one such answer decides whatever the quorum, as a rejection does."""
        return value == self.no

    @property
    def labels(self) -> dict[str, str]:
        """Label by value."""
        return {choice.value: choice.shown for choice in self.choices}


def asked_by_us(name: str, about: Mapping[str, str], answers: Sequence[str], **rules: Any) -> Prompt:
    """Return a question that the catalogue has the words for, under this *name*; *about* is filled in, as Markdown."""
    prompt = Prompt(
        prefix=ENGLISH.questions[name].format(**about),
        choices=[Choice(answer, label=ENGLISH.answers[answer]) for answer in answers],
        **rules,
    )
    prompt["ours"] = {"name": name, "about": dict(about)}
    return prompt


def question_of(event: InputRequiredEvent) -> Question:
    """Return what to show for any question an author may ask."""
    ours, about = _ours(event)
    text = ENGLISH.questions[ours].format(**about) if ours else _text_of(event)
    given = _choices_of(event)
    takes_text = getattr(event, "takes_text", None) if isinstance(event, Prompt) else None
    text_is_response = False
    if not given:
        text, words, free = closing_list(text)
        given = tuple(Choice(word) for word in words)
        if takes_text is None and free:
            takes_text, text_is_response = free, not isinstance(event, Prompt)
    own = set() if ours else {choice.value for choice in given}
    form = form_of(event.form) if isinstance(event, Prompt) and event.form is not None else None
    editable = event.editable if isinstance(event, Prompt) else None
    if editable is not None and not given and takes_text is None:
        given = (known("approve"), known("reject"))
    if form is not None and not any(choice.asks_form for choice in given):
        given = (known("submit", asks_form=True), *given)
    if not given and takes_text is None:
        takes_text, text_is_response = "answer", True
    choices = styled(with_free_text(given, takes_text))
    yes, no = polarity(choices)
    on_timeout = _string(getattr(event, "on_timeout", None)) or "expire"
    approvers, hand_on = _words(getattr(event, "allowed", None)), getattr(event, "hand_on", None)
    return Question(
        text=text,
        choices=choices,
        takes_text=takes_text,
        text_is_response=text_is_response,
        yes=yes,
        no=no,
        concerns=_words(getattr(event, "concerns", None)),
        approvers=approvers,
        quorum=_count(getattr(event, "quorum", None)) or 1,
        four_eyes=getattr(event, "self_approval", True) is False,
        guests=getattr(event, "guests", False) is True,
        hand_on=hand_on if isinstance(hand_on, bool) else not approvers,
        details=_string(getattr(event, "details", None)),
        editable=editable,
        version=_count(getattr(event, "version", None)),
        silence="" if on_timeout in ("expire", "fail") else on_timeout,
        home=event.home if isinstance(event, Prompt) else "",
        copies=_words(getattr(event, "copies", None)),
        form=form,
        made_up=frozenset(choice.value for choice in choices if choice.value not in own),
        ours=ours,
        about=about,
    )


_ESCAPED = re.compile(rf"[\\*_~`]|(?:^|(?<=[{LINE_ENDS}]))[^\S\n{LINE_ENDS}]*[#+>-]", re.MULTILINE)


def literal(text: str) -> str:
    """Return *text* so that a Markdown prefix shows it character by character.

    For what people typed: ``f"Write about {literal(ev.text)}?"``. Not for use inside backticks.
    """
    return _ESCAPED.sub(lambda match: f"{match[0][:-1]}\\{match[0][-1]}", text)


# --- Reading an event ---------------------------------------------------------------


def _text_of(event: InputRequiredEvent) -> str:
    for name in ("prefix", "prompt", "question", "message", "text"):
        if isinstance(value := getattr(event, name, None), str) and value.strip():
            return value.strip()
    return ""


def _ours(event: InputRequiredEvent) -> tuple[str, Mapping[str, str]]:
    """Return what the catalogue calls a question, and what is filled in there; "" if an author asks it."""
    if isinstance(event, EffectInDoubt):
        return "in_doubt", {"step": event.step, "key": event.key}
    match event.get("ours") if isinstance(event, Prompt) else None:
        case {"name": str(name), "about": dict(about)} if name in ENGLISH.questions:
            return name, about
        case _:
            return "", {}


def _choices_of(event: InputRequiredEvent) -> tuple[Choice, ...]:
    if isinstance(event, Prompt):
        return tuple(event.choices)
    plain = [as_value(word) for word in _words(getattr(event, "options", None))[:CHOICES]]
    return tuple(Choice(word) for word in dict.fromkeys(plain) if word)


def _is_list(given: object) -> TypeGuard[Sequence[Any]]:
    """Tell whether it is several values, in any kind of sequence; of most kinds that takes long to find out."""
    return type(given) is list or (isinstance(given, Sequence) and not isinstance(given, str | bytes))


def _people_of(given: Any, what: str) -> Any:
    """Return people, user groups and channels by their ids alone, each once; what is no list is left to pydantic."""
    if not _is_list(given):
        return given
    return list(dict.fromkeys(_person_of(str(item), what) for item in given))


def _person_of(given: str, what: str, wanted: str = "a Slack id of a person, user group or channel") -> str:
    person = _MENTIONED.sub(r"\1", given).lstrip("@")
    if _WHO.fullmatch(person) is None:
        raise ValueError(f"{what} {person!r}: give {wanted}, as U012AB3CD")
    return person


def _words(given: object) -> tuple[str, ...]:
    if _is_list(given):
        return tuple(item for item in given if isinstance(item, str) and item.strip())
    return ()


def _string(given: object) -> str:
    return given if isinstance(given, str) else ""


def _count(given: object) -> int | None:
    return given if isinstance(given, int) and not isinstance(given, bool) and given > 0 else None
