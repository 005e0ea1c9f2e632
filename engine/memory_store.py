"""`MemoryRunStore`: the `RunStore` contract in plain Python, for tests and runs that may die with their process.

It says the same as `engine.redis` to the same calls; one contract suite holds both to it. Nothing here
awaits, so each verb is atomic within its event loop.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine.errors import FencedError, NotJudged
from engine.run_store import (
    CLOCK_TOLERANCE_S,
    LEAVE_PAUSE_S,
    OVER,
    PATIENCE_S,
    REFUSALS_KEPT,
    REOPENABLE,
    TRIES_KEPT,
    Amendment,
    Answer,
    AskRecord,
    AskStatus,
    Claim,
    Commit,
    EffectClaim,
    EffectRecord,
    Entry,
    JournalEntry,
    NewAsk,
    NewRun,
    Place,
    Refusal,
    RunRecord,
    RunStatus,
    Timer,
    WholeRun,
)
from engine.verdicts import Accepted, Expired, NotAllowed, Recorded, Stale, Unknown, Verdict

_ASKS_KEPT = 64
_DONE_KEPT = 128
_SEEN_KEPT = 1_024
_JOURNAL_KEPT = 5_000
_LINK_KEPT_S = 400 * 86_400.0


@dataclass(slots=True)
class _Ask:
    record: AskRecord
    rungs: list[Timer] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """By whom, once for each try written down."""
    updates: int = 0

    @property
    def due_at(self) -> float | None:
        if self.record.status != "open":
            return None
        times = [timer.at for timer in self.rungs[:1]]
        return min([*times, *([] if self.record.deadline is None else [self.record.deadline])], default=None)

    @property
    def prompt(self) -> str:
        """The effect that shows it as it is now."""
        return _prompt(self.record.ask_id, self.record.revision)

    @property
    def shown_by(self) -> str:
        """The last effect that brings what is shown of it to how it is now."""
        if not self.updates:
            return self.prompt
        return f"update:{self.record.ask_id}:{self.record.revision}.{self.updates}"


@dataclass(slots=True)
class _Effect:
    body: bytes
    ask_id: str
    after: str
    not_before: float
    attempts: int = 0
    done: bool = False
    ref: str = ""


@dataclass(slots=True)
class _Run:
    record: RunRecord
    inbox: list[Entry]
    ready_at: float | None
    state: dict[str, bytes] = field(default_factory=dict)
    memo: dict[str, bytes] = field(default_factory=dict)
    asks: dict[str, _Ask] = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)
    effects: dict[str, _Effect] = field(default_factory=dict)
    seen: dict[tuple[str, str], Verdict | None] = field(default_factory=dict)
    lines: list[JournalEntry] = field(default_factory=list)
    fence: int = 0
    until: float | None = None
    """End of the lease; None: nobody holds it."""
    worker: str = ""
    attempts: int = 0
    wake_at: float | None = None
    left_until: float | None = None
    left_by: list[str] = field(default_factory=list)
    cancelling: bool = False
    forget_at: float | None = None

    @property
    def over(self) -> bool:
        return self.record.status in OVER

    def held(self, now: float) -> bool:
        return self.until is not None and self.until > now

    def has_work(self, now: float) -> bool:
        if self.record.status == "parked":
            return False
        return bool(self.inbox) or self.until is not None or (self.wake_at is not None and self.wake_at <= now)


def _prompt(ask_id: str, revision: int) -> str:
    return f"prompt:{ask_id}" if revision == 1 else f"prompt:{ask_id}:{revision}"


class MemoryRunStore:
    """A `RunStore` in this process. *clock* returns POSIX seconds; a test passes one it can move."""

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        *,
        ttl_s: float = 30 * 86_400.0,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._clock = clock
        self._ttl_s = ttl_s
        self._patience_s = patience_s
        self._runs: dict[str, _Run] = {}
        self._verify: dict[tuple[str, str, str], float] = {}
        self._links: dict[str, tuple[str, float]] = {}

    async def close(self) -> None:
        """Nothing to give back."""

    # --- runs ----------------------------------------------------------------------------------

    def new_run_id(self, key: str | None = None) -> str:
        raw = secrets.token_bytes(10) if key is None else hashlib.blake2b(key.encode(), digest_size=10).digest()
        return f"k0-{base64.b32encode(raw).decode().lower()}"

    async def start(self, run: NewRun, *, worker: str = "", lease_s: float = 0.0) -> tuple[bool, Claim | None]:
        created = self._find(_checked(run.run_id)) is None
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
            self._runs[run.run_id] = new = _Run(record, [Entry("sent", now, run.event)], now)
            self._note(new, "started", run.requester, workflow=run.workflow)
        return created, await self.claim(run.run_id, worker, lease_s) if worker else None

    async def begin(self, run: NewRun, change: Commit, now: float, *, worker: str, lease_s: float) -> Claim | None:
        _check(change)
        if self._find(_checked(run.run_id)) is not None:
            raise FencedError(f"run {run.run_id} was there before it was begun; drop the work")
        if abs(self._clock() - now) > CLOCK_TOLERANCE_S:
            return None
        _, claim = await self.start(run, worker=worker, lease_s=lease_s)
        assert claim is not None
        return await self.commit(claim, change)

    async def send(self, run_id: str, delivery_id: str, event: bytes) -> bool:
        run = self._find(run_id)
        if run is None or run.over:
            return False
        if ("send", delivery_id) not in run.seen:
            self._push(run, Entry("sent", self._clock(), event))
            self._see(run, ("send", delivery_id), None)
            self._note(run, "sent")
        return True

    async def deliver(self, answer: Answer) -> Verdict:
        run = self._find(answer.run_id)
        if run is None:
            return Unknown()
        delivery = ("deliver", answer.delivery_id)
        told = run.seen.get(delivery)
        if told is None:
            ask = run.asks.get(answer.ask_id)
            told = self._judge(run, ask, answer) if ask is not None else Unknown()
            if isinstance(told, Accepted | Recorded | Stale | Expired) and not run.over:
                self._see(run, delivery, told)
        return told

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

    async def amend(self, change: Amendment) -> Verdict:
        run = self._find(change.run_id)
        delivery = ("deliver", change.delivery_id)
        if run is None:
            return Unknown()
        if (told := run.seen.get(delivery)) is not None:
            return told
        ask = run.asks.get(change.ask_id)
        if ask is None:
            return Unknown()
        if (told := ask.record.verdict) is not None:
            return told
        if ask.record.deadline is not None and ask.record.deadline <= self._clock():
            return Expired(ask.record.deadline)
        details = {"ask": change.ask_id}
        if change.allowed is not None:
            if ask.record.allowed != change.before:
                return Stale()
            gone = set(change.before).difference(change.allowed)
            votes = tuple(vote for vote in ask.record.votes if vote[0] not in gone)
            ask.record = replace(ask.record, allowed=change.allowed, votes=votes)
            self._owe_update(run, ask)
            details["allowed"] = " ".join(change.allowed)
        if change.asks_back:
            ask.record = replace(ask.record, asks_back=True)
        for effect in change.effects:
            self._owe(run, effect.effect_id, change.ask_id, ask.shown_by, effect.body)
        if change.note:
            details["note"] = change.note
        self._note(run, change.what, change.actor, **details)
        told = Accepted(change.actor, self._clock(), change.what)
        self._see(run, delivery, told)
        return told

    async def refuse(self, refusal: Refusal) -> Verdict:
        run = self._find(refusal.run_id)
        delivery = ("deliver", refusal.delivery_id)
        if run is None:
            return Unknown()
        if (told := run.seen.get(delivery)) is not None:
            return told
        ask = run.asks.get(refusal.ask_id)
        if ask is None:
            return Unknown()
        told = NotAllowed(refusal.allowed)
        if ask.refused.count(refusal.actor) < TRIES_KEPT and len(ask.refused) < REFUSALS_KEPT:
            ask.refused.append(refusal.actor)
            self._note(run, "refused", refusal.actor, **_decision(ask.record, refusal), why=refusal.why)
            self._see(run, delivery, told)
        return told

    def _judge(self, run: _Run, ask: _Ask, answer: Answer) -> Verdict:
        now, record = self._clock(), ask.record
        if (told := record.verdict) is not None:
            return told
        if answer.unseen and not record.takes(run.record.requester, answer.actor, answer.response):
            raise NotJudged(f"ask {answer.ask_id} of run {answer.run_id} does not clearly take this answer")
        if record.deadline is not None and record.deadline <= now:
            return Expired(record.deadline)
        if answer.revision not in (None, record.revision):
            return Stale()
        if record.quorum > 1:
            before = record.votes
            others = tuple(vote for vote in before if vote[0] != answer.actor)
            votes = (*others, (answer.actor, answer.response))
            count = sum(response == answer.response for _, response in votes)
            counts_anew = (answer.actor, answer.response) not in before
            if counts_anew or answer.final or count >= record.quorum:
                ask.record = replace(record, votes=votes)
            if count < record.quorum and not answer.final:
                if counts_anew:
                    details = {"count": str(count), "quorum": str(record.quorum)}
                    self._note(run, "voted", answer.actor, **_decision(record, answer), **details)
                    self._owe_update(run, ask)
                return Recorded(count, record.quorum)
        self._push(run, Entry("answered", now, answer.body, answer.ask_id, answer.actor))
        self._close(run, ask, "answered", now, by=answer.actor, response=answer.response, body=answer.body)
        self._note(run, "answered", answer.actor, **_decision(record, answer))
        return Accepted(answer.actor, now, answer.response)

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
        self._give_back(run)
        run.ready_at = self._clock()

    async def leave(self, claim: Claim, note: str) -> bool:
        run = self._held(claim)
        if not self._leave(run, run.worker, seen=True, note=note):
            return False
        self._give_back(run)
        return True

    def _give_back(self, run: _Run) -> None:
        run.until, run.wake_at = None, self._clock()
        run.attempts = max(0, run.attempts - 1)
        run.record = replace(run.record, status="ready")

    def _leave(self, run: _Run, worker: str, *, seen: bool, **details: str) -> bool:
        """Leave a run to others than *worker*, which need not look again if it has *seen* it."""
        now = self._clock()
        first = run.left_until is None
        until = now + self._patience_s if run.left_until is None else run.left_until
        if until <= now:
            return False
        run.left_until = until
        run.ready_at = now + LEAVE_PAUSE_S
        if first or seen:
            self._note(run, "left", worker, **details)
        if seen:
            run.left_by.append(worker)
        return True

    async def commit(self, claim: Claim, change: Commit) -> Claim:
        opened = _check(change)
        run = self._held(claim)
        if run.record.version != claim.version:
            raise _fenced(claim)
        for ask_id in opened:
            if ask_id in run.asks and run.asks[ask_id].record.status != "open":
                raise ValueError(f"ask {ask_id!r} of run {claim.run_id} is closed; give the new question a new id")
        self._apply(run, claim, change)
        self._schedule(run, change)
        details = {"asks": " ".join(opened), "note": change.note}
        told = {name: value for name, value in details.items() if value}
        self._note(run, "committed", version=str(run.record.version), status=run.record.status, **told)
        return self._claim(run)

    def _apply(self, run: _Run, claim: Claim, change: Commit) -> None:
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
            if ask is not None and ask.record.status == "open":
                self._close(run, ask, "cancelled", now)
                self._note(run, "withdrawn", ask=ask_id)
        for new in change.asks:
            self._open(run, new)
        for effect in change.effects:
            after = f"prompt:{effect.ask_id}" if effect.ask_id else ""
            self._owe(run, effect.effect_id, effect.ask_id, "" if after == effect.effect_id else after, effect.body)
        if change.status in OVER:
            for _, ask in sorted(run.asks.items()):
                if ask.record.status == "open":
                    self._close(run, ask, "cancelled", now)
        elif len(claim.asks) > _ASKS_KEPT:
            self._forget_asks(run, claim.asks[: -(_ASKS_KEPT // 2)])

    def _schedule(self, run: _Run, change: Commit) -> None:
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
            run.ready_at = now if run.inbox and status != "parked" else wake_at
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
            self._push(run, Entry("cancelled", now, actor=by))
            for _, ask in sorted(run.asks.items()):
                if ask.record.status == "open":
                    self._close(run, ask, "cancelled", now, by=by)
            self._note(run, "cancelled", by)
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
            self._note(run, "reopened", by)
        return was

    async def export(self, run_id: str) -> WholeRun | None:
        run = self._find(run_id)
        if run is None:
            return None
        effects = sorted(run.effects.items())
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
            asks=tuple(sorted((ask.record for ask in run.asks.values()), key=lambda one: (one.opened_at, one.ask_id))),
            effects=tuple(
                EffectRecord(name, not one.done, 0 if one.done else one.attempts, one.body, one.ref)
                for name, one in effects
            ),
            journal=tuple(run.lines),
        )

    async def fork(self, copy: WholeRun, source: str, by: str) -> bool:
        run_id, now = _checked(copy.run.run_id), self._clock()
        if self._find(run_id) is not None:
            return False
        record = replace(copy.run, status="ready", version=0, created_at=now, thread="")
        run = _Run(record, list(copy.inbox), now, dict(copy.state), dict(copy.memo), wake_at=now)
        for ask in copy.asks:
            closed = _Ask(_never_shown(run_id, ask, now))
            run.asks[ask.ask_id] = closed
            run.closed.append(ask.ask_id)
        self._runs[run_id] = run
        self._note(run, "forked", by, **{"from": source})
        origin = self._find(source)
        if origin is not None:
            self._note(origin, "forked", by, to=run_id)
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

    async def fire_timers(self, limit: int = 100) -> Sequence[str]:
        now = self._clock()
        due = [
            (ask.due_at, run, ask)
            for run in self._runs.values()
            for _, ask in sorted(run.asks.items())
            if ask.due_at is not None and ask.due_at <= now
        ]
        due.sort(key=lambda item: item[0])
        ready = [run.record.run_id for _, run, ask in due[:limit] if self._fire(run, ask)]
        return list(dict.fromkeys(ready))

    def _fire(self, run: _Run, ask: _Ask) -> bool:
        """Fire the rungs of an ask that are due; True if it has expired."""
        now, ask_id = self._clock(), ask.record.ask_id
        due = [timer for timer in ask.rungs if timer.at <= now]
        ends = [timer.at for timer in due if timer.kind == "expire"]
        if ask.record.deadline is not None and ask.record.deadline <= now:
            ends.append(ask.record.deadline)
        if ends:  # what should have come before goes unsaid: the question is closed
            self._push(run, Entry("expired", now, ask_id=ask_id))
            self._close(run, ask, "expired", min(ends))
            self._note(run, "expired", ask=ask_id)
            return run.record.status != "parked"
        if due:
            ask.record = replace(ask.record, reminded_at=now)
            self._owe_update(run, ask)
        for timer in due:
            self._owe(run, f"{timer.kind}:{ask_id}:{timer.n}", ask_id, ask.shown_by)
            self._note(run, "reminded" if timer.kind == "remind" else "escalated", ask=ask_id, n=str(timer.n))
        del ask.rungs[: len(due)]
        return False

    async def due(self, limit: int = 100) -> Sequence[str]:
        now = self._clock()
        ready = [(run.ready_at, run_id) for run_id, run in self._runs.items() if run.ready_at is not None]
        ready.sort(key=lambda item: item[0])
        return [run_id for at, run_id in ready if at <= now][:limit]

    # --- effects -------------------------------------------------------------------------------

    async def due_effects(self, limit: int = 100) -> Sequence[tuple[str, str]]:
        now = self._clock()
        owed = [
            (effect.not_before, (run_id, effect_id))
            for run_id in list(self._runs)
            if (run := self._find(run_id)) is not None
            for effect_id, effect in run.effects.items()
            if not effect.done and effect.not_before <= now
        ]
        owed.sort(key=lambda item: item[0])
        return [name for _, name in owed[:limit]]

    async def effects_of(self, run_id: str) -> Sequence[str]:
        run, now = self._find(run_id), self._clock()
        effects = run.effects if run is not None else {}
        return [name for name, effect in effects.items() if not effect.done and effect.not_before <= now]

    async def claim_effect(self, run_id: str, effect_id: str, lease_s: float) -> EffectClaim | None:
        run, now = self._find(run_id), self._clock()
        effect = run.effects.get(effect_id) if run is not None else None
        if run is None or effect is None or effect.done or effect.not_before > now:
            return None
        first = run.effects.get(effect.after)
        if first is not None and not first.done:
            effect.not_before = max(effect.not_before, first.not_before)
            return None
        if effect_id.startswith("update:") and self._waiting(run, effect_id, ("lock:", "update:")):
            self._end(run, effect_id, effect, "")  # what waits shows all that this update would
            return None
        effect.attempts += 1
        effect.not_before = now + lease_s
        ask = run.asks.get(effect.ask_id)
        return EffectClaim(
            run=run.record,
            effect_id=effect_id,
            attempt=effect.attempts,
            again=effect.attempts > 1,
            body=effect.body,
            ask=None if ask is None else ask.record,
            now=now,
            until=now + lease_s,
        )

    async def finish_effect(self, claim: EffectClaim, ref: str) -> str:
        run = self._find(claim.run.run_id)
        effect = run.effects.get(claim.effect_id) if run is not None else None
        if run is None or effect is None:
            return ""
        name = (run.record.run_id, claim.effect_id)
        look_at = self._clock() + 2 * (claim.until - claim.now)
        if effect.done:
            if effect.ref and effect.ref != ref:  # two did it: the second copy must be gone when somebody looks
                self._verify.setdefault((*name, effect.ref), look_at)
            return effect.ref
        if effect.attempts > 1:
            self._verify[*name, ref] = look_at
        kind = claim.effect_id.partition(":")[0]
        if kind == "prompt":
            run.record = replace(run.record, thread=run.record.thread or ref)
        ask = run.asks.get(effect.ask_id)
        if kind in ("prompt", "copy") and ask is not None:
            if ref not in ask.record.messages:
                ask.record = replace(ask.record, messages=(*ask.record.messages, ref))
            if kind == "copy" and (ask.updates or ask.record.status != "open"):
                self._owe_update(run, ask)
        self._note(run, "shown", effect=claim.effect_id, ref=ref)
        self._end(run, claim.effect_id, effect, ref)
        return ref

    async def replace_message(self, run_id: str, ask_id: str, gone: str, ref: str) -> None:
        run = self._find(run_id)
        ask = run.asks.get(ask_id) if run is not None else None
        if run is None or ask is None or gone not in ask.record.messages:
            return
        messages = tuple(ref if message == gone else message for message in ask.record.messages)
        ask.record = replace(ask.record, messages=messages)
        if run.record.thread == gone:
            run.record = replace(run.record, thread=ref)
        self._note(run, "shown again", gone=gone, ref=ref)

    async def delay_effect(self, claim: EffectClaim, until: float, *, untried: bool = False, why: str = "") -> None:
        run, effect = self._attempted(claim)
        if run is not None and effect is not None:
            effect.not_before = until
            effect.attempts -= untried
            if why:
                self._note(run, "held back", effect=claim.effect_id, reason=why)

    async def drop_effect(self, claim: EffectClaim, reason: str) -> None:
        run, effect = self._attempted(claim)
        if run is not None and effect is not None:
            self._note(run, "dropped", effect=claim.effect_id, reason=reason)
            self._end(run, claim.effect_id, effect, "")

    def _attempted(self, claim: EffectClaim) -> tuple[_Run | None, _Effect | None]:
        """Return the effect of *claim* if nobody else is at it by now."""
        run = self._find(claim.run.run_id)
        effect = run.effects.get(claim.effect_id) if run is not None else None
        current = effect is not None and not effect.done and effect.attempts == claim.attempt
        return run, effect if current else None

    def _end(self, run: _Run, effect_id: str, effect: _Effect, ref: str) -> None:
        now = self._clock()
        effect.done, effect.ref, effect.body = True, ref, b""
        if effect_id.startswith(("prompt:", "update:")):
            for waiting in self._waiting(run, effect_id):
                waiting.not_before = min(waiting.not_before, now)
        done = [name for name, other in run.effects.items() if other.done]
        if len(done) > _DONE_KEPT:
            for name in done[: len(done) - _DONE_KEPT // 2]:
                del run.effects[name]

    def _waiting(self, run: _Run, effect_id: str, kinds: str | tuple[str, ...] = "") -> list[_Effect]:
        """Return what is owed once an effect is done."""
        effects = run.effects.items()
        return [one for name, one in effects if one.after == effect_id and not one.done and name.startswith(kinds)]

    async def doubtful(self, limit: int = 100) -> Sequence[tuple[str, str, str]]:
        due = sorted((at, name) for name, at in self._verify.items() if at <= self._clock())
        return [name for _, name in due[:limit]]

    async def settle(self, run_id: str, effect_id: str, ref: str) -> None:
        run = self._find(run_id)
        if self._verify.pop((run_id, effect_id, ref), None) is not None and run is not None:
            self._note(run, "settled", effect=effect_id, ref=ref)

    # --- reading -------------------------------------------------------------------------------

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
        records = [run.record for run_id in list(self._runs) if (run := self._find(run_id)) is not None]
        found = [
            record
            for record in records
            if (not statuses or record.status in statuses)
            and workflow in (None, record.workflow)
            and tenant in (None, record.tenant)
            and requester in (None, record.requester)
            and (before is None or record.place < before)
        ]
        return sorted(found, key=lambda record: record.place, reverse=True)[:limit]

    async def ask(self, run_id: str, ask_id: str) -> AskRecord | None:
        run = self._find(run_id)
        ask = run.asks.get(ask_id) if run is not None else None
        return None if ask is None else ask.record

    async def asked(self, run_id: str, ask_id: str) -> tuple[RunRecord, AskRecord] | None:
        run, ask = await self.run(run_id), await self.ask(run_id, ask_id)
        return None if run is None or ask is None else (run, ask)

    async def open_asks(self, run_id: str) -> Sequence[AskRecord]:
        run = self._find(run_id)
        return [] if run is None else [ask.record for ask in run.asks.values() if ask.record.status == "open"]

    async def last_closed(self, run_id: str) -> AskRecord | None:
        run = self._find(run_id)
        return run.asks[run.closed[-1]].record if run is not None and run.closed else None

    async def asks_for(self, tenant: str, actor: str, limit: int = 100) -> Sequence[AskRecord]:
        """Return open asks of *tenant* that name *actor*, or, for "", that anybody may answer; oldest first."""
        found = [
            ask.record
            for run in self._runs.values()
            if run.record.tenant == tenant
            for ask in run.asks.values()
            if ask.record.status == "open" and actor in (ask.record.allowed or ("",))
        ]
        return sorted(found, key=lambda record: record.opened_at)[:limit]

    async def state(self, run_id: str, *names: str) -> Mapping[str, bytes]:
        run = self._find(run_id)
        state = {} if run is None else run.state
        return {name: value for name, value in state.items() if not names or name in names}

    async def journal(self, run_id: str) -> Sequence[JournalEntry]:
        run = self._find(run_id)
        return [] if run is None else list(run.lines)

    async def link(self, ref: str, run_id: str) -> None:
        self._links[ref] = (run_id, self._clock() + _LINK_KEPT_S)

    async def linked(self, ref: str) -> str | None:
        run_id, until = self._links.get(ref, ("", 0.0))
        return run_id if until > self._clock() else None

    # --- parts of transitions --------------------------------------------------------------------

    def _find(self, run_id: str) -> _Run | None:
        run = self._runs.get(run_id)
        if run is not None and run.forget_at is not None and run.forget_at <= self._clock():
            del self._runs[run_id]
            return None
        return run

    def _held(self, claim: Claim) -> _Run:
        run = self._find(claim.run_id)
        if run is None or run.over or run.until is None or run.fence != claim.fence:
            raise _fenced(claim)
        return run

    def _claim(self, run: _Run) -> Claim:
        now, record = self._clock(), run.record
        still_open = sorted(ask_id for ask_id, ask in run.asks.items() if ask.record.status == "open")
        return Claim(
            run_id=record.run_id,
            workflow=record.workflow,
            revision=record.revision,
            fence=run.fence,
            version=record.version,
            now=now,
            until=now if run.until is None else run.until,
            attempts=run.attempts,
            state=dict(run.state),
            inbox=tuple(run.inbox),
            memo=dict(run.memo),
            requester=record.requester,
            tenant=record.tenant,
            asks=(*run.closed, *still_open),
        )

    def _push(self, run: _Run, entry: Entry) -> None:
        now = self._clock()
        run.inbox.append(entry)
        if run.record.status == "parked":
            return
        run.record = replace(run.record, status="ready")
        if not run.held(now):
            run.ready_at = now if run.ready_at is None else min(run.ready_at, now)

    def _open(self, run: _Run, new: NewAsk) -> None:
        before = run.asks.pop(new.ask_id, None)
        revision = 1 if before is None else before.record.revision + 1
        record = AskRecord(
            run_id=run.record.run_id,
            ask_id=new.ask_id,
            status="open",
            revision=revision,
            event=new.event,
            digest=new.digest,
            allowed=new.allowed,
            quorum=new.quorum,
            self_approval=new.self_approval,
            opened_at=self._clock(),
            deadline=new.deadline,
            by="",
            at=0.0,
            response="",
            answer=b"",
            votes=(),
            messages=() if before is None else before.record.messages,
            options=new.options,
        )
        run.asks[new.ask_id] = ask = _Ask(record, sorted(new.timers, key=lambda timer: timer.at))
        self._owe(run, ask.prompt, new.ask_id, before.shown_by if before is not None else "")

    def _close(
        self, run: _Run, ask: _Ask, status: AskStatus, at: float, by: str = "", response: str = "", body: bytes = b""
    ) -> None:
        ask.record = replace(ask.record, status=status, at=at, by=by, response=response, answer=body)
        ask.rungs.clear()
        run.closed.append(ask.record.ask_id)
        self._owe(run, f"lock:{ask.record.ask_id}", ask.record.ask_id, ask.shown_by)

    def _owe_update(self, run: _Run, ask: _Ask) -> None:
        """Owe that every message of an ask shows it as it is now, after what is still on its way."""
        after = ask.shown_by
        ask.updates += 1
        self._owe(run, ask.shown_by, ask.record.ask_id, after)

    def _owe(self, run: _Run, effect_id: str, ask_id: str = "", after: str = "", body: bytes = b"") -> None:
        if effect_id not in run.effects:
            run.effects[effect_id] = _Effect(body, ask_id, after, self._clock())

    def _forget_asks(self, run: _Run, older: Sequence[str]) -> None:
        """Forget those of *older* that are closed, except what something owed shows."""
        for ask_id in [ask_id for ask_id in older if ask_id in run.closed]:
            shown_by = [run.effects.get(name) for name in (f"lock:{ask_id}", run.asks[ask_id].shown_by)]
            if all(effect is None or effect.done for effect in shown_by):
                del run.asks[ask_id]
                run.closed.remove(ask_id)

    def _see(self, run: _Run, delivery: tuple[str, str], told: Verdict | None) -> None:
        run.seen[delivery] = told
        if len(run.seen) > _SEEN_KEPT:
            del run.seen[next(iter(run.seen))]

    def _note(self, run: _Run, what: str, by: str = "", **details: str) -> None:
        run.lines.append(JournalEntry(self._clock(), what, by, details))
        del run.lines[:-_JOURNAL_KEPT]


def _decision(ask: AskRecord, answer: Answer | Refusal) -> dict[str, str]:
    """Return what the journal says of an answer: to what exactly it was given, and which way it came."""
    details = {"ask": ask.ask_id, "response": answer.response, "revision": str(ask.revision), "digest": ask.digest}
    if isinstance(answer, Answer) and answer.approves:
        details["approves"] = answer.approves
    return {**details, "via": answer.via} if answer.via else details


def _check(change: Commit) -> list[str]:
    """Return the asks that *change* opens, if it may."""
    opened = [ask.ask_id for ask in change.asks]
    if len(set(opened)) < len(opened):
        raise ValueError(f"a commit opens an ask twice: {opened}")
    if opened and change.status in OVER:
        raise ValueError(f"a run that is {change.status} opens no asks, but this commit opens {opened}")
    return opened


def _checked(run_id: str) -> str:
    if "|" in run_id:
        raise ValueError(f"run id {run_id!r} contains '|'; use new_run_id()")
    return run_id


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


def _fenced(claim: Claim) -> FencedError:
    return FencedError(
        f"run {claim.run_id} moved on from fence {claim.fence}, version {claim.version}: another worker has it, "
        "or this one gave it back; drop the work"
    )
