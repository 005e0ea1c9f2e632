"""What every listener needs: how long it has, whose workspace a payload is of, what to say where it cannot be read."""

from __future__ import annotations

import asyncio
import logging
import re
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeAlias

from slack_bolt.async_app import AsyncApp, AsyncBoltContext, AsyncBoltRequest
from slack_bolt.middleware.async_middleware import AsyncMiddleware
from slack_bolt.response import BoltResponse

from bot.background import Spawn
from bot.deadline import ANSWER_S, answer_by
from bot.languages import Catalogue
from bot.payloads.reading import PayloadError
from bot.slack.directory import Directory
from engine.errors import RunNotFound, StoreUnavailable

logger = logging.getLogger(__name__)

Body: TypeAlias = Mapping[str, Any]

ANYTHING = re.compile(r".*", re.DOTALL)
EMPTY = BoltResponse(status=200, body="")
NOT_SAVED = BoltResponse(status=503, body="not saved")
"""Makes Slack send the event again."""


class Listening(Protocol):
    """A way in from Slack."""

    def listen(self, app: AsyncApp) -> None:
        """Hang its listeners on the Bolt app."""


class Gate(AsyncMiddleware):
    """Stands before Bolt's listeners: answers a request itself, or lets it pass."""

    def listen(self, app: AsyncApp) -> None:
        """Stand behind the gates that the app has, before all its listeners."""
        app.middleware(self)

    @abstractmethod
    async def answer(self, req: AsyncBoltRequest) -> BoltResponse | None:
        """Return the answer to a request, or None to let it pass."""

    async def async_process(
        self,
        *,
        req: AsyncBoltRequest,
        resp: BoltResponse,
        next: Callable[[], Awaitable[BoltResponse]],  # noqa: A002  # Bolt's name
    ) -> BoltResponse | None:
        answer = await self.answer(req)
        return await next() if answer is None else answer


class FromSlack(Protocol):
    """A payload, whatever it is about."""

    @property
    def team_id(self) -> str: ...
    @property
    def enterprise_id(self) -> str: ...


class FromSomebody(FromSlack, Protocol):
    """A payload of what somebody did."""

    @property
    def user_id(self) -> str: ...


def tenant_of(payload: FromSlack) -> str:
    """Return the workspace that a payload is of; the organisation, where an app of all its workspaces has no other."""
    return payload.team_id or payload.enterprise_id


class Readers:
    """Knows which language those read who do something."""

    def __init__(self, directory: Directory, spawn: Spawn) -> None:
        self._directory = directory
        self._spawn = spawn

    def words(self, sent: FromSomebody) -> Catalogue:
        """Return the words for who did something, as far as is known: if it is not yet, it will be the next time."""
        if not self._directory.knows(tenant_of(sent), sent.user_id):
            self._spawn(self._directory.learn(tenant_of(sent), sent.user_id))
        return self._directory.words(tenant_of(sent), sent.user_id)

    def unread(self, error: PayloadError, context: AsyncBoltContext) -> Catalogue:
        """Log a payload that cannot be read, and return the words for who sent it, as far as Bolt could tell."""
        unreadable(error)
        return self._directory.words(context.team_id or context.enterprise_id or "", context.user_id or "")


@asynccontextmanager
async def in_time(context: AsyncBoltContext) -> AsyncIterator[None]:
    """Give what the block saves no longer than Slack waits: a Redis that hangs is told of like one that is away.

    Raises:
        StoreUnavailable: it took longer; or, while a deploy rolls, the workflow is known to another process only.
    """
    try:
        async with asyncio.timeout_at(answer_by(context)):
            yield
    except TimeoutError as error:
        raise StoreUnavailable(f"the request would not have been answered within {ANSWER_S:g} s") from error
    except RunNotFound as error:
        raise StoreUnavailable(str(error)) from error


def unreadable(error: PayloadError) -> None:
    """Log a payload that cannot be read."""
    logger.warning("payload not readable", extra={"reason": str(error)})
