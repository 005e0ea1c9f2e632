"""Dotted paths into a run's state."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.core.model import DictState
from engine.core.paths import MAX_DEPTH, read_path, write_path
from engine.events import Event


class Page(BaseModel):
    title: str = ""
    notes: list[str] = []
    words: int = Field(default=0, ge=0)


class Named(DictState):
    count: int = 0


keys = st.text(min_size=1, max_size=5).filter(lambda key: "." not in key)


@given(st.lists(keys, min_size=1, max_size=5), st.integers())
def test_what_is_written_is_read(parts: list[str], value: int) -> None:
    state, path = DictState(), ".".join(parts)

    write_path(state, path, value)

    assert read_path(state, path) == value


@pytest.mark.parametrize("key", ["self", "keys", "get", "_data", "model_fields", "__class__", "$", "memory"])
def test_no_key_is_reserved(key: str) -> None:
    state = DictState()

    write_path(state, key, 1)
    write_path(state, "after", 2)

    assert state.to_dict() == {key: 1, "after": 2}
    assert read_path(state, key) == 1


def test_dictionaries_are_made_on_the_way() -> None:
    state = DictState()

    write_path(state, "a.b.c", 1)
    write_path(state, "a.d", 2)

    assert state.to_dict() == {"a": {"b": {"c": 1}, "d": 2}}


def test_a_path_goes_through_whatever_stands_there() -> None:
    state = DictState(pages=[Page(title="one", notes=["x"])], event=Event(a=(1, 2)))

    assert read_path(state, "pages.0.title") == "one"
    assert read_path(state, "pages.-1.notes.0") == "x"
    assert read_path(state, "event.a.1") == 2


def test_a_path_writes_into_whatever_stands_there() -> None:
    state = DictState(pages=[Page(notes=["x"])], event=Event())

    write_path(state, "pages.0.title", "new")
    write_path(state, "pages.0.notes.0", "y")
    write_path(state, "event.a", 1)

    assert state.pages == [Page(title="new", notes=["y"])]
    assert state.event == Event(a=1)


@pytest.mark.parametrize("path", ["x", "a.x", "a.b.c", "list.5", "list.x", "page.x", "none.x"])
def test_nothing_there_is_told_with_the_path(path: str) -> None:
    state = DictState(a={"b": 1}, list=[1], page=Page(), none=None)

    with pytest.raises(ValueError, match=f"Path '{path}' not found in state"):
        read_path(state, path)


@pytest.mark.parametrize("use", [read_path, lambda state, path: write_path(state, path, 1)])
def test_a_path_has_at_most_a_thousand_parts(use: Any) -> None:
    with pytest.raises(ValueError, match="Path length exceeds 1000 segments"):
        use(DictState(), ".".join("a" * (MAX_DEPTH + 1)))


def test_an_empty_path_is_the_whole_to_a_reader_and_nothing_to_a_writer() -> None:
    state = DictState(a=1)

    assert read_path(state, "") is state
    with pytest.raises(ValueError, match="Path cannot be empty"):
        write_path(state, "", 1)


def test_a_path_of_a_thousand_parts_is_fine() -> None:
    state, path = DictState(), ".".join("a" * MAX_DEPTH)

    write_path(state, path, 1)

    assert read_path(state, path) == 1


# --- Typed states ------------------------------------------------------------------------------


def test_a_typed_state_takes_what_its_type_makes_of_a_value() -> None:
    """Behaviour 68."""
    page, named = Page(), Named()

    write_path(page, "words", "12")
    write_path(named, "count", "3")

    assert (page.words, named.count) == (12, 3)


@pytest.mark.parametrize(("path", "value"), [("words", "many"), ("words", -1), ("title", None)])
def test_a_typed_state_refuses_a_value_by_name_and_stays_as_it_was(path: str, value: Any) -> None:
    """Behaviour 68."""
    page = Page()

    with pytest.raises(ValidationError, match=path):
        write_path(page, path, value)

    assert page == Page()


class Book(BaseModel):
    pages: list[Page] = []
    names: list[str] = []
    prices: dict[str, int] = {}
    index: dict[str, dict[str, int]] = {}


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("names.0", None, "names"),
        ("prices.tea", "dear", "prices"),
        ("pages.0.notes.0", 5, "notes"),
        ("index.a.c", "x", "index"),
        ("index.new", 1, "index"),
    ],
)
def test_a_typed_state_refuses_what_does_not_fit_deep_inside_a_field(path: str, value: Any, field: str) -> None:
    """Behaviour 68."""
    book = Book(pages=[Page(notes=["x"])], names=["a", "b"], prices={"tea": 3}, index={"a": {"b": 1}})
    before = book.model_copy(deep=True)

    with pytest.raises(ValidationError, match=field):
        write_path(book, path, value)

    assert book == before


def test_a_typed_state_takes_what_fits_deep_inside_a_field() -> None:
    book = Book(names=["a"], index={"a": {"b": 1}})

    write_path(book, "names.0", "b")
    write_path(book, "prices.tea", "3")
    write_path(book, "index.new.c", 2)

    assert book == Book(names=["b"], prices={"tea": 3}, index={"a": {"b": 1}, "new": {"c": 2}})


def test_a_typed_state_has_no_other_fields() -> None:
    """Behaviour 68."""
    with pytest.raises(ValueError, match="nothing"):
        write_path(Page(), "nothing", 1)


def test_a_frozen_state_is_not_written() -> None:
    class Frozen(BaseModel):
        model_config = ConfigDict(frozen=True)

        n: int = 0

    frozen = Frozen()

    with pytest.raises(ValidationError, match="frozen"):
        write_path(frozen, "n", 1)
    assert frozen.n == 0
