"""Calls to the server: scripts by their hash, reads in one round trip, and errors in our words."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, Literal, TypeAlias

from redis import exceptions

from engine.errors import CodecError, StoreUnavailable
from engine.redis.connections import Connections
from engine.redis.keys import SEEN_KEPT
from engine.redis.pipe import Call, Pipe, Refused
from engine.redis.rows import Argument
from engine.run_store import (
    CLOCK_TOLERANCE_S,
    DONE_KEPT,
    JOURNAL_KEPT,
    LEAVE_PAUSE_S,
    LINK_KEPT_S,
    REFUSALS_KEPT,
    TRIES_KEPT,
)

_Sent: TypeAlias = tuple[str, Call]
"""A call, after the key that says where it goes."""

_OUT_OF_SERVICE = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
_UNABLE = (
    "ASK",  # a slot is moving: no script runs on it until it is there
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",  # to where we cannot follow it
    "NOAUTH",
    "NOPERM",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "UNKILLABLE",
)
"""What a server says first when it cannot serve us for now. A script's own error may stand before it (Redis 6.2)."""
_REPAIRS = {
    "MISCONF": "make room on its disk",
    "MOVED": "try again, and name a cluster as one: redis+cluster://",
    "NOAUTH": "see the user and password in its address",
    "NOPERM": "let its user do that",
    "OOM": "give it more memory, or remove runs that are over",
    "READONLY": "name its master, not this replica",
    "AuthenticationError": "see the user and password in its address",
}
"""What to do about an error that has this word in it."""
_INTERNALS = re.compile(r"^Refused: | script: on @user_script:\d+|<redis\.asyncio.*>(?= - )")
"""What says nothing to people."""
_KEPT_FOR_SOMEBODY = frozenset(
    {"start", "begin", "send", "deliver", "refuse", "amend", "cancel", "reopen", "fork", "purge", "remember", "commit"}
)
"""Scripts after which somebody is told that it is done."""
_TOLD_S = 60
"""How long the key stays that `Server` writes before it waits."""
_Waited: TypeAlias = Literal["", "own", "all"]
"""What replicas have to have: nothing, what the calls write, or all that they may tell of."""
_DECLARED = re.compile(r"^local (?:function )?([\w, ]+)", re.MULTILINE)
_COMMENT = re.compile(r"(^|\s)--.*")
_META_READ = re.compile(r"\bmeta\.(\w)\b")


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text and the hash a server knows it by."""

    text: str
    digest: str


@cache
def script(name: str) -> Script:
    """Return the script in ``scripts/<name>.lua`` with what it needs of ``common.lua`` before it."""
    own = _part("begin") + _part("commit") if name == "begin" else _part(name)
    if name != "due":
        own = _needed(_part("common"), own)
    read = sorted(set(_META_READ.findall(own)))
    text = string.Template(_part("clock") + own).substitute(
        META_NAMES=", ".join(f"'{field}'" for field in read),
        META_VALUES=", ".join(f"{field} = stored[{place}] or nil" for place, field in enumerate(read, 1)),
        DONE_KEPT=DONE_KEPT,
        SEEN_KEPT=SEEN_KEPT,
        JOURNAL_KEPT=JOURNAL_KEPT,
        REFUSALS_KEPT=REFUSALS_KEPT,
        TRIES_KEPT=TRIES_KEPT,
        BY_KEPT_S=int(LINK_KEPT_S),
        LEAVE_PAUSE_S=LEAVE_PAUSE_S,
        CLOCK_TOLERANCE_S=CLOCK_TOLERANCE_S,
    )
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


def _part(name: str) -> str:
    return _COMMENT.sub("", (files(__package__) / "scripts" / f"{name}.lua").read_text(encoding="utf-8"))


def _needed(common: str, text: str) -> str:
    """Return *text* after those paragraphs of *common* that declare something it uses: all others cost time, too."""
    for paragraph in reversed(common.split("\n\n")):
        declared = _DECLARED.findall(paragraph)
        if any(re.search(rf"\b{name.strip()}\b", text) for names in declared for name in names.split(",")):
            text = f"{paragraph}\n\n{text}"
    return text


class Server:
    """The one way to Redis: every call of the store goes through it.

    With *replicas*, what somebody is told is kept is known to so many of them; *timeout_s* limits how long that is
    waited for. That goes for what another process has written, too, as when an answer is delivered again: WAIT is for
    the last write of its own connection, so there is one, to a key beside what is told of.
    """

    def __init__(self, connections: Connections, replicas: int = 0, timeout_s: float = 5.0) -> None:
        self._connections = connections
        self._wait: Call | None = ("WAIT", replicas, int(500 * timeout_s)) if replicas else None
        self._replicas = replicas

    async def run(self, name: str, names: Sequence[str], *arguments: Argument) -> Any:
        """Run a script on KEYS *names*; the server is sent its text only if it does not know it."""
        return (await self.run_each(name, [(names, arguments)]))[0]

    async def run_each(self, name: str, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]) -> list[Any]:
        """Run a script several times, in one round trip to each server; not a transaction."""
        return _good(await self.try_each(name, calls))

    async def try_each(self, name: str, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]) -> list[Any]:
        """Do as `run_each`; a `CodecError` is the answer where what is stored cannot be worked with."""
        found = script(name)
        sent: list[_Sent] = [
            (names[0], ("EVALSHA", found.digest, len(names), *names, *arguments)) for names, arguments in calls
        ]
        # One that is full takes no mark, but a purge, which tells of nothing that others wrote.
        waited: _Waited = "" if name not in _KEPT_FOR_SOMEBODY else "own" if name == "purge" else "all"
        answers = await self._send(sent, waited)
        missed = [i for i, answer in enumerate(answers) if isinstance(answer, Refused) and answer.code == "NOSCRIPT"]
        if missed:
            again: list[_Sent] = [(sent[i][0], ("EVAL", found.text, *sent[i][1][2:])) for i in missed]
            for i, answer in zip(missed, await self._send(again, waited), strict=True):
                answers[i] = answer
        return _judged(answers)

    async def read(self, *call: Argument) -> Any:
        """Send one command; its first argument, if any, is its key."""
        return (await self.read_each([call]))[0]

    async def read_each(self, calls: Sequence[Call]) -> list[Any]:
        """Send several commands, in one round trip to each server."""
        return _good(await self.try_to_read(calls))

    async def try_to_read(self, calls: Sequence[Call]) -> list[Any]:
        """Do as `read_each`; a `CodecError` is the answer where what is stored is something else."""
        return _judged(await self._send([(str(call[1]) if len(call) > 1 else "", call) for call in calls]))

    async def keep(self, key: str, *call: Argument) -> Any:
        """Send one command, to where *key* is; somebody is told afterwards that it is done."""
        return _good(await self._send([(key, call)], "all"))[0]

    async def each(self, *calls: Call) -> list[list[Any]]:
        """Send *calls* to every server that has keys; an answer that is an error is a `Refused`. Not for daily use."""
        try:
            return [await pipe.exchange(list(calls)) for pipe in await self._connections.every()]
        except _OUT_OF_SERVICE as error:
            raise StoreUnavailable(_told(error)) from error

    async def names(self, prefix: str) -> list[str]:
        """Return every key that begins with *prefix* and a colon, of all servers; not for daily use."""
        pattern = "".join(f"\\{letter}" if letter in "*?[]\\" else letter for letter in prefix) + ":*"
        found: set[str] = set()
        try:
            for pipe in await self._connections.every():
                cursor = 0
                while True:
                    (told,) = _good(await pipe.exchange([("SCAN", cursor, "MATCH", pattern, "COUNT", 1_000)]))
                    cursor = int(told[0])
                    found.update(name.decode() for name in told[1])
                    if not cursor:
                        break
        except _OUT_OF_SERVICE as error:
            raise StoreUnavailable(_told(error)) from error
        return sorted(found)

    async def close(self) -> None:
        await self._connections.close()

    async def _send(self, calls: Sequence[_Sent], waited: _Waited = "") -> list[Any]:
        """Return an answer or a `Refused` for each call."""
        try:
            if len(calls) == 1:
                answers = await self._exchange(await self._connections.pipe(calls[0][0]), calls, waited)
            else:
                answers = await self._send_each(calls, waited)
            for i, answer in enumerate(answers):
                if isinstance(answer, Refused) and answer.code == "MOVED":
                    answers[i] = await self._follow(answer, calls[i], waited)
            return answers
        except _OUT_OF_SERVICE as error:
            raise StoreUnavailable(_told(error)) from error

    async def _send_each(self, calls: Sequence[_Sent], waited: _Waited) -> list[Any]:
        places: dict[Pipe, list[int]] = {}
        for i, (key, _) in enumerate(calls):
            places.setdefault(await self._connections.pipe(key), []).append(i)
        answers: list[Any] = [None] * len(calls)
        for pipe, here in places.items():
            told = await self._exchange(pipe, [calls[i] for i in here], waited)
            for i, answer in zip(here, told, strict=True):
                answers[i] = answer
        return answers

    async def _exchange(self, pipe: Pipe, sent: Sequence[_Sent], waited: _Waited) -> list[Any]:
        calls = [call for _, call in sent]
        if not waited or self._wait is None:
            answers = await pipe.exchange(calls)
        else:
            mark: Call = ("SET", f"{sent[0][0].partition('}')[0]}}}:told", 1, "EX", _TOLD_S)
            marks = [mark] if waited == "all" else []
            *told, reached = await pipe.exchange([*calls, *marks, self._wait])
            if isinstance(reached, Refused) or reached < self._replicas:
                raise exceptions.TimeoutError(f"{reached} of {self._replicas} replicas have it; it may be lost")
            answers, marked = told[: len(calls)], told[len(calls) :]
            if not any(isinstance(answer, Refused) for answer in answers):
                _good(marked)
        for answer in answers:
            if isinstance(answer, Refused) and answer.code == "READONLY":
                pipe.end(exceptions.ConnectionError("the server has become a replica"))  # look for the master again
        return answers

    async def _follow(self, told: Refused, sent: _Sent, waited: _Waited) -> Any:
        """Send a call to where its keys have moved to."""
        pipe = await self._connections.moved(str(told).split(" ")[2])
        return told if pipe is None else (await self._exchange(pipe, [sent], waited))[0]


def _told(error: BaseException) -> str:
    """Return what was found, and what to do about it."""
    found = f"{type(error).__name__}: {error}"
    repair = next((repair for word, repair in _REPAIRS.items() if word in found), "try again, or see its log")
    return f"the run store (Redis) did not take the call: {_INTERNALS.sub('', found).rstrip('. ')}; {repair}"


def _judged(answers: list[Any]) -> list[Any]:
    return [_meant(answer) if isinstance(answer, Refused) else answer for answer in answers]


def _meant(answer: Refused) -> CodecError:
    """Return what a server's error says of one value, of which the others know nothing.

    Raises:
        StoreUnavailable: it is the server that cannot serve us.
    """
    if answer.code in _UNABLE or any(f"{word} " in str(answer) for word in _UNABLE):
        raise StoreUnavailable(_told(answer)) from answer
    return CodecError(f"Redis cannot work with what it keeps: {_INTERNALS.sub('', str(answer))}")


def _good(answers: list[Any]) -> list[Any]:
    for answer in _judged(answers):
        if isinstance(answer, CodecError):
            raise answer
    return answers
