"""Facts compare and print as dataclasses do."""

from __future__ import annotations

from dataclasses import field

from engine.facts import fact


@fact
class Moved:
    by: int
    names: list[str] = field(default_factory=list)


@fact
class Grown:
    by: int


def test_facts_are_equal_where_their_kind_and_values_are() -> None:
    assert Moved(1) == Moved(1)
    assert Moved(1) != Moved(2)
    assert Moved(1, ["x"]) != Moved(1)


def test_facts_of_two_kinds_are_never_equal() -> None:
    grown: object = Grown(1)

    assert grown != Moved(1)


def test_equal_facts_have_one_place_in_a_set() -> None:
    assert len({Grown(1), Grown(1), Grown(2)}) == 2


def test_a_fact_says_what_it_holds() -> None:
    assert repr(Moved(1, ["x"])) == "Moved(by=1, names=['x'])"


def test_a_fact_takes_apart_in_a_match() -> None:
    match Grown(3):
        case Grown(by):
            assert by == 3
