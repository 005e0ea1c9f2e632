"""What a durable run needs of a database: nouns, and one atomic verb per transition.

A store moves bytes and never looks inside them. Each verb either happens whole or not at
all, and reads the time from the store's own clock. Safety is *fence* and *version*: a
worker that was overtaken is refused. The lease only saves work.

Every verb raises `StoreUnavailable` when the database did not take the call.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import Literal, Protocol, TypeAlias

from engine.errors import FencedError
from engine.facts import replaceable
from engine.verdicts import Already, Cancelled, Expired, Verdict

RunStatus: TypeAlias = Literal["ready", "waiting", "parked", "done", "failed", "cancelled"]
EntryKind: TypeAlias = Literal["sent", "answered", "expired", "cancelled", "reopened"]
AskStatus: TypeAlias = Literal["open", "answered", "expired", "cancelled"]
TimerKind: TypeAlias = Literal["remind", "escalate", "expire"]

LIVE: frozenset[RunStatus] = frozenset({"ready", "waiting", "parked"})
"""What a run may be before it is over."""
OVER: frozenset[RunStatus] = frozenset({"done", "failed", "cancelled"})
"""What a run is once it is over."""
REOPENABLE: frozenset[RunStatus] = frozenset({"parked", "failed", "cancelled"})
"""What a run may be that is to go on."""


PATIENCE_S = 300.0
"""How long a run that a worker cannot read is left to others, before it is parked."""
KEPT_S = 30 * 86_400.0
"""How long a run is kept once it is over, unless told otherwise."""
ASKS_KEPT = 64
"""Closed asks a run keeps; beyond it the older half is forgotten at the next commit."""
DONE_KEPT = 128
"""Done effects a run keeps, for senders that come back late; then the older half is forgotten."""
JOURNAL_KEPT = 5_000
"""Lines of its journal that a run keeps, at least."""
LINK_KEPT_S = 400 * 86_400.0
"""How long it is remembered what concerns which run: longer than an open run may live."""
TRIES_KEPT = 5
"""Refused tries of one person at one question that are written down."""
LATE = "late"
"""Why an answer was refused that came when its question was closed."""
REFUSALS_KEPT = 100
"""Refused tries of all people together."""
LEAVE_PAUSE_S = 1.0
"""How long others have to take it, before anybody looks again."""
CLOCK_TOLERANCE_S = 1.0
"""How far what a caller takes for the store's clock may be off, where a run is begun by it."""


def checked_run_id(run_id: str) -> str:
    """Return the id of a new run.

    Raises:
        ValueError: it cannot be one, since stores end a name in an index with what it contains.
    """
    if "|" in run_id:
        raise ValueError(f"run id {run_id!r} contains '|'; use new_run_id()")
    return run_id


@replaceable
class NewRun:
    """A run to be started. *event* is its encoded start event."""

    run_id: str
    workflow: str
    revision: str
    event: bytes
    tenant: str = ""
    requester: str = ""
    address: str = ""
    """Where its surface shows it; opaque to the engine."""
    fence: int = 1
    """Of the worker who starts it: by chance, so that it is of no other start, should the store lose this one."""

    def claimed(self, now: float, until: float) -> Claim:
        """Return the claim on it as it is once it was created: what is in it is known."""
        return Claim(
            run_id=self.run_id,
            workflow=self.workflow,
            revision=self.revision,
            fence=self.fence,
            version=0,
            now=now,
            until=until,
            attempts=1,
            state={},
            inbox=(Entry("sent", now, self.event),),
            memo={},
            requester=self.requester,
            tenant=self.tenant,
        )


@dataclass(frozen=True, slots=True)
class Timer:
    """One rung of an ask's ladder, due at *at* (POSIX seconds); *n* counts within its kind."""

    kind: TimerKind
    n: int
    at: float


