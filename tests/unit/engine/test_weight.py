"""What a run's state weighs, and what is said of it."""

from __future__ import annotations

import random

import pytest

from engine.core.weight import LIMIT_BYTES, WARN_BYTES, Scale
from engine.errors import StateTooLarge

KIB = 1024


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def test_a_light_state_is_told_nothing_of() -> None:
    assert Scale(LIMIT_BYTES, WARN_BYTES).weigh({"core": noise(KIB), "s:text": noise(200 * KIB)}) is None


def test_what_compresses_well_is_light() -> None:
    assert Scale(LIMIT_BYTES, WARN_BYTES).weigh({"core": b"{}", "s:text": b"again and " * 500_000}) is None


def test_a_heavy_state_is_warned_of_with_its_largest_keys() -> None:
    fields = {"core": noise(KIB), **{f"s:k{n}": noise(n * 100 * KIB) for n in range(1, 4)}}

    told = Scale(LIMIT_BYTES, WARN_BYTES).weigh(fields)

    assert told == (
        "the run's state is 601.0 KiB compressed, of 1.0 MiB at most: "
        "state.k3 300.0 KiB, state.k2 200.0 KiB, state.k1 100.0 KiB"
    )


def test_a_state_over_the_limit_is_refused_with_its_largest_keys() -> None:
    fields = {"core": noise(40 * KIB), "s:draft": noise(70 * KIB)}

    with pytest.raises(
        StateTooLarge, match=r"110\.0 KiB compressed, of 100\.0 KiB at most: state\.draft 70\.0 KiB, events and calls"
    ):
        Scale(100 * KIB, WARN_BYTES).weigh(fields)


def test_the_weight_follows_the_fields_from_one_time_to_the_next() -> None:
    scale = Scale(100 * KIB, 10 * KIB)
    scale.weigh({"s:a": noise(50 * KIB)})

    heavier = scale.weigh({"s:a": noise(50 * KIB), "s:b": noise(20 * KIB)})
    lighter = scale.weigh({"s:a": noise(30 * KIB)})

    assert heavier is not None
    assert "70.0 KiB" in heavier
    assert lighter is not None
    assert "30.0 KiB" in lighter
