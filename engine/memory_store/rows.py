"""What is kept of one run, and the parts that its transitions are made of. *now* is the store's time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from engine.run_store import (
    DONE_KEPT,
    JOURNAL_KEPT,
    OVER,
    AskRecord,
    AskStatus,
    EffectRecord,
    Entry,
    JournalEntry,
    NewAsk,
    RunRecord,
    Timer,
)
from engine.verdicts import Verdict

_SEEN_KEPT = 1_024


@dataclass(slots=True)
class Ask:
    record: AskRecord
    rungs: list[Timer] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """By whom, once for each try written down."""
    updates: int = 0

    @property
    def is_open(self) -> bool:
        return self.record.status == "open"

    @property
    def due_at(self) -> float | None:
        """When its next rung or its deadline comes, while it is open."""
        times = [timer.at for timer in self.rungs[:1]]
        return min([*times, *([] if self.record.deadline is None else [self.record.deadline])], default=None)

    @property
    def prompt(self) -> str:
        """The effect that shows it as it is now."""
        ask_id, revision = self.record.ask_id, self.record.revision
        return f"prompt:{ask_id}" if revision == 1 else f"prompt:{ask_id}:{revision}"

    @property
    def shown_by(self) -> str:
        """The last effect that brings what is shown of it to how it is now."""
        if not self.updates:
            return self.prompt
        return f"update:{self.record.ask_id}:{self.record.revision}.{self.updates}"


@dataclass(slots=True)
class Effect:
    body: bytes
    ask_id: str
    after: str
    not_before: float
    attempts: int = 0
    done: bool = False
    ref: str = ""

    def record(self, effect_id: str) -> EffectRecord:
        return EffectRecord(effect_id, not self.done, 0 if self.done else self.attempts, self.body, self.ref)


@dataclass(slots=True)
class Run:
    record: RunRecord
    inbox: list[Entry]
    ready_at: float | None
    state: dict[str, bytes] = field(default_factory=dict)
    memo: dict[str, bytes] = field(default_factory=dict)
    asks: dict[str, Ask] = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)
    effects: dict[str, Effect] = field(default_factory=dict)
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

    def push(self, entry: Entry, now: float) -> None:
        """Put *entry* into the inbox, and the run among those that are ready, unless it is parked."""
        self.inbox.append(entry)
        if self.record.status == "parked":
            return
        self.record = replace(self.record, status="ready")
        if not self.held(now):
            self.ready_at = now if self.ready_at is None else min(self.ready_at, now)

    def give_back(self, now: float) -> None:
        """End the lease, as if the run had not been claimed."""
        self.until, self.wake_at = None, now
        self.attempts = max(0, self.attempts - 1)
        self.record = replace(self.record, status="ready")

    # --- asks ----------------------------------------------------------------------------------

    def open_asks(self) -> list[Ask]:
        """Return them in the order of their ids."""
        return [ask for _, ask in sorted(self.asks.items()) if ask.is_open]

    def open(self, new: NewAsk, now: float) -> None:
        """Ask *new*, or ask it anew, and owe its message."""
        before = self.asks.pop(new.ask_id, None)
        record = AskRecord(
            run_id=self.record.run_id,
            ask_id=new.ask_id,
            status="open",
            revision=1 if before is None else before.record.revision + 1,
            event=new.event,
            digest=new.digest,
            allowed=new.allowed,
            quorum=new.quorum,
            self_approval=new.self_approval,
            opened_at=now,
            deadline=new.deadline,
            by="",
            at=0.0,
            response="",
            answer=b"",
            votes=(),
            messages=() if before is None else before.record.messages,
            options=new.options,
            complete=new.complete,
        )
        self.asks[new.ask_id] = ask = Ask(record, sorted(new.timers, key=lambda timer: timer.at))
        self.owe(ask.prompt, now, new.ask_id, before.shown_by if before is not None else "")

    def close(
        self,
        ask: Ask,
        status: AskStatus,
        now: float,
        *,
        at: float | None = None,
        by: str = "",
        response: str = "",
        body: bytes = b"",
    ) -> None:
        """Close *ask*, as of *at* if that is not now, and owe that its messages say so."""
        ask.record = replace(
            ask.record, status=status, at=now if at is None else at, by=by, response=response, answer=body
        )
        ask.rungs.clear()
        self.closed.append(ask.record.ask_id)
        self.owe(f"lock:{ask.record.ask_id}", now, ask.record.ask_id, ask.shown_by)

    def owe_update(self, ask: Ask, now: float) -> None:
        """Owe that every message of *ask* shows it as it is now, after what is still on its way."""
        after = ask.shown_by
        ask.updates += 1
        self.owe(ask.shown_by, now, ask.record.ask_id, after)

    def forget_asks(self, older: Sequence[str]) -> None:
        """Forget those of *older* that are closed, except what something owed shows."""
        for ask_id in [ask_id for ask_id in older if ask_id in self.closed]:
            shown_by = [self.effects.get(name) for name in (f"lock:{ask_id}", self.asks[ask_id].shown_by)]
            if all(effect is None or effect.done for effect in shown_by):
                del self.asks[ask_id]
                self.closed.remove(ask_id)

    # --- effects -------------------------------------------------------------------------------

    def owe(self, effect_id: str, now: float, ask_id: str = "", after: str = "", body: bytes = b"") -> None:
        """Owe an effect, once the one called *after* is done."""
        if effect_id not in self.effects:
            self.effects[effect_id] = Effect(body, ask_id, after, now)

    def owed(self, now: float) -> list[tuple[float, str]]:
        """Return since when what is due is owed."""
        effects = self.effects.items()
        return [(one.not_before, name) for name, one in effects if not one.done and one.not_before <= now]

    def waiting_for(self, effect_id: str, kinds: str | tuple[str, ...] = "") -> list[Effect]:
        """Return what is owed once an effect is done."""
        effects = self.effects.items()
        return [one for name, one in effects if one.after == effect_id and not one.done and name.startswith(kinds)]

    def end(self, effect_id: str, effect: Effect, ref: str, now: float) -> None:
        """Take an effect for done; what waited for it is due."""
        effect.done, effect.ref, effect.body = True, ref, b""
        if effect_id.startswith(("prompt:", "update:")):
            for waiting in self.waiting_for(effect_id):
                waiting.not_before = min(waiting.not_before, now)
        done = [name for name, other in self.effects.items() if other.done]
        if len(done) > DONE_KEPT:
            for name in done[: len(done) - DONE_KEPT // 2]:
                del self.effects[name]

    # --- memory --------------------------------------------------------------------------------

    def see(self, delivery: tuple[str, str], told: Verdict | None) -> None:
        """Remember what a delivery was told."""
        self.seen[delivery] = told
        if len(self.seen) > _SEEN_KEPT:
            del self.seen[next(iter(self.seen))]

    def note(self, now: float, what: str, by: str = "", **details: str) -> None:
        """Write a line into the journal."""
        self.lines.append(JournalEntry(now, what, by, details))
        del self.lines[:-JOURNAL_KEPT]