@replaceable
class NewAsk:
    """A question opened by a commit. *event* is its encoded InputRequiredEvent."""

    ask_id: str
    event: bytes
    digest: str
    """Hash of what is shown; an approval is bound to it."""
    allowed: tuple[str, ...] = ()
    """Who may answer; empty: anybody."""
    quorum: int = 1
    self_approval: bool = True
    options: tuple[str, ...] = ()
    """The responses that are taken; empty: any."""
    complete: tuple[str, ...] = ()
    """Those that are a whole answer: nothing that only the event tells belongs to them."""
    deadline: float | None = None
    timers: tuple[Timer, ...] = ()


@replaceable
class NewEffect:
    """Something the surface owes the world, done once per *effect_id* within the run."""

    effect_id: str
    body: bytes = b""
    ask_id: str = ""


def copy_of(ask_id: str, place: str) -> NewEffect:
    """Return what shows an ask in one more place, once however often it is owed."""
    return NewEffect(f"copy:{ask_id}:{place}", place.encode(), ask_id)


@replaceable
class Entry:
    """One thing that happened to a run and that it has not consumed yet.

    ``sent``: *body* is an encoded event. ``answered``: of ask *ask_id*, by *actor*, *body* is the
    encoded answer. ``expired``: ask *ask_id* was not answered in time. ``cancelled``: by *actor*.
    ``reopened``: by *actor*, after it was over.
    """

    kind: EntryKind
    at: float
    body: bytes = b""
    ask_id: str = ""
    actor: str = ""


@replaceable
class Claim:
    """A run held by one worker until the store's clock passes *until*."""

    run_id: str
    workflow: str
    revision: str
    fence: int
    version: int
    now: float
    until: float
    attempts: int
    """How often it was claimed since its last commit; 1 is the first time."""
    state: Mapping[str, bytes]
    inbox: tuple[Entry, ...]
    memo: Mapping[str, bytes]
    requester: str = ""
    tenant: str = ""
    asks: tuple[str, ...] = ()
    """Ids of the asks it holds, those that are closed first; `RunStore.commit` wants them back."""
    unreadable: str = ""
    """Why a store that seals values cannot open the run's; then it hands none over, and the run is to be parked."""

    def overtaken(self) -> FencedError:
        """Return what is raised when it is no longer whose run it is."""
        return FencedError(
            f"run {self.run_id} moved on from fence {self.fence}, version {self.version}: another worker has it, "
            "or this one gave it back; drop the work"
        )


@replaceable
class Commit:
    """Everything that changes in one transition. Only what changed is written."""

    status: RunStatus
    consumed: int = 0
    """How many entries, from the front of the claim's inbox, are done with."""
    written: Mapping[str, bytes] = field(default_factory=dict)
    removed: Sequence[str] = ()
    asks: Sequence[NewAsk] = ()
    withdrawn: Sequence[str] = ()
    """Open asks that close without an answer."""
    effects: Sequence[NewEffect] = ()
    forgotten: Sequence[str] = ()
    """Memo keys whose calls are over."""
    wake_at: float | None = None
    """When to look at the run again though nothing was sent to it."""
    release: bool = True
    """Give the lease back; False: this worker goes on. A run that is over or parked is given back in any case."""
    note: str = ""
    """For the journal: what the run did, in a few words."""

    def opened(self) -> list[str]:
        """Return the ids of the asks it opens.

        Raises:
            ValueError: it may not open them, or has a time that is none.
        """
        if not self.asks and self.wake_at is None:
            return []
        opened = [ask.ask_id for ask in self.asks]
        if len(set(opened)) < len(opened):
            raise ValueError(f"a commit opens an ask twice: {opened}")
        if opened and self.status in OVER:
            raise ValueError(f"a run that is {self.status} opens no asks, but this commit opens {opened}")
        times = [
            self.wake_at,
            *(ask.deadline for ask in self.asks),
            *(one.at for ask in self.asks for one in ask.timers),
        ]
        if any(at is not None and isnan(at) for at in times):  # a script would meet it after its first write
            raise ValueError(f"a commit has a time that is not a number: {times}")
        return opened


