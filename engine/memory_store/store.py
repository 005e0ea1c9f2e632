"""`MemoryRunStore`: each verb that changes a run."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from engine.errors import FencedError
from engine.memory_store.answers import Answers
from engine.memory_store.copies import Copies
from engine.memory_store.outbox import Outbox
from engine.memory_store.rows import Ask, Run
from engine.run_store import (
    ASKS_KEPT,
    CLOCK_TOLERANCE_S,
    KEPT_S,
    LEAVE_PAUSE_S,
    OVER,
    PATIENCE_S,
    REOPENABLE,
    Answer,
    Claim,
    Commit,
    Entry,
    NewRun,
    RunRecord,
    RunStatus,
    checked_run_id,
)
from engine.verdicts import Accepted, Verdict


class MemoryRunStore(Answers, Copies, Outbox):
    """A `RunStore` in this process. *clock* returns POSIX seconds; a test passes one it can move."""

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        *,
        ttl_s: float = KEPT_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        super().__init__(clock)
        self._ttl_s = ttl_s
        self._patience_s = patience_s

    async def close(self) -> None:
        """Nothing to give back."""

    def new_run_id(self, key: str | None = None) -> str:
        raw = secrets.token_bytes(10) if key is None else hashlib.blake2b(key.encode(), digest_size=10).digest()
        return f"k0-{base64.b32encode(raw).decode().lower()}"

    async def start(self, run: NewRun, *, worker: str = "", lease_s: float = 0.0) -> tuple[bool, Claim | None]:
        created = self._find(checked_run_id(run.run_id)) is None
        if created:
            now = self._clock()
            record = RunRecord(
                run_id=run.run_id,
                workflow=run.workflow,
                revision=run.revision,
                status="ready",
                version=0,
                tenant=run.tenant,
                requester=run.requester,
                address=run.address,
                created_at=now,
                thread="",
            )
            self._runs[run.run_id] = new = Run(record, [Entry("sent", now, run.event)], now)
            new.fence = run.fence - 1 if worker else 0
            new.note(now, "started", run.requester, workflow=run.workflow)
        return created, await self.claim(run.run_id, worker, lease_s) if worker else None

    async def begin(self, run: NewRun, change: Commit, now: float, *, worker: str, lease_s: float) -> Claim | None:
        change.opened()
        if self._find(checked_run_id(run.run_id)) is not None:
            raise FencedError(f"run {run.run_id} was there before it was begun; drop the work")
        if abs(self._clock() - now) > CLOCK_TOLERANCE_S:
            return None
        _, claim = await self.start(run, worker=worker, lease_s=lease_s)
        assert claim is not None
        return await self.commit(claim, change)

    async def send(self, run_id: str, delivery_id: str, event: bytes) -> bool:
        run, now = self._find(run_id), self._clock()
        if run is None or run.over:
            return False
        if ("send", delivery_id) not in run.seen:
            run.push(Entry("sent", now, event), now)
            run.see(("send", delivery_id), None)
            run.note(now, "sent")
        return True

    async def deliver_and_claim(
        self, answer: Answer, worker: str, lease_s: float, workflows: Sequence[str] = ()
    ) -> tuple[Verdict, Claim | None]:
        before = self._find(answer.run_id)
        known = before is not None and ("deliver", answer.delivery_id) in before.seen
        verdict = await self.deliver(answer)
        if known or before is None or not isinstance(verdict, Accepted):
            return verdict, None
        if workflows and before.record.workflow not in workflows:
            return verdict, None
        return verdict, await self.claim(answer.run_id, worker, lease_s, workflows)

    async def claim(self, run_id: str, worker: str, lease_s: float, workflows: Sequence[str] = ()) -> Claim | None:
        run, now = self._find(run_id), self._clock()
        if run is None or run.over or run.held(now):
            return None
        if not run.has_work(now):
            run.ready_at = run.wake_at
            return None
        if worker in run.left_by and run.left_until is not None and run.left_until > now:
            run.ready_at = now + LEAVE_PAUSE_S
            return None
        unknown = workflows and run.record.workflow not in workflows
        if unknown and self._leave(run, worker, seen=False, workflow=run.record.workflow):
            return None
        run.fence += 1
        run.attempts += 1
        run.until = run.ready_at = now + lease_s
        run.worker = worker
        return self._claim(run)

    async def renew(self, claim: Claim, lease_s: float) -> None:
        run = self._held(claim)
        run.until = run.ready_at = self._clock() + lease_s

    async def remember(self, claim: Claim, key: str, value: bytes) -> bytes:
        return self._held(claim).memo.setdefault(key, value)

    async def release(self, claim: Claim) -> None:
        run = self._held(claim)
        run.give_back(self._clock())
        run.ready_at = self._clock()

    async def leave(self, claim: Claim, note: str) -> bool:
        run = self._held(claim)
        if not self._leave(run, run.worker, seen=True, note=note):
            return False
        run.give_back(self._clock())
        return True

    def _leave(self, run: Run, worker: str, *, seen: bool, **details: str) -> bool:
        """Leave a run to others than *worker*, which need not look again if it has *seen* it."""
        now = self._clock()
        first = run.left_until is None
        until = now + self._patience_s if run.left_until is None else run.left_until
        if until <= now:
            return False
        run.left_until = until
        run.ready_at = now + LEAVE_PAUSE_S
        if first or seen:
            run.note(now, "left", worker, **details)
        if seen:
            run.left_by.append(worker)
        return True

    async def commit(self, claim: Claim, change: Commit) -> Claim:
        opened = change.opened()
        run = self._held(claim)
        if run.record.version != claim.version:
            raise claim.overtaken()
        for ask_id in opened:
            if ask_id in run.asks and not run.asks[ask_id].is_open:
                raise ValueError(f"ask {ask_id!r} of run {claim.run_id} is closed; give the new question a new id")
        self._apply(run, claim, change)
        self._schedule(run, change)
        details = {"asks": " ".join(opened), "note": change.note}
        told = {name: value for name, value in details.items() if value}
        run.note(self._clock(), "committed", version=str(run.record.version), status=run.record.status, **told)
        return self._claim(run)

    def _apply(self, run: Run, claim: Claim, change: Commit) -> None:
        now = self._clock()
        run.attempts, run.wake_at, run.left_until = 0, None, None
        run.left_by.clear()
        run.state.update(change.written)
        for name in change.removed:
            run.state.pop(name, None)
        for key in change.forgotten:
            run.memo.pop(key, None)
        del run.inbox[: change.consumed]
        for ask_id in change.withdrawn:
            ask = run.asks.get(ask_id)
            if ask is not None and ask.is_open:
                run.close(ask, "cancelled", now)
                run.note(now, "withdrawn", ask=ask_id)
        for new in change.asks:
            run.open(new, now)
        for effect in change.effects:
            after = f"prompt:{effect.ask_id}" if effect.ask_id else ""
            run.owe(effect.effect_id, now, effect.ask_id, "" if after == effect.effect_id else after, effect.body)
        if change.status in OVER:
            for ask in run.open_asks():
                run.close(ask, "cancelled", now)
        elif len(claim.asks) > ASKS_KEPT:
            run.forget_asks(claim.asks[: -(ASKS_KEPT // 2)])

    def _schedule(self, run: Run, change: Commit) -> None:
        now, status = self._clock(), change.status
        wake_at = change.wake_at
        if status in OVER:
            run.inbox.clear()
            if status == "done":
                run.memo.clear()
            run.until = run.ready_at = None
            run.forget_at = now + self._ttl_s
            wake_at = None
        elif change.release or status == "parked":
            run.until = None
            wake_at = None if status == "parked" else now if wake_at is None and status == "ready" else wake_at
            left = run.inbox and (status != "parked" or run.cancelling)  # one that is cancelled is given out for that
            status, run.ready_at = ("ready", now) if left else (status, wake_at)
        if run.inbox and status == "waiting":
            status = "ready"
        run.wake_at = wake_at
        run.record = replace(run.record, status=status, version=run.record.version + 1)

    async def cancel(self, run_id: str, by: str) -> bool:
        run, now = self._find(run_id), self._clock()
        if run is None or run.over:
            return False
        if not run.cancelling:
            run.cancelling = True
            run.record = replace(run.record, status="ready")  # a parked one is given out for this
            run.push(Entry("cancelled", now, actor=by), now)
            for ask in run.open_asks():
                run.close(ask, "cancelled", now, by=by)
            run.note(now, "cancelled", by)
        return True

    async def reopen(self, run_id: str, by: str) -> RunStatus | None:
        run, now = self._find(run_id), self._clock()
        if run is None:
            return None
        was = run.record.status
        if was in REOPENABLE:
            run.record = replace(run.record, status="ready")
            run.ready_at = run.wake_at = now
            run.cancelling, run.forget_at, run.attempts = False, None, 0
            if was in OVER:
                run.inbox.append(Entry("reopened", now, actor=by))
            run.note(now, "reopened", by)
        return was

    async def fire_timers(self, limit: int = 100) -> Sequence[str]:
        now = self._clock()
        due = [
            (ask.due_at, run, ask)
            for run in self._runs.values()
            for ask in run.open_asks()
            if ask.due_at is not None and ask.due_at <= now
        ]
        due.sort(key=lambda item: item[0])
        ready = [run.record.run_id for _, run, ask in due[:limit] if self._fire(run, ask)]
        return list(dict.fromkeys(ready))

    def _fire(self, run: Run, ask: Ask) -> bool:
        """Fire the rungs of an ask that are due; True if it has expired."""
        now, ask_id = self._clock(), ask.record.ask_id
        due = [timer for timer in ask.rungs if timer.at <= now]
        ends = [timer.at for timer in due if timer.kind == "expire"]
        if ask.record.deadline is not None and ask.record.deadline <= now:
            ends.append(ask.record.deadline)
        if ends:  # what should have come before goes unsaid: the question is closed
            run.push(Entry("expired", now, ask_id=ask_id), now)
            run.close(ask, "expired", now, at=min(ends))
            run.note(now, "expired", ask=ask_id)
            return run.record.status != "parked"
        if due:
            ask.record = replace(ask.record, reminded_at=now)
            run.owe_update(ask, now)
        for timer in due:
            run.owe(f"{timer.kind}:{ask_id}:{timer.n}", now, ask_id, ask.shown_by)
            run.note(now, "reminded" if timer.kind == "remind" else "escalated", ask=ask_id, n=str(timer.n))
        del ask.rungs[: len(due)]
        return False

    def _held(self, claim: Claim) -> Run:
        run = self._find(claim.run_id)
        if run is None or run.over or run.until is None or run.fence != claim.fence:
            raise claim.overtaken()
        return run

    def _claim(self, run: Run) -> Claim:
        now, record, held = self._clock(), run.record, run.until is not None
        still_open = [ask.record.ask_id for ask in run.open_asks()]
        return Claim(
            run_id=record.run_id,
            workflow=record.workflow,
            revision=record.revision,
            fence=run.fence,
            version=record.version,
            now=now,
            until=now if run.until is None else run.until,
            attempts=run.attempts,
            state=dict(run.state) if held else {},
            inbox=tuple(run.inbox),
            memo=dict(run.memo) if held else {},
            requester=record.requester,
            tenant=record.tenant,
            asks=(*run.closed, *still_open) if held else (),
        )
