"""Whole runs: read at one moment, planted again as another run, removed."""

from __future__ import annotations

from dataclasses import replace

from engine.memory_store.reads import Reads
from engine.memory_store.rows import Ask, Run
from engine.run_store import AskRecord, RunStatus, WholeRun, checked_run_id


class Copies(Reads):
    """The verbs of `MemoryRunStore` on a run as a whole."""

    async def export(self, run_id: str) -> WholeRun | None:
        run = self._find(run_id)
        if run is None:
            return None
        return WholeRun(
            at=self._clock(),
            run=run.record,
            worker=run.worker if run.until is not None else "",
            until=run.until,
            attempts=run.attempts,
            wake_at=run.wake_at,
            state=dict(run.state),
            inbox=tuple(run.inbox),
            memo=dict(run.memo),
            asks=tuple(sorted((ask.record for ask in run.asks.values()), key=lambda one: one.opened_at)),
            effects=tuple(effect.record(name) for name, effect in sorted(run.effects.items())),
            journal=tuple(run.lines),
        )

    async def fork(self, copy: WholeRun, source: str, by: str) -> bool:
        run_id, now = checked_run_id(copy.run.run_id), self._clock()
        if self._find(run_id) is not None:
            return False
        record = replace(copy.run, status="ready", version=0, created_at=now, thread="")
        run = Run(record, list(copy.inbox), now, dict(copy.state), dict(copy.memo), wake_at=now)
        for ask in copy.asks:
            run.asks[ask.ask_id] = Ask(_never_shown(run_id, ask, now))
            run.closed.append(ask.ask_id)
        self._runs[run_id] = run
        run.note(now, "forked", by, **{"from": source})
        origin = self._find(source)
        if origin is not None:
            origin.note(now, "forked", by, to=run_id)
        return True

    async def purge(self, run_id: str, *, force: bool = False) -> RunStatus | None:
        run = self._find(run_id)
        if run is None:
            return None
        if run.over or force:
            del self._runs[run_id]
            for doubt in [doubt for doubt in self._verify if doubt[0] == run_id]:
                del self._verify[doubt]
        return run.record.status


def _never_shown(run_id: str, ask: AskRecord, at: float) -> AskRecord:
    """Return what a copy of a run keeps of an ask: what was asked."""
    return AskRecord(
        run_id=run_id,
        ask_id=ask.ask_id,
        status="cancelled",
        revision=1,
        event=ask.event,
        digest=ask.digest,
        allowed=(),
        quorum=1,
        self_approval=True,
        opened_at=at,
        deadline=None,
        by="",
        at=at,
        response="",
        answer=b"",
        votes=(),
        messages=(),
    )