@replaceable
class Shown:
    """What somebody saw who answers: whose question it was, and which, and *message*, the reference of where it stood.

    "" for *message*: it stood on none.
    """

    tenant: str
    digest: str
    message: str = ""


@replaceable
class Answer:
    """An answer on its way to an ask. *delivery_id* is the same on every redelivery."""

    run_id: str
    ask_id: str
    delivery_id: str
    actor: str
    response: str
    """The decision in a word, for verdicts and the journal; votes for one response add up."""
    body: bytes
    revision: int | None = None
    """The ask's revision that was checked against; None: whichever is current."""
    final: bool = False
    """Decides at once whatever the quorum, as a rejection does."""
    unseen: bool | Shown = False
    """Nobody has looked at the question: an open one takes this only if `AskRecord.takes` it. Where it is known what
    was shown of it, that has to be the question that is open now, and the response complete."""
    via: str = ""
    """Which way it came, as the surface calls it; for the journal."""
    approves: str = ""
    """Digest of what it approves in place of what was shown, as a text that was edited first; for the journal."""
    allowed: tuple[str, ...] | None = None
    """Who may answer as far as the caller knows, who has judged by that; None: the caller has not, or it is unseen."""
    own_words: bool = False
    """The response is what somebody has written, and none that the question names."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that does not count: of somebody who may not answer, or too late.

    *allowed* are those who may, as they are told.
    """

    run_id: str
    ask_id: str
    delivery_id: str
    actor: str
    response: str
    why: str
    """In a word, for the journal; `LATE` of one that may have counted before."""
    allowed: tuple[str, ...] = ()
    via: str = ""
    own_words: bool = False
    """See `Answer.own_words`."""


@dataclass(frozen=True, slots=True)
class Amendment:
    """What changes about an open ask without answering it. *delivery_id* is the same on every redelivery."""

    run_id: str
    ask_id: str
    delivery_id: str
    actor: str
    what: str
    """In a word or two, for the journal: "reassigned"."""
    allowed: tuple[str, ...] | None = None
    """Who may answer from now on, at least one; None: whoever may now. Who may no longer has no vote either."""
    before: tuple[str, ...] = ()
    """Who may answer as far as the caller knows; when it is somebody else, nothing changes."""
    effects: Sequence[NewEffect] = ()
    note: str = ""
    """For the journal."""
    asks_back: bool = False
    """The requester is asked something; from now on the ask says so."""


@replaceable
class AskRecord:
    """A question as stored, with everything needed to show or judge it."""

    run_id: str
    ask_id: str
    status: AskStatus
    revision: int
    event: bytes
    digest: str
    allowed: tuple[str, ...]
    quorum: int
    self_approval: bool
    opened_at: float
    deadline: float | None
    by: str
    at: float
    response: str
    answer: bytes
    votes: tuple[tuple[str, str], ...]
    """(actor, response), in order."""
    messages: tuple[str, ...]
    """Where it is shown; references of the surface."""
    reminded_at: float | None = None
    """When the last rung of its ladder fired."""
    asks_back: bool = False
    """The requester was asked for details."""
    options: tuple[str, ...] | None = None
    """The responses that are taken, empty: any; None: only the event tells, as of one asked by an older version."""
    complete: tuple[str, ...] = ()
    """Those that are a whole answer, as far as is known without the event."""

    @property
    def verdict(self) -> Verdict | None:
        """What it tells whoever answers late; None while it is open."""
        match self.status:
            case "answered":
                return Already(self.by, self.at, self.response)
            case "expired":
                return Expired(self.at)
            case "cancelled":
                return Cancelled(self.by, self.at)
            case "open":
                return None

    def takes(self, run: RunRecord, answer: Answer) -> bool:
        """Tell whether it clearly takes an answer that is to it unseen."""
        barred = not self.self_approval and answer.actor == run.requester
        if barred or (self.allowed and answer.actor not in self.allowed):
            return False
        if isinstance(answer.unseen, Shown):
            return answer.response in self.complete and self.quorum == 1 and self._is(answer, answer.unseen, run.tenant)
        return self.options is not None and (not self.options or answer.response in self.options)

    def _is(self, answer: Answer, shown: Shown, tenant: str) -> bool:
        """Tell whether it is what was shown. Where it stands may not be noted yet."""
        stands = not (shown.message and self.messages) or shown.message in self.messages
        return stands and (shown.tenant, shown.digest, answer.revision) == (tenant, self.digest, self.revision)


