"""How fast messages may follow each other, by channel."""

from __future__ import annotations

import pytest

from bot.slack.pace import BURST, EVERY_S, KEPT, HeldBack, Pace
from engine.testing import ManualClock


def taken(pace: Pace, channel: str = "C1") -> float:
    """Post something; return for how long it is held back."""
    try:
        pace.take("T1", channel)
    except HeldBack as held:
        return held.after_s
    return 0.0


def test_a_few_messages_go_out_at_once_and_the_next_come_back_one_by_one() -> None:
    pace = Pace(ManualClock())

    waits = [taken(pace) for _ in range(BURST + 3)]

    assert waits == [0.0] * BURST + [EVERY_S, 2 * EVERY_S, 3 * EVERY_S]


def test_a_pause_makes_room_again() -> None:
    clock = ManualClock()
    pace = Pace(clock)
    for _ in range(BURST):
        pace.take("T1", "C1")

    clock.advance(2 * EVERY_S)

    assert [taken(pace) for _ in range(3)] == [0.0, 0.0, EVERY_S]


def test_who_never_came_back_keeps_nobody_waiting_after_a_pause() -> None:
    """Another process may have sent what this one has held back."""
    clock = ManualClock()
    pace = Pace(clock)
    for _ in range(BURST + 20):
        taken(pace)

    clock.advance(BURST * EVERY_S)

    assert [taken(pace) for _ in range(BURST + 1)] == [0.0] * BURST + [EVERY_S]


def test_each_channel_of_each_workspace_has_a_pace_of_its_own() -> None:
    pace = Pace(ManualClock())
    pace.quiet("T1", "C1", 60)

    pace.take("T1", "C2")
    pace.take("T2", "C1")

    with pytest.raises(HeldBack) as held:
        pace.take("T1", "C1")
    assert held.value.after_s == 60


def test_a_wish_for_quiet_is_over_when_it_is_over_and_never_grows_shorter() -> None:
    clock = ManualClock()
    pace = Pace(clock)
    pace.quiet("T1", "C1", 60)
    pace.quiet("T1", "C1", 1)
    clock.advance(59)
    with pytest.raises(HeldBack):
        pace.check("T1", "C1")

    clock.advance(1)

    pace.check("T1", "C1")


def test_channels_that_are_free_are_forgotten() -> None:
    clock = ManualClock()
    pace = Pace(clock)
    for n in range(KEPT):
        pace.take("T1", f"C{n}")
    clock.advance(EVERY_S)

    pace.take("T1", "another")

    assert len(pace._channels) == 1
