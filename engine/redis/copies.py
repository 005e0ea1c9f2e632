"""Whole runs: read at one moment, planted again as another run, removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from engine.redis.reads import Reads
from engine.redis.rows import (
    ask_ids,
    ask_record,
    closed_asks,
    counted,
    effect_record,
    entry_argument,
    entry_of,
    journal_entry,
    listed,
    named,
    of_run,
    pairs,
    run_record,
)
from engine.run_store import RunStatus, WholeRun, checked_run_id


class Copies(Reads):
    """The verbs of `RedisRunStore` on a run as a whole."""

    async def export(self, run_id: str) -> WholeRun | None:
        _, asks = await self._asks_of(run_id)
        while True:
            told: Any = await self._server.run("export", self._keys.of(run_id, asks), run_id)
            row = pairs(told[1])
            if not row:
                return None
            has = [*closed_asks(run_id, row.get(b"x", b"")), *ask_ids(run_id, told[7])]
            if set(has) <= set(asks):
                return _whole(run_id, told, asks)
            asks = has  # others were opened between our two calls

    async def fork(self, copy: WholeRun, source: str, by: str) -> bool:
        run = copy.run
        checked_run_id(run.run_id)
        created = await self._server.run(
            "fork",
            [
                *self._keys.of(run.run_id, [ask.ask_id for ask in copy.asks]),
                self._keys.by(run.run_id, run.tenant, run.requester),
            ],
            run.run_id,
            run.workflow,
            run.revision,
            run.tenant,
            run.requester,
            run.address,
            by,
            source,
            *counted(copy.state.items()),
            *counted(copy.memo.items()),
            *listed([entry_argument(entry) for entry in copy.inbox]),
            *counted([(ask.ask_id, ask.event, ask.digest) for ask in copy.asks]),
        )
        if created != 1:
            return False
        await self._server.run("note", self._keys.of(source), source, "forked", by, "to", run.run_id)
        return True

    async def purge(self, run_id: str, *, force: bool = False) -> RunStatus | None:
        run, was = await self.run(run_id), "changed"
        if run is None:
            return None
        index = self._keys.by(run_id, run.tenant, run.requester)
        while was == "changed":  # a commit may open or close an ask between our two calls
            closed, asks = await self._asks_of(run_id)
            keys = [*self._keys.of(run_id, asks), index]
            told: bytes = await self._server.run("purge", keys, run_id, "1" if force else "", closed, *asks)
            was = told.decode()
        return cast("RunStatus", was) if was else None

    async def _asks_of(self, run_id: str) -> tuple[bytes, Sequence[str]]:
        """Return a run's closed asks as they stand in meta, and the ids of all its asks."""
        closed: bytes = await self._server.read("HGET", self._keys.at(run_id, "meta"), "x") or b""
        return closed, [*closed_asks(run_id, closed), *await self._open_ids(run_id)]


@of_run
def _whole(run_id: str, told: Sequence[Any], asks: Sequence[str]) -> WholeRun:
    now, meta, state, inbox, memo, outbox, journal, _, rows = told
    row = pairs(meta)
    run = run_record(run_id, row)
    assert run is not None
    records = [ask_record(run_id, ask_id, pairs(fields)) for ask_id, fields in zip(asks, rows, strict=True)]
    found = [record for record in records if record is not None]
    effects = [effect_record(name.decode(), value) for name, value in pairs(outbox).items()]
    return WholeRun(
        at=float(now),
        run=run,
        worker=row.get(b"o", b"").decode(),
        until=float(row[b"l"]) if b"l" in row else None,
        attempts=int(row.get(b"n", b"0")),
        wake_at=float(row[b"k"]) if b"k" in row else None,
        state=named(state),
        inbox=tuple(entry_of(entry) for entry in inbox),
        memo=named(memo),
        asks=tuple(sorted(found, key=lambda one: (one.opened_at, one.ask_id))),
        effects=tuple(sorted(effects, key=lambda one: one.effect_id)),
        journal=tuple(journal_entry(line) for line in journal),
    )
