"""Too often, and seen before."""

from __future__ import annotations

import pytest

from bot.transport import limits
from bot.transport.limits import Allowance, Seen


def test_so_many_at_once_and_then_so_many_a_minute() -> None:
    allowance = Allowance[str](60, 3)

    assert [allowance.take("a", 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]
    assert allowance.take("a", 0.5) == pytest.approx(0.5)
    assert allowance.take("a", 1.0) == 0.0
    assert allowance.take("a", 1.0) == pytest.approx(1.0)


def test_each_has_an_allowance_of_their_own() -> None:
    allowance = Allowance[str](60, 1)

    assert [allowance.take(who, 0.0) for who in "ab"] == [0.0, 0.0]


def test_a_rest_fills_up_what_is_allowed_at_once_and_no_more() -> None:
    allowance = Allowance[str](60, 2)
    for _ in range(2):
        allowance.take("a", 0.0)

    assert [allowance.take("a", 1e6) for _ in range(3)] == [0.0, 0.0, 1.0]


def test_no_limit_is_none() -> None:
    allowance = Allowance[str](0, 1)

    assert {allowance.take("a", 0.0) for _ in range(1000)} == {0.0}


def test_what_was_seen_is_known_for_a_while() -> None:
    seen = Seen(600)
    seen.add("x", 100.0)

    assert seen.has("x", 100.0)
    assert seen.has("x", 699.0)
    assert not seen.has("x", 700.0)
    assert not seen.has("y", 100.0)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REMEMBERED", 3)
    seen, allowance = Seen(600), Allowance[int](60, 1)
    for n in range(10):
        seen.add(str(n), 0.0)
        allowance.take(n, 0.0)

    assert [n for n in range(10) if seen.has(str(n), 0.0)] == [7, 8, 9]
    assert [n for n in (9, 8, 7, 0) if allowance.take(n, 0.0)] == [9, 8, 7]
