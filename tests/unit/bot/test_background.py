"""What goes on after an acknowledgement."""

from __future__ import annotations

import asyncio
import logging

import pytest

from bot.background import AT_ONCE, Background

MANY = 3 * AT_ONCE


async def test_what_can_wait_lets_what_follows_it_come_first_and_begins_in_order() -> None:
    begun: list[int] = []
    last = asyncio.Event()

    async def work(number: int) -> None:
        begun.append(number)
        if number == MANY - 1:
            last.set()

    async with Background() as background:
        for number in range(MANY):
            background.spawn(work(number))
            await asyncio.sleep(0)
        begun_meanwhile = list(begun)
        await last.wait()

    assert begun_meanwhile == []
    assert begun == list(range(MANY))


async def test_however_much_comes_none_waits_for_ever() -> None:
    begun: list[None] = []

    async def work() -> None:
        begun.append(None)

    async with Background(patience_s=0.05) as background:
        while not begun:
            background.spawn(work())
            await asyncio.sleep(0)

    assert begun


async def test_what_cannot_wait_begins_at_once() -> None:
    begun: list[str] = []

    async def work(name: str) -> None:
        begun.append(name)

    async with Background() as background:
        background.spawn(work("a note"))
        background.begin(work("a wake"))
        await asyncio.sleep(0)
        assert begun == ["a wake"]

    assert begun == ["a wake", "a note"]


async def test_work_that_fails_is_logged_and_disturbs_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []

    async def fails() -> None:
        raise ValueError("no such person")

    async def works() -> None:
        done.append("told")

    with caplog.at_level(logging.ERROR):
        async with Background() as background:
            background.spawn(fails())
            background.spawn(works())

    assert done == ["told"]
    assert [record.message for record in caplog.records] == ["something after an acknowledgement failed"]


async def test_after_the_end_nothing_begins() -> None:
    begun: list[None] = []

    async def work() -> None:
        begun.append(None)

    background = Background()
    async with background:
        pass
    background.spawn(work())
    background.begin(work())

    assert not background.open
    assert begun == []
