"""What may go on after an acknowledgement: it has a parent, a place in the log, and a while to end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

logger = logging.getLogger(__name__)

DRAIN_S = 5.0
"""How long it may still take when the process stops."""


class Aside:
    """Enter it to give background work a parent; leaving it waits for that work, but not for ever."""

    def __init__(self) -> None:
        self._tasks: asyncio.TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = await asyncio.TaskGroup().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks, self._tasks = self._tasks, None
        if tasks is None:
            return
        try:
            async with asyncio.timeout(DRAIN_S):
                await tasks.__aexit__(None, None, None)
        except TimeoutError:
            logger.warning("some private messages were not sent before the end")

    @property
    def open(self) -> bool:
        """Whether work may be begun now."""
        return self._tasks is not None

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let *work* go on; its failure is logged and disturbs nobody."""
        if self._tasks is None:
            work.close()
        else:
            self._tasks.create_task(_logged(work))


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:
        logger.exception("something after an acknowledgement failed")
