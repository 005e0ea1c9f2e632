"""What can be read of runs, asks and indexes, and links."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from engine.memory_store.rows import Ask, Run
from engine.run_store import LINK_KEPT_S, AskRecord, JournalEntry, Place, RunRecord, RunStatus


class Reads:
    """The verbs of `MemoryRunStore` that only look, and links."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._runs: dict[str, Run] = {}
        self._verify: dict[tuple[str, str, str], float] = {}
        self._links: dict[str, tuple[str, float]] = {}

    async def run(self, run_id: str) -> RunRecord | None:
        run = self._find(run_id)
        return None if run is None else run.record

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
        found = [
            record
            for record in (run.record for run in self._all())
            if (not statuses or record.status in statuses)
            and workflow in (None, record.workflow)
            and tenant in (None, record.tenant)
            and requester in (None, record.requester)
            and (before is None or record.place < before)
        ]
        return sorted(found, key=lambda record: record.place, reverse=True)[:limit]

    async def ask(self, run_id: str, ask_id: str) -> AskRecord | None:
        ask = self._ask(self._find(run_id), ask_id)
        return None if ask is None else ask.record

    async def asked(self, run_id: str, ask_id: str) -> tuple[RunRecord, AskRecord] | None:
        run, ask = await self.run(run_id), await self.ask(run_id, ask_id)
        return None if run is None or ask is None else (run, ask)

    async def open_asks(self, run_id: str) -> Sequence[AskRecord]:
        run = self._find(run_id)
        return [] if run is None else [ask.record for ask in run.asks.values() if ask.is_open]

    async def last_closed(self, run_id: str) -> AskRecord | None:
        run = self._find(run_id)
        return run.asks[run.closed[-1]].record if run is not None and run.closed else None

    async def asks_for(self, tenant: str, actor: str, limit: int = 100) -> Sequence[AskRecord]:
        found = [
            ask.record
            for run in self._runs.values()
            if run.record.tenant == tenant
            for ask in run.asks.values()
            if ask.is_open and actor in (ask.record.allowed or ("",))
        ]
        return sorted(found, key=lambda record: record.opened_at)[:limit]

    async def state(self, run_id: str, *names: str) -> Mapping[str, bytes]:
        run = self._find(run_id)
        state = {} if run is None else run.state
        return {name: value for name, value in state.items() if not names or name in names}

    async def journal(self, run_id: str) -> Sequence[JournalEntry]:
        run = self._find(run_id)
        return [] if run is None else list(run.lines)

    async def due(self, limit: int = 100) -> Sequence[str]:
        now = self._clock()
        ready = [(run.ready_at, run_id) for run_id, run in self._runs.items() if run.ready_at is not None]
        ready.sort(key=lambda item: item[0])
        return [run_id for at, run_id in ready if at <= now][:limit]

    async def due_effects(self, limit: int = 100) -> Sequence[tuple[str, str]]:
        now = self._clock()
        owed = [(since, (run.record.run_id, name)) for run in self._all() for since, name in run.owed(now)]
        owed.sort(key=lambda item: item[0])
        return [name for _, name in owed[:limit]]

    async def effects_of(self, run_id: str) -> Sequence[str]:
        run = self._find(run_id)
        return [] if run is None else [name for _, name in run.owed(self._clock())]

    async def doubtful(self, limit: int = 100) -> Sequence[tuple[str, str, str]]:
        due = sorted((at, name) for name, at in self._verify.items() if at <= self._clock())
        return [name for _, name in due[:limit]]

    async def link(self, ref: str, run_id: str) -> None:
        self._links[ref] = (run_id, self._clock() + LINK_KEPT_S)

    async def linked(self, ref: str) -> str | None:
        run_id, until = self._links.get(ref, ("", 0.0))
        return run_id if until > self._clock() else None

    def _find(self, run_id: str) -> Run | None:
        run = self._runs.get(run_id)
        if run is not None and run.forget_at is not None and run.forget_at <= self._clock():
            del self._runs[run_id]
            return None
        return run

    def _all(self) -> list[Run]:
        return [run for run_id in list(self._runs) if (run := self._find(run_id)) is not None]

    def _ask(self, run: Run | None, ask_id: str) -> Ask | None:
        return None if run is None else run.asks.get(ask_id)
