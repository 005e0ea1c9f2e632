"""What can be read of runs, asks and indexes: plain commands, nothing changes."""

from __future__ import annotations

import heapq
import logging
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from engine.errors import CodecError, StoreUnavailable
from engine.redis.condition import Backlog, Condition, backlog, conditions
from engine.redis.keys import Keys, index_name, started_by
from engine.redis.leftovers import leftovers
from engine.redis.pipe import Call
from engine.redis.rows import (
    ask_ids,
    ask_record,
    closed_asks,
    doubt_of,
    journal_entry,
    named,
    of_run,
    pairs,
    run_record,
)
from engine.redis.scripts import Server
from engine.run_store import LINK_KEPT_S, OVER, AskRecord, JournalEntry, Place, RunRecord, RunStatus

logger = logging.getLogger(__name__)

_CHUNK = 200
R = TypeVar("R")


class Reads:
    """The verbs of `RedisRunStore` that only look, and links."""

    _keys: Keys
    _server: Server
    _lanes_in_use: tuple[int, ...] | None = None

    async def run(self, run_id: str) -> RunRecord | None:
        return run_record(run_id, pairs(await self._server.read("HGETALL", self._keys.at(run_id, "meta"))))

    async def runs(
        self,
        *,
        statuses: Collection[RunStatus] = (),
        workflow: str | None = None,
        tenant: str | None = None,
        requester: str | None = None,
        before: Place | None = None,
        limit: int = 100,
    ) -> Sequence[RunRecord]:
        indexes = ["live"] if not statuses or set(statuses) - OVER else []
        indexes += ["over"] if not statuses or set(statuses) & OVER else []
        if tenant is not None and requester:
            indexes = [started_by(tenant, requester)]
        names = [f"{self._keys.lane(lane)}{index}" for lane in await self._lanes() for index in indexes]
        found: list[RunRecord] = []
        place: Place | None = (math.inf, "") if before is None else before
        while place is not None and len(found) < limit:
            ids, place = await self._older(names, place)
            rows = await self._server.try_to_read([("HGETALL", self._keys.at(run_id, "meta")) for run_id in ids])
            records = _readable(run_record, zip(ids, rows, strict=True))
            if tenant is not None and requester:
                await self._tidy(tenant, requester, [one for one, row in zip(ids, rows, strict=True) if row == []])
            found += [
                record
                for record in records
                if (not statuses or record.status in statuses)
                and workflow in (None, record.workflow)
                and tenant in (None, record.tenant)
                and requester in (None, record.requester)
            ]
        return found[:limit]

    async def _tidy(self, tenant: str, requester: str, gone: Sequence[str]) -> None:
        """Take runs that are forgotten out of their requester's index; nobody else knows that they were there."""
        if gone:
            await self._server.read_each(
                [("ZREM", self._keys.by(run_id, tenant, requester), run_id) for run_id in gone]
            )

    async def _older(self, names: Sequence[str], place: Place) -> tuple[list[str], Place | None]:
        """Return the runs next to *place* in these indexes, newest first, and where to go on, if there may be more."""
        at, run_id = place
        calls: list[Call] = []
        for name in names:
            calls.append(("ZRANGEBYSCORE", name, at, at, "WITHSCORES"))  # created in the same microsecond
            calls.append(("ZREVRANGEBYSCORE", name, f"({at}", "-inf", "WITHSCORES", "LIMIT", 0, _CHUNK))
        flat = await self._server.read_each(calls)
        places = {(float(row[i + 1]), row[i].decode()) for row in flat for i in range(0, len(row), 2)}
        next_ones = sorted((one for one in places if one < (at, run_id)), reverse=True)[:_CHUNK]
        return [one for _, one in next_ones], next_ones[-1] if next_ones else None

    async def ask(self, run_id: str, ask_id: str) -> AskRecord | None:
        row = await self._server.read("HGETALL", self._keys.ask(run_id, ask_id))
        return ask_record(run_id, ask_id, pairs(row))

    async def asked(self, run_id: str, ask_id: str) -> tuple[RunRecord, AskRecord] | None:
        rows = await self._server.read_each(
            [("HGETALL", self._keys.at(run_id, "meta")), ("HGETALL", self._keys.ask(run_id, ask_id))]
        )
        run, ask = run_record(run_id, pairs(rows[0])), ask_record(run_id, ask_id, pairs(rows[1]))
        return None if run is None or ask is None else (run, ask)

    async def open_asks(self, run_id: str) -> Sequence[AskRecord]:
        ids = await self._open_ids(run_id)
        return await self._records([(run_id, ask_id) for ask_id in ids])

    async def last_closed(self, run_id: str) -> AskRecord | None:
        closed = closed_asks(run_id, await self._server.read("HGET", self._keys.at(run_id, "meta"), "x") or b"")
        return await self.ask(run_id, closed[-1]) if closed else None

    async def asks_for(self, tenant: str, actor: str, limit: int = 100) -> Sequence[AskRecord]:
        """Return open asks of *tenant* that name *actor*, or, for "", that anybody may answer; oldest first.

        Of more than *limit* in a lane it is unspecified which are returned.
        """
        first = f"a|{index_name(tenant)}|{index_name(actor)}|"
        range_ = (f"[{first}", f"({first[:-1]}}}", "LIMIT", 0, limit)
        lanes = await self._lanes()
        answers = await self._server.read_each(
            [("ZRANGEBYLEX", f"{self._keys.lane(lane)}open", *range_) for lane in lanes]
        )
        found = [member.decode()[len(first) :].split("|", 1) for members in answers for member in members]
        return (await self._records([(run_id, ask_id) for run_id, ask_id in found]))[:limit]

    async def state(self, run_id: str, *names: str) -> Mapping[str, bytes]:
        key = self._keys.at(run_id, "state")
        if names:
            values = await self._server.read("HMGET", key, *names)
            return {name: value for name, value in zip(names, values, strict=True) if value is not None}
        return named(await self._server.read("HGETALL", key))

    async def journal(self, run_id: str) -> Sequence[JournalEntry]:
        return _journal(run_id, await self._server.read("LRANGE", self._keys.at(run_id, "journal"), 0, -1))

    async def due(self, limit: int = 100) -> Sequence[str]:
        return await self._due("ready", limit)

    async def due_effects(self, limit: int = 100) -> Sequence[tuple[str, str]]:
        found = [member.split("|", 1) for member in await self._due("outq", limit)]
        return [(run_id, effect_id) for run_id, effect_id in found]

    async def effects_of(self, run_id: str) -> Sequence[str]:
        flat: list[bytes] = await self._server.run("owed", self._keys.of(run_id), run_id)
        owed = sorted(zip(flat[::2], flat[1::2], strict=True), key=lambda item: int(item[1]))
        return [_text(effect) for effect, _ in owed]

    async def doubtful(self, limit: int = 100) -> Sequence[tuple[str, str, str]]:
        return [doubt_of(member) for member in await self._due("verify", limit)]

    async def link(self, ref: str, run_id: str) -> None:
        await self._server.read("SET", self._keys.link(ref), run_id, "EX", int(LINK_KEPT_S))

    async def linked(self, ref: str) -> str | None:
        found: bytes | None = await self._server.read("GET", self._keys.link(ref))
        return None if found is None else found.decode()

    async def conditions(self, clock: Callable[[], float]) -> Sequence[Condition]:
        """Return how each server is; *clock* is this machine's, in POSIX seconds. For `doctor`."""
        return await conditions(self._server, clock)

    async def backlog(self) -> Backlog:
        """Return how much there is to do. What it costs does not grow with what is stored."""
        return await backlog(self._server, [self._keys.lane(lane) for lane in await self._lanes()])

    async def try_writing(self) -> None:
        """Write to every lane what is gone in a millisecond. For `doctor`.

        Raises:
            StoreUnavailable: some server takes no writes, as one that is full, or a replica.
        """
        keys = [f"{self._keys.lane(lane)}tried" for lane in await self._lanes()]
        await self._server.read_each([("SET", key, 1, "PX", 1) for key in keys])

    async def leftovers(self) -> Sequence[str]:
        """Return what would stay for ever: keys without a TTL that are of no open run, and index members of no run.

        It reads every key of the prefix; for tests and `doctor`.
        """
        return await leftovers(self._server, self._keys)

    async def _open_ids(self, run_id: str) -> list[str]:
        key = self._keys.beside(run_id, "open")
        members = await self._server.read("ZRANGEBYLEX", key, f"[r|{run_id}|", f"(r|{run_id}}}")
        return ask_ids(run_id, members)

    async def _records(self, ids: Sequence[tuple[str, str]]) -> list[AskRecord]:
        """Return the open ones of these asks, oldest first."""
        rows = await self._server.try_to_read([("HGETALL", self._keys.ask(run_id, ask_id)) for run_id, ask_id in ids])
        records = _readable(ask_record, ((*id_, row) for id_, row in zip(ids, rows, strict=True)))
        found = [record for record in records if record.status == "open"]
        return sorted(found, key=lambda record: record.opened_at)

    async def _due(self, index: str, limit: int) -> list[str]:
        """Return the members of an index over all lanes that are due, oldest first."""
        calls = []
        for lane in await self._lanes():
            name = self._keys.lane(lane)
            calls.append(([f"{name}skew", f"{name}{index}"], [limit]))
        lanes = await self._server.run_each("due", calls)
        lists = [list(zip(flat[::2], map(float, flat[1::2]), strict=True)) for flat in lanes]
        oldest = heapq.merge(*lists, key=lambda item: item[1])
        return [_text(member) for member, _ in list(oldest)[:limit]]

    async def _lanes(self) -> tuple[int, ...]:
        """Return every lane in use: ours, and those of stores that had more."""
        if self._lanes_in_use is not None:
            return self._lanes_in_use
        name, ours = self._keys.used_lanes(), range(self._keys.lanes)
        found = tuple(sorted({*ours, *map(int, await self._server.read("SMEMBERS", name))}))
        with suppress(StoreUnavailable):  # a server that is full, or a replica, can be read all the same
            await self._server.read_each([("SADD", name, *ours), ("EXPIRE", name, int(LINK_KEPT_S))])
            self._lanes_in_use = found
        return found


def _readable(read: Callable[..., R | None], rows: Iterable[tuple[Any, ...]]) -> list[R]:
    """Return what *read* makes of rows, each after the ids of its run and ask.

    Of what is spoilt the log is told: one run must not keep people from all others.
    """
    found: list[R] = []
    for run_id, *of, row in rows:
        try:
            if isinstance(row, CodecError):
                raise row
            record = read(run_id, *of, pairs(row))
        except CodecError as error:
            logger.warning("run left out of a list", extra={"run_id": run_id, "reason": str(error)})
        else:
            found += [] if record is None else [record]
    return found


@of_run
def _journal(run_id: str, lines: Iterable[bytes]) -> list[JournalEntry]:
    return [journal_entry(line) for line in lines]


def _text(member: bytes) -> str:
    """Return a name out of an index, or, of one that is spoilt, one that nothing has."""
    return member.decode(errors="replace")
