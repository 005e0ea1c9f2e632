"""Workers whose Redis is away: they say so and try again, whichever kind of Redis it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

import pytest

from bot.fleet import Fleet

LIMIT_S = 30


class Telling(logging.Handler):
    """Tells when a line is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.told = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.told.set()


@pytest.mark.parametrize("url", ["redis://", "redis+cluster://", "redis+sentinel://"])
async def test_a_redis_that_is_away_does_not_end_the_process(url: str) -> None:
    async def attend(run_id: str) -> None:
        raise AssertionError("there is no work")

    async def due() -> Iterable[str]:
        return ()

    async def tidy() -> None:
        pass

    service = "/svc" if "sentinel" in url else ""
    fleet = Fleet(f"{url}127.0.0.1:1{service}", attend, due, tidy)
    telling = Telling()
    logging.getLogger("bot.fleet").addHandler(telling)
    try:
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(fleet.serve())
            async with asyncio.timeout(LIMIT_S):
                await telling.told.wait()

            assert not serving.done()
            serving.cancel()
    finally:
        logging.getLogger("bot.fleet").removeHandler(telling)
