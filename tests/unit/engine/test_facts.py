"""Facts and records are made, compare and print as dataclasses do."""

from __future__ import annotations

from dataclasses import field, replace

import pytest

from engine.facts import fact, record, replaceable


@fact
class Moved:
    by: int
    names: list[str] = field(default_factory=list)


@fact
class Grown:
    by: int


@replaceable
class Sent:
    by: int
    to: str = ""


@record
class Counted:
    times: int = 0
    names: list[str] = field(default_factory=list)


class Named(Counted):
    def __init__(self, name: str) -> None:
        super().__init__(1, [name])


def test_facts_are_equal_where_their_kind_and_values_are() -> None:
    assert Moved(1) == Moved(1)
    assert Moved(1) != Moved(2)
    assert Moved(1, ["x"]) != Moved(1)


def test_facts_of_two_kinds_are_never_equal() -> None:
    grown: object = Grown(1)

    assert grown != Moved(1)


def test_equal_facts_have_one_place_in_a_set() -> None:
    assert len({Grown(1), Grown(1), Grown(2)}) == 2


def test_a_fact_that_is_replaceable_has_others_made_of_it() -> None:
    first = Sent(1, to="U1")

    assert replace(first, by=2) == Sent(2, to="U1")
    assert len({first, Sent(1, to="U1")}) == 1


def test_a_fact_says_what_it_holds() -> None:
    assert repr(Moved(1, ["x"])) == "Moved(by=1, names=['x'])"


def test_a_fact_takes_apart_in_a_match() -> None:
    match Grown(3):
        case Grown(by):
            assert by == 3


def test_a_kind_is_made_in_its_own_way_whichever_is_made_first() -> None:
    """What makes the first one is written then; a subclass has its own beginning all the same."""
    assert Named("x").names == ["x"]
    assert Counted() == Counted(0, [])
    assert Named("y") == Named("y")
    assert Counted().names is not Counted().names


def test_records_change_and_have_no_place_in_a_set() -> None:
    counted = Counted()

    counted.times += 1

    assert counted == Counted(1)
    with pytest.raises(TypeError, match="unhashable"):
        hash(counted)


def test_what_a_kind_does_not_have_is_refused_from_the_first_one_on() -> None:
    @fact
    class Fresh:
        by: int

    for _ in range(2):
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'by'"):
            Fresh()  # type: ignore[call-arg]
