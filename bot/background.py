"""What may go on after an acknowledgement: it has a parent, a place in the log, and a while to end."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeAlias

logger = logging.getLogger(__name__)

DRAIN_S = 5.0
"""How long it may still take when the process stops."""
QUIET_S = 0.02
"""For so long nothing more may have come before what waits begins."""
PATIENCE_S = 1.0
AT_ONCE = 4
"""How much of it begins in one go."""
PAUSE_S = 0.002
"""How long after that the next may begin."""

Work: TypeAlias = Coroutine[Any, Any, object]
Spawn: TypeAlias = Callable[[Work], None]
"""Takes what may go on after an acknowledgement; see `Background.spawn`."""


class Background:
    """Enter it to give background work a parent; leaving it waits for that work, but not for ever.

    Slack waits for acknowledgements and for nothing else: those of others go first, too.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        """*patience_s* is how long work waits at most for a moment when no more of it comes."""
        self._patience_s = patience_s
        self._tasks: asyncio.TaskGroup | None = None
        self._waiting: deque[tuple[float, Work]] = deque()
        """What has not begun, after the time it came."""
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._tasks = await asyncio.TaskGroup().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._begin_oldest(len(self._waiting))
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

    def begin(self, work: Work) -> None:
        """Let *work* go on now; its failure is logged and disturbs nobody."""
        if self._tasks is None:
            work.close()
        else:
            self._tasks.create_task(_logged(work))

    def spawn(self, work: Work) -> None:
        """Let *work* go on when no more of it comes, or it has waited for long; otherwise as `begin`."""
        if self._tasks is None:
            work.close()
            return
        loop = asyncio.get_running_loop()
        self._waiting.append((loop.time(), work))
        if self._timer is None:
            self._timer = loop.call_later(QUIET_S, self._begin_some)

    def _begin_some(self) -> None:
        self._timer = None
        if not self._waiting:
            return
        loop = asyncio.get_running_loop()
        (oldest, _), (newest, _) = self._waiting[0], self._waiting[-1]
        due = min(newest + QUIET_S, oldest + self._patience_s)
        if due <= loop.time():
            self._begin_oldest(AT_ONCE)
            due = loop.time() + PAUSE_S
        self._timer = loop.call_at(due, self._begin_some)

    def _begin_oldest(self, many: int) -> None:
        for _ in range(min(many, len(self._waiting))):
            self.begin(self._waiting.popleft()[1])


async def _logged(work: Work) -> None:
    try:
        await work
    except Exception:
        logger.exception("something after an acknowledgement failed")
