"""Waiting without sleeping."""

import asyncio
from collections.abc import Callable

LIMIT_S = 5


async def until(condition: Callable[[], object]) -> None:
    """Give the others on the event loop their turns until *condition* holds."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0)