@replaceable
class RunRecord:
    """A run as stored, without its state."""

    run_id: str
    workflow: str
    revision: str
    status: RunStatus
    version: int
    tenant: str
    requester: str
    address: str
    created_at: float
    thread: str
    """Reference of the first message it was shown in; "" before."""

    @property
    def place(self) -> Place:
        """Where it stands among all runs."""
        return self.created_at, self.run_id


Place: TypeAlias = tuple[float, str]
"""When a run was created, and its id: orders all runs, and stays when a run changes."""


@dataclass(frozen=True, slots=True)
class EffectClaim:
    """An effect held by one sender for a while."""

    run: RunRecord
    effect_id: str
    attempt: int
    again: bool
    """An earlier attempt may have reached the world: look before doing it twice."""
    body: bytes
    ask: AskRecord | None
    now: float
    until: float


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One line of the audit trail."""

    at: float
    what: str
    by: str
    details: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EffectRecord:
    """An effect as stored. What was done, or given up, keeps its reference, if there is one, and nothing else."""

    effect_id: str
    owed: bool
    attempts: int = 0
    body: bytes = b""
    ref: str = ""


@dataclass(frozen=True, slots=True)
class WholeRun:
    """All that is stored of one run, as it was at *at*."""

    at: float
    run: RunRecord
    worker: str
    """Who holds it, or held it when the process died; "" if nobody does."""
    until: float | None
    """End of the lease."""
    attempts: int
    """How often it was claimed since its last commit."""
    wake_at: float | None
    state: Mapping[str, bytes]
    inbox: tuple[Entry, ...]
    memo: Mapping[str, bytes]
    asks: tuple[AskRecord, ...]
    """Oldest first; of those closed long ago only the last are kept."""
    effects: tuple[EffectRecord, ...]
    journal: tuple[JournalEntry, ...]
    unreadable: str = ""
    """Why values in it are still as they were sealed; "": none are."""


class RunStore(Protocol):
    """Every transition of a run, each atomic."""

    def new_run_id(self, key: str | None = None) -> str:
        """Return an unused run id; the same one for the same *key*, so that starting is idempotent."""

    async def start(self, run: NewRun, *, worker: str = "", lease_s: float = 0.0) -> tuple[bool, Claim | None]:
        """Create a run and make it ready, unless it exists.

        Returns whether it was created, and, if *worker* is given, the claim on it.
        """

    async def begin(self, run: NewRun, change: Commit, now: float, *, worker: str, lease_s: float) -> Claim | None:
        """`start` a run for *worker* and `commit` what its first steps came to, whole or not at all.

        *change* has consumed the start event: nobody reads `NewRun.event`. None if the store's clock is not *now*,
        give or take `CLOCK_TOLERANCE_S`: times in *change* may then be wrong, and nothing was written.

        Raises:
            FencedError: the run exists; nothing was written.
            ValueError: as `commit`.
        """

    async def send(self, run_id: str, delivery_id: str, event: bytes) -> bool:
        """Put an event into a run's inbox, once per *delivery_id*; False if the run is over or unknown."""

    async def deliver(self, answer: Answer) -> Verdict:
        """Judge and record an answer: the first that decides wins, a redelivery is told the same.

        Raises:
            NotJudged: the answer is to a question unseen that does not clearly take it, or others may answer than the
                caller knows; nothing was recorded.
        """

    async def deliver_and_claim(
        self, answer: Answer, worker: str, lease_s: float, workflows: Sequence[str] = ()
    ) -> tuple[Verdict, Claim | None]:
        """`deliver`, and, if that has decided the question just now, `claim` the run if it can be had."""

    async def refuse(self, refusal: Refusal) -> Verdict:
        """Write down that an answer was refused and return what it is told: a redelivery is told the same.

        One that is `LATE` is told how its question was closed, and that is all `deliver` tells of its delivery, too.

        In the journal stand the first `TRIES_KEPT` tries of one person at one question, `REFUSALS_KEPT` of all people.
        """

    async def amend(self, change: Amendment) -> Verdict:
        """Change something about an ask that stays open, and owe what follows: `Accepted`, with what changed.

        `Stale` if who may answer is no longer what the caller knew; of an ask that is closed what `deliver` tells.
        A redelivery is told the same.
        """

    async def claim(self, run_id: str, worker: str, lease_s: float, workflows: Sequence[str] = ()) -> Claim | None:
        """Take a run that has something to do; None if it has not, is held, or is left to other workers.

        Left to others is one that *worker* has left (see `leave`), or that is of no workflow in *workflows*; an empty
        *workflows* takes any. Once they have had their time it is given to whoever comes, to be parked.

        If the worker dies the run is due again at the lease's end. A parked run has nothing to do, whatever is sent
        to it, until it is reopened or cancelled.
        """

    async def renew(self, claim: Claim, lease_s: float) -> None:
        """Hold the run for *lease_s* seconds from now.

        Raises:
            FencedError: somebody else has it.
        """

    async def remember(self, claim: Claim, key: str, value: bytes) -> bytes:
        """Store *value* under *key* unless there is one, and return what is stored.

        Raises:
            FencedError: somebody else has the run.
        """

    async def release(self, claim: Claim) -> None:
        """Give a run back as it was last saved, for whoever comes next, at once.

        Raises:
            FencedError: somebody else has it.
        """

    async def leave(self, claim: Claim, note: str) -> bool:
        """Give a run back as it was, for other workers: this one cannot read it, and *note* says why.

        False if others have had the store's patience to take it, since the first left it: then it is still held.

        Raises:
            FencedError: somebody else has it.
        """

    async def commit(self, claim: Claim, change: Commit) -> Claim:
        """Apply a transition whole and return the claim at its new version; if that gives the run back, it tells when
        and what came in meanwhile, and holds nothing else.

        Each opened ask owes effect ``prompt:<ask>``; each ask that closes owes ``lock:<ask>``. An ask that
        is open already is asked anew: its revision grows and ``prompt:<ask>:<revision>`` is owed.

        Whatever else changes what is to be seen of an ask - a vote, a rung of its ladder - owes
        ``update:<ask>:<revision>.<n>``, after what was owed before it: messages never go back to something older. An
        update that something waits for, which shows as much, is left out.

        Raises:
            FencedError: fence or version moved on; nothing was written.
            ValueError: an ask's id was used by one that is closed, or the run is over and opens asks.
        """

    async def cancel(self, run_id: str, by: str) -> bool:
        """Ask a run to stop; its open asks close at once. False if it is over or unknown."""

    async def reopen(self, run_id: str, by: str) -> RunStatus | None:
        """Let a run that is in one of `REOPENABLE` go on, and return what it was; None: unknown. Any other stays.

        One that was over has a ``reopened`` entry in its inbox; its asks stay closed.
        """

    async def export(self, run_id: str) -> WholeRun | None:
        """Return a run with everything that is stored of it, or None."""

    async def fork(self, copy: WholeRun, source: str, by: str) -> bool:
        """Create run *copy*, ready, unless it exists; tell whether it was created.

        It has the state, inbox and memo of *copy* and its asks, closed; it has its own effects and journal. A line
        in the journals of both says that it is a fork of run *source*.
        """

    async def purge(self, run_id: str, *, force: bool = False) -> RunStatus | None:
        """Remove everything of a run, and return what it was; None: unknown. One that is not over stays, unless
        *force*.
        """

    async def fire_timers(self, limit: int = 100) -> Sequence[str]:
        """Fire what is due, oldest first, and return the runs that have become ready by it."""

    async def due(self, limit: int = 100) -> Sequence[str]:
        """Return runs that are ready and not held, longest waiting first."""

    async def due_effects(self, limit: int = 100) -> Sequence[tuple[str, str]]:
        """Return (run id, effect id) of what the surface owes now, longest waiting first."""

    async def effects_of(self, run_id: str) -> Sequence[str]:
        """Return the ids of one run's effects that are owed now, in the order they were made."""

    async def claim_effect(self, run_id: str, effect_id: str, lease_s: float) -> EffectClaim | None:
        """Take an effect to do; None if it is done, held, or must wait for the prompt it changes."""

    async def finish_effect(self, claim: EffectClaim, ref: str) -> str:
        """Record that the effect was done as *ref* and return the reference that counts.

        It differs from *ref* when another sender was first: then ours is to be taken back.
        A ``prompt:`` effect's reference joins its ask's messages and, if the first, is the run's thread; that of a
        ``copy:<ask>:<place>``, which shows the ask in one more place, joins the messages, and owes an update if the
        others were updated while it was on its way.
        So does an ``update:`` or ``lock:`` whose sender was overtaken, however it ends: what that one has drawn may be
        older than what the other one did, and have come later.
        """

    async def replace_message(self, run_id: str, ask_id: str, gone: str, ref: str) -> None:
        """Record that what an ask's message *gone* showed is now shown by *ref*, also as the run's thread."""

    async def delay_effect(self, claim: EffectClaim, until: float, *, untried: bool = False, why: str = "") -> None:
        """Give the effect back, to be tried at *until* (POSIX seconds). *untried*: this attempt has done nothing.

        If there is a *why* the journal says that it is held back for that.
        """

    async def drop_effect(self, claim: EffectClaim, reason: str) -> None:
        """Give the effect up for good; the journal says why."""

    async def doubtful(self, limit: int = 100) -> Sequence[tuple[str, str, str]]:
        """Return (run id, effect id, ref) of effects done in more than one attempt, once it is time to look again."""

    async def settle(self, run_id: str, effect_id: str, ref: str) -> None:
        """Record that a doubtful effect was looked at and stands once."""

    async def run(self, run_id: str) -> RunRecord | None:
        """Return a run, or None."""

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
        """Return the runs of which all that is given holds, newest first; of *statuses*, any, and none: whichever.

        *before* is where to go on: the `RunRecord.place` of the last run that is known already.
        """

    async def ask(self, run_id: str, ask_id: str) -> AskRecord | None:
        """Return an ask, or None."""

    async def asked(self, run_id: str, ask_id: str) -> tuple[RunRecord, AskRecord] | None:
        """Return a run with one of its asks, as `run` and `ask` do, in one go; None if either is missing."""

    async def open_asks(self, run_id: str) -> Sequence[AskRecord]:
        """Return a run's open asks, oldest first."""

    async def last_closed(self, run_id: str) -> AskRecord | None:
        """Return the ask of a run that closed last, or None."""

    async def asks_for(self, tenant: str, actor: str, limit: int = 100) -> Sequence[AskRecord]:
        """Return open asks of *tenant* that name *actor*, or, for "", that anybody may answer; oldest first."""

    async def state(self, run_id: str, *names: str) -> Mapping[str, bytes]:
        """Return a run's stored state, or what is there of *names*; empty before its first commit."""

    async def journal(self, run_id: str) -> Sequence[JournalEntry]:
        """Return a run's audit trail, oldest first."""

    async def link(self, ref: str, run_id: str) -> None:
        """Remember that what happens at *ref* (a thread) concerns *run_id*, for as long as an open run may live."""

    async def linked(self, ref: str) -> str | None:
        """Return the run that *ref* was linked to, or None."""

    async def close(self) -> None:
        """Give connections back."""
