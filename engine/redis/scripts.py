"""Calls to the server: scripts by their hash, reads in one round trip, and errors in our words."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any

from redis import exceptions
from redis.asyncio import Redis

from engine.errors import StoreUnavailable
from engine.redis import keys
from engine.redis.connections import Call, Connections, encode
from engine.redis.rows import Argument

_OUT_OF_SERVICE = (
    exceptions.ConnectionError,  # also LOADING, wrong password, pool exhausted
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.ClusterDownError,
    exceptions.MasterDownError,
    exceptions.TryAgainError,
    OSError,
)
# What a server says when it cannot serve for now; a script's own error may stand before it (Redis 6.2).
_OUT_OF_SERVICE_WORDS = ("BUSY ", "UNKILLABLE", "MISCONF", "NOREPLICAS", "OOM command", "READONLY", "LOADING", "-OOM")


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text and the hash a server knows it by."""

    text: str
    digest: str


@cache
def script(name: str) -> Script:
    """Return the script in ``scripts/<name>.lua`` with what comes before it."""
    folder = files(__package__) / "scripts"
    parts = ["clock", name] if name == "due" else ["clock", "common", name]
    text = "".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in parts)
    text = string.Template(text).substitute(
        DONE_KEPT=keys.DONE_KEPT, SEEN_KEPT=keys.SEEN_KEPT, JOURNAL_KEPT=keys.JOURNAL_KEPT
    )
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


def _told(error: BaseException) -> str:
    return f"the run store (Redis) did not take the call: {type(error).__name__}: {error}; try again, or see its log"


class Server:
    """The one way to Redis: every call of the store goes through it, at most *connections* at a time."""

    def __init__(self, client: Redis, connections: int = 32) -> None:
        self.client = client
        self._connections = Connections(client.connection_pool, connections)

    async def run(self, name: str, names: Sequence[str], *arguments: Argument) -> Any:
        """Run a script on KEYS *names*; the server is sent its text only if it does not know it."""
        return (await self.run_each(name, [(names, arguments)]))[0]

    async def run_each(self, name: str, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]) -> list[Any]:
        """Run a script several times in one round trip; not a transaction."""
        found = script(name)
        sent: list[Call] = [("EVALSHA", found.digest, len(names), *names, *arguments) for names, arguments in calls]
        answers = await self._send(sent)
        missed = [i for i, answer in enumerate(answers) if isinstance(answer, exceptions.NoScriptError)]
        if missed:
            again: list[Call] = [("EVAL", found.text, *sent[i][2:]) for i in missed]
            for i, answer in zip(missed, await self._send(again), strict=True):
                answers[i] = answer
        return _good(answers)

    async def read(self, *call: Argument) -> Any:
        """Send one command."""
        return (await self.read_each([call]))[0]

    async def read_each(self, calls: Sequence[Call]) -> list[Any]:
        """Send several commands in one round trip."""
        return _good(await self._send(calls))

    async def close(self) -> None:
        await self._connections.close()
        await self.client.aclose()

    async def _send(self, calls: Sequence[Call]) -> list[Any]:
        """Return an answer or a `ResponseError` for each call."""
        if not calls:
            return []
        try:
            return await self._connections.exchange(b"".join(map(encode, calls)), len(calls))
        except _OUT_OF_SERVICE as error:
            raise StoreUnavailable(_told(error)) from error


def _good(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, Exception):
            if isinstance(answer, _OUT_OF_SERVICE) or any(word in str(answer) for word in _OUT_OF_SERVICE_WORDS):
                raise StoreUnavailable(_told(answer)) from answer
            raise answer
    return answers
