"""Events: declared fields, undeclared keywords beside them, and what a run ends with."""

import copy
import pickle
from typing import Any

import pytest
from pydantic import BaseModel, Field, PrivateAttr, ValidationError, model_validator

from engine.events import (
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StepState,
    StepStateChanged,
    StopEvent,
    WorkflowFailedEvent,
    WorkflowTimedOutEvent,
)


class Draft(Event):
    text: str
    version: int = 1
    _reviewed: bool = PrivateAttr(default=False)


class Reply(HumanResponseEvent):
    response: str


class Renamed(Event):
    kind: str = Field(alias="type")


class Verdict(StopEvent):
    approved: bool


def test_keywords_without_a_field_are_attributes() -> None:
    """Behaviour 4."""
    assert InputRequiredEvent(prefix="Good?").prefix == "Good?"
    assert HumanResponseEvent(response="yes").response == "yes"


def test_keywords_without_a_field_are_a_mapping() -> None:
    """Behaviour 4."""
    event = Event(a=1, b=2)

    assert (event["a"], event.get("b"), event.get("c"), event.get("c", 3)) == (1, 2, None, 3)
    assert list(event) == list(event.keys()) == ["a", "b"]
    assert list(event.values()) == [1, 2]
    assert dict(event.items()) == event.to_dict() == {"a": 1, "b": 2}
    assert "a" in event
    assert len(event) == 2


def test_the_mapping_does_not_see_declared_fields() -> None:
    """Behaviour 4."""
    reply = Reply(response="yes", user="U1")

    assert reply.response == "yes"
    assert reply.get("response") is None
    assert "response" not in reply
    assert list(reply) == ["user"]


def test_what_was_never_given_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="'Event' object has no attribute 'foo'"):
        _ = Event(a=1).foo
    with pytest.raises(KeyError):
        Event(a=1)["foo"]


def test_setting_reaches_the_same_place_by_attribute_and_by_key() -> None:
    event = Event()

    event["a"] = 1
    event.b = 2

    assert (event.a, event["b"]) == (1, 2)


def test_setting_a_declared_field_leaves_the_mapping_alone() -> None:
    draft = Draft(text="x")

    draft.version = 2

    assert draft.version == 2
    assert draft.to_dict() == {}


def test_the_dictionary_of_an_event_is_a_copy() -> None:
    event = Event(a=1)

    event.to_dict()["a"] = 2

    assert event.a == 1


def test_an_event_is_true_even_when_it_is_empty() -> None:
    assert bool(Event())


def test_declared_fields_are_validated() -> None:
    with pytest.raises(ValidationError, match="version"):
        Draft(text="x", version="many")
    with pytest.raises(ValidationError, match="text"):
        Draft(note="no text")  # type: ignore[call-arg]  # that is the point


def test_declared_and_undeclared_keywords_may_be_mixed() -> None:
    draft = Draft(text="x", version="2", author="U1")

    assert (draft.version, draft.author) == (2, "U1")
    assert draft.to_dict() == {"author": "U1"}


def test_private_attributes_may_be_passed() -> None:
    assert Draft(text="x", _reviewed=True, author="U1")._reviewed
    assert not Draft(text="x")._reviewed


def test_an_alias_fills_its_field() -> None:
    event = Renamed(type="memo", note="n")

    assert event.kind == "memo"
    assert event.to_dict() == {"note": "n"}


@pytest.mark.parametrize("name", ["self", "cls", "keys", "get", "items", "copy", "model_dump", "$"])
def test_no_keyword_is_reserved(name: str) -> None:
    assert Event(**{name: 1})[name] == 1


def test_equal_events_have_equal_keywords() -> None:
    assert Event(a=1) == Event(a=1)
    assert Event(a=1) != Event(a=2)
    assert Event(a=1) != HumanResponseEvent(a=1)


def test_what_an_event_was_asked_for_makes_no_difference() -> None:
    asked, unasked = StopEvent(), StopEvent()
    assert (asked.result, asked.get("note"), list(asked)) == (None, None, [])

    assert asked == unasked
    assert unasked == asked


def test_a_private_attribute_may_be_set_before_any_was_asked_for() -> None:
    question = InputRequiredEvent()

    question._ask_id = "a1"

    assert (question.ask_id, question.to_dict()) == ("a1", {})


def test_another_base_and_a_validator_of_the_whole_have_their_say() -> None:
    class Stamped(BaseModel):
        stamp: str = ""

        def __init__(self, /, **params: Any) -> None:
            super().__init__(**{"stamp": "received", **params})

    class Letter(Event, Stamped):
        text: str = ""

    class Twin(Event):
        @model_validator(mode="after")
        def other(self) -> "Twin":
            return Twin.model_construct()

    assert (Letter(text="x").stamp, Letter(text="x", stamp="sent", to="U1").stamp) == ("received", "sent")
    with pytest.warns(UserWarning, match="other than `self`"):
        Twin()


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda ev: pickle.loads(pickle.dumps(ev))])  # noqa: S301
def test_a_copy_is_equal(duplicate: Any) -> None:
    draft = Draft(text="x", tags=["a"])

    assert duplicate(draft) == draft


def test_a_dump_names_undeclared_keywords_only_where_there_are_any() -> None:
    assert Draft(text="x", author="U1").model_dump() == {"text": "x", "version": 1, "_data": {"author": "U1"}}
    assert Event().model_dump() == {}


def test_an_event_is_a_field_of_a_model() -> None:
    class Box(BaseModel):
        event: Draft

    assert Box(event=Draft(text="x", author="U1")).event.author == "U1"


# --- The end of a run ---------------------------------------------------------------------


def test_a_stop_event_carries_its_result_by_position_or_name() -> None:
    assert StopEvent(42).result == StopEvent(result=42).result == 42
    assert StopEvent().result is None


def test_a_stop_event_shows_all_it_carries() -> None:
    assert repr(StopEvent(foo="foo", result=42)) == "StopEvent(foo='foo', result=42)"


def test_a_stop_event_dumps_its_result_unless_it_is_none() -> None:
    assert StopEvent(result=0, note="n").model_dump() == {"result": 0, "_data": {"note": "n"}}
    assert StopEvent().model_dump() == {}


def test_a_stop_event_of_ones_own_has_fields_and_a_result() -> None:
    verdict = Verdict(approved=True, result="both")

    assert (verdict.approved, verdict.result) == (True, "both")


def test_a_failed_run_dumps_its_error_as_class_and_message() -> None:
    dumped = WorkflowFailedEvent(step_name="write", exception=ValueError("no ink")).model_dump()

    assert dumped["step_name"] == "write"
    assert dumped["exception"] == {"exception_type": "builtins.ValueError", "exception_message": "no ink"}


def test_a_timed_out_run_names_seconds_and_steps() -> None:
    event = WorkflowTimedOutEvent(timeout=1, active_steps=["write"])

    assert (event.timeout, event.active_steps) == (1.0, ["write"])


def test_a_question_has_no_id_before_it_is_asked() -> None:
    """Behaviour 18."""
    assert InputRequiredEvent(prefix="Good?").ask_id is None


def test_a_step_state_reads_as_text() -> None:
    event = StepStateChanged(name="s", step_state="running", worker_id="1", input_event_name="StartEvent")

    assert event.step_state is StepState.RUNNING
    assert f"{event.step_state}" == "running"
