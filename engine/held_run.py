"""One claimed run at work in this process: its state, what of it is saved, and how to save the rest."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any

from engine.asking import new_ask, too_late
from engine.blame import line_of, told
from engine.core.ending import end_run
from engine.core.model import (
    Answered,
    Ask,
    Call,
    CancelRequested,
    Definition,
    Expired,
    Intent,
    Raised,
    Reopened,
    RunState,
    Sent,
    Shown,
    Tick,
    Unstorable,
    Woke,
)
from engine.core.questions import as_awaited, words
from engine.core.reducer import begin, reduce
from engine.core.snapshot import START, dump_fields, load_fields
from engine.core.timing import timers
from engine.core.weight import Scale
from engine.errors import CodecError, ContextSerdeError, StoreUnavailable
from engine.events import Event, HumanResponseEvent, InputRequiredEvent, WorkflowFailedEvent
from engine.execution import Execution, Settled, StepProgram
from engine.first_turn import FirstTurn
from engine.live_run import Unreadable
from engine.run_store import Claim, Commit, Entry, NewAsk, NewEffect, RunStatus, RunStore, copy_of

logger = logging.getLogger(__name__)

_NOWHERE = "nothing is asked and no step is at work; most often one has returned None"
RESULT = "result"
"""Id of the effect that tells a run's end, and with ``:2`` its second end; its body is the encoded event that ended
it."""


class HeldRun:
    """A claimed run; it is an `Execution`'s persistence."""

    def __init__(
        self,
        store: RunStore | FirstTurn,
        workflow: StepProgram,
        claim: Claim,
        lease_s: float,
        scale: Scale,
        questions: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        """*questions* are the encoded ones, by ask, that a claim on a reopened run asks anew."""
        self.store = store
        self.workflow = workflow
        self.claim = claim
        self.lease_s = lease_s
        self.definition: Definition = workflow.definition
        self.codec = self.definition.codec
        offset = claim.now - time.time()
        self.clock: Callable[[], float] = lambda: time.time() + offset
        self.scale = scale
        self.questions = questions
        self.warned = False
        self.ended: list[int] = []
        """The calls that have returned, paused or failed since the run was last saved."""
        self.memo = dict(claim.memo)
        self._take_up()

    # --- loading -------------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Stand where the run was saved last, with what has happened to it since, ready to work."""
        self._fall_back()
        self.execution = Execution(self.workflow, self.state, _NoOutlet(), self.clock, self)

    def _fall_back(self) -> None:
        """Stand where the run was saved last, with what has happened to it since."""
        claim = self.claim
        if claim.unreadable:
            raise ContextSerdeError(claim.unreadable)
        self.saved = dict(claim.state)
        self.taken = len(claim.inbox)
        """How many entries of the claim's inbox the state has taken in."""
        self.state = self._load()
        self.open = set(self.state.asks)
        for entry in claim.inbox if claim.state else claim.inbox[1:]:
            reduce(self.definition, self.state, self._tick(entry))
        for timer in timers(self.state):
            if timer.kind != "ask" and timer.at <= claim.now:
                reduce(self.definition, self.state, Woke(claim.now, timer))

    def _load(self) -> RunState:
        if self.claim.state:
            state = load_fields(self.definition, self.claim.state)
        else:
            first = self.claim.inbox[0]
            start = self.codec.loads(first.body, "start event")
            state = begin(self.definition, self.claim.run_id, start, first.at)
        for name, value in self.memo.items():
            call_id, number, key = _parts(name)
            call = state.calls.get(call_id)
            if call is None:
                continue
            found = self.codec.loads(value, f"once {key!r} of step {call.step}")
            if not number:
                call.memo[key] = found
            elif key not in call.intents or call.intents[key].number < number:
                call.intents[key] = Intent(number, open=found)
        return state

    def _tick(self, entry: Entry) -> Tick:
        """Return what one entry of the inbox means to the state."""
        self.open.discard(entry.ask_id)
        match entry.kind:
            case "sent":
                return Sent(entry.at, self.codec.loads(entry.body, "event sent to the run"))
            case "answered":
                return Answered(entry.at, entry.ask_id, self._answer(entry))
            case "expired":
                return Expired(entry.at, entry.ask_id)
            case "cancelled":
                return CancelRequested(entry.at)
            case "reopened":
                return Reopened(entry.at, {ask.id: self._question(ask) for ask in self.state.asks.values()})

    def _question(self, ask: Ask) -> InputRequiredEvent:
        """Return the event that asked before the run was over."""
        if ask.event is not None:
            return ask.event
        where = f"question {ask.id}"
        if ask.id not in self.questions:
            raise CodecError(f"{where} is no longer stored, so it cannot be asked anew")
        event = self.codec.loads(self.questions[ask.id], where)
        if not isinstance(event, InputRequiredEvent):
            raise CodecError(f"{where}: found {type(event).__name__}, which asks nothing")
        return event

    def _answer(self, entry: Entry) -> HumanResponseEvent:
        """Return an answer as an event of the class that its question's asker waits for."""
        event = self.codec.loads(entry.body, f"answer to {entry.ask_id}")
        event.answered_at = entry.at
        return as_awaited(self.definition, self.state, entry.ask_id, event)

    # --- working -------------------------------------------------------------------------------

    async def work(self, slot: Callable[[], AbstractAsyncContextManager[Any]]) -> Claim:
        """Work until the run is over or waits for the world, and return the claim that is given back.

        Steps run while a *slot* is held.

        A step that leaves something behind that cannot be stored has failed: its run is again what it
        was when last saved, and its retry policy or a ``@catch_error`` step decides what then.

        Raises:
            FencedError: another worker has the run; in a group with what else went wrong.
            ContextSerdeError: a child workflow of a step cannot be read; or the run has to go back to what was saved,
                and something that came since cannot be read.
        """
        try:
            while True:
                refused: ContextSerdeError | None = None
                unreadable: ContextSerdeError | None = None
                try:
                    await self._run(slot())
                    return await self._save(release=True)
                except* _Refused as refusals:
                    refused = _reason(refusals)
                except* Unreadable as signals:
                    unreadable = _reason(signals)
                if unreadable is not None:
                    raise unreadable
                if refused is not None:
                    await self._fail_steps(refused)
        finally:
            # Each refers to the other, and to collect what does took a tenth of the time of many runs.
            self.execution.persistence = None

    async def _run(self, slot: AbstractAsyncContextManager[Any]) -> None:
        """Let the steps run while *slot* is held; where none is free, the run is held on to meanwhile."""
        if not isinstance(slot, asyncio.Semaphore) or not slot.locked():
            async with slot:
                await self.execution.run()
            return
        async with contextlib.AsyncExitStack() as held:
            async with self.kept():
                await held.enter_async_context(slot)
            await self.execution.run()

    async def _fail_steps(self, refused: ContextSerdeError) -> None:
        """Go back to what was saved last and let the calls that have ended since then fail."""
        logger.warning("step failed", extra={"run_id": self.claim.run_id, "reason": str(refused)})
        ended, self.ended = self.ended, []
        self._take_up()
        now = self.clock()
        ticks = [
            self.execution.failed(call, refused)
            for call in self.state.calls.values()
            if call.id in ended or (not ended and call.status == "ready")
        ]
        for tick in ticks:
            reduce(self.definition, self.state, tick)
        try:
            if not ticks:
                raise _Refused(refused)
            if not self.state.finished:  # one that is over is saved once, as it is given back
                await self.checkpoint()
        except _Refused:  # no step is to blame: what was sent to the run does it
            self._take_up()
            reduce(self.definition, self.state, Unstorable(now, refused))

    # --- saving --------------------------------------------------------------------------------

    def settled(self, tick: Settled) -> None:
        self.ended.append(tick.call_id)
        if isinstance(tick, Raised):
            call = self.state.calls.get(tick.call_id)
            step = "" if call is None else call.step
            failed = {"step": step, "error": type(tick.error).__name__, "line": line_of(tick.error, step)}
            logger.warning("step failed", extra={"run_id": self.claim.run_id, **failed})

    async def checkpoint(self) -> None:
        """Save what happened since the last time and take in what has arrived meanwhile.

        What cannot be read is left, and all that came after it, for whoever takes the run up next to say so.
        """
        await self.renew()
        ended = len(self.ended)
        claim = await self._save(release=False)
        del self.ended[:ended]  # others may have followed while it was saved
        for entry in claim.inbox:
            try:
                tick = self._tick(entry)
            except ContextSerdeError:
                break
            self.execution.take_in(tick)
            self.taken += 1

    async def _save(self, *, release: bool) -> Claim:
        """Commit everything that changed.

        Raises:
            FencedError: another worker has the run.
            _Refused: it cannot be stored.
        """
        try:
            change = self._change(release)
        except ContextSerdeError as error:
            if self.state.error is None:
                raise _Refused(error) from None
            self._end_as_saved()
            change = self._change(release, limited=False)
        self.taken = 0
        for name in change.forgotten:
            del self.memo[name]
        self.open = set(self.state.asks)
        self.claim = await self.store.commit(self.claim, change)
        if change.release and self.state.error is not None:
            failed = {"run_id": self.claim.run_id, "error": type(self.state.error).__name__}
            logger.error("run failed", extra=failed)
        elif change.release and _leads_nowhere(self.state):
            logger.warning("run leads nowhere", extra={"run_id": self.claim.run_id, "reason": _NOWHERE})
        return self.claim

    def _end_as_saved(self) -> None:
        """Let the run stand where it was saved last, but failed as it has: what it came to cannot be stored."""
        failed = self.state
        assert failed.final is not None
        self._fall_back()
        end_run(self.state, failed.status, failed.final, [], failed.error)

    def _change(self, release: bool, *, limited: bool = True) -> Commit:
        """Return what differs from what is stored."""
        state = self.state
        fresh = [] if state.finished else [ask for ask in state.asks.values() if not ask.shown]
        asks = [self._new_ask(ask) for ask in fresh]
        for ask in fresh:
            reduce(self.definition, state, Shown(ask.id))
        fields = dump_fields(self.definition, state, self.clock())
        if START in self.saved:
            fields[START] = self.saved[START]
        elif not self.claim.state:
            fields[START] = self.claim.inbox[0].body
        if limited:
            self._weigh(fields)
        ended = state.finished and state.final is not None
        change = Commit(
            status=_stored_status(state),
            consumed=self.taken,
            written={name: value for name, value in fields.items() if self.saved.get(name) != value},
            removed=[name for name in self.saved if name not in fields],
            asks=asks,
            withdrawn=[ask_id for ask_id in self.open if ask_id not in state.asks],
            effects=[NewEffect(_result_id(state), self.codec.dumps(state.final, RESULT))] if ended else _copies(fresh),
            forgotten=[name for name in self.memo if not self._matters(name)],
            wake_at=None if state.finished else self._next_time(),
            release=release,
            note=_note(state),
        )
        self.saved = fields
        return change

    async def keep(self) -> None:
        """Store a run that is not stored yet."""
        if isinstance(self.store, FirstTurn):
            await self.store.keep()

    async def remember(self, call: Call, key: str, value: Any) -> Any:
        """Store a result at once, so that even a crash does not repeat what led to it."""
        return await self._memorize(call, f"{call.id}:{key}", key, value)

    async def intend(self, call: Call, key: str, intent: Intent) -> None:
        """Store at once what is known of an effect without a result."""
        await self._memorize(call, f"{call.id}#{intent.number}:{key}", key, intent.open)

    async def _memorize(self, call: Call, name: str, key: str, value: Any) -> Any:
        where = f"once {key!r} of step {call.step}"
        stored = await self.store.remember(self.claim, name, self.codec.dumps(value, where))
        self.memo[name] = stored
        return self.codec.loads(stored, where)

    def _matters(self, name: str) -> bool:
        """Tell whether what was memorized can still be asked for: its call goes on, and an intent is the last."""
        call_id, number, key = _parts(name)
        call = self.state.calls.get(call_id)
        if call is None or not number:
            return call is not None
        return key in call.intents and call.intents[key].number <= number

    def _weigh(self, fields: Mapping[str, bytes]) -> None:
        heavy = self.scale.weigh(fields)
        if heavy is not None and not self.warned:
            self.warned = True
            logger.warning("run grows heavy", extra={"run_id": self.claim.run_id, "reason": heavy})

    def _next_time(self) -> float | None:
        times = [timer.at for timer in timers(self.state) if timer.kind in ("call", "wait")]
        return min(times) if times else None

    def _new_ask(self, ask: Ask) -> NewAsk:
        new = new_ask(ask, self.codec, self.claim.requester)
        if never := too_late(new):
            rungs = {"run_id": self.claim.run_id, "ask": ask.id, "never": ", ".join(never)}
            logger.warning("question asked that expires before it is reminded of or escalated", extra=rungs)
        return new

    # --- holding -------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep the lease alive while the block waits, and store a run that is not stored yet."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.keep())  # it is seen through: nobody could tell whether the run is stored
            keeper = tasks.create_task(self._keep_alive())
            try:
                yield
            finally:
                keeper.cancel()

    async def _keep_alive(self) -> None:
        """Renew the lease whenever a third of it is over. A store that is away for less than a lease ends no work."""
        missed = 0
        while True:
            await asyncio.sleep(self.lease_s / 3)
            try:
                await self.store.renew(self.claim, self.lease_s)
                missed = 0
            except StoreUnavailable:
                missed += 1
                if missed == 3:
                    raise

    async def renew(self) -> None:
        """Renew the lease once a third of it is over, while the run works without having to wait."""
        if self.claim.until - self.clock() < 2 / 3 * self.lease_s:
            await self.store.renew(self.claim, self.lease_s)


class _Refused(Exception):
    """What the run has come to cannot be stored."""

    def __init__(self, reason: ContextSerdeError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _reason(group: BaseExceptionGroup[_Refused | Unreadable]) -> ContextSerdeError:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, _Refused | Unreadable)
    return found.reason


class _NoOutlet:
    """A durable run shows nothing itself: its commits owe the surface what is to be shown."""

    def publish(self, event: Event) -> None:
        pass

    def show(self, ask: Ask) -> bool:
        return False

    def announce(self, run: Execution) -> bool:
        return False

    async def read(self, run: Execution, expose_internal: bool = False) -> AsyncGenerator[Event, None]:
        return
        yield


def _parts(name: str) -> tuple[int, int, str]:
    """Return the call, the number of the intent (0: a result) and the key that the name of a memo stands for."""
    place, _, key = name.partition(":")
    call_id, _, number = place.partition("#")
    return int(call_id), int(number or 0), key


def _copies(asks: Iterable[Ask]) -> list[NewEffect]:
    """Return what is owed besides the first message of each question: one more in each place its author has named."""
    return [copy_of(ask.id, place) for ask in asks for place in words(getattr(ask.event, "copies", None))]


def _result_id(state: RunState) -> str:
    return f"{RESULT}:{state.reopened + 1}" if state.reopened else RESULT


def _stored_status(state: RunState) -> RunStatus:
    match state.status:
        case "running":
            return "waiting"
        case "timed_out":
            return "failed"
        case status:
            return status


def _leads_nowhere(state: RunState) -> bool:
    """Tell whether only an event that somebody sends can bring the run on: most often a step forgot its ``return``."""
    return not (state.finished or state.calls or state.asks)


def _note(state: RunState) -> str:
    if state.error is not None:
        return told(state.error, state.final.step_name if isinstance(state.final, WorkflowFailedEvent) else "")
    if _leads_nowhere(state):
        return f"leads nowhere: {_NOWHERE}"
    steps = [call.step for call in state.calls.values()]
    return ", ".join(steps[:5]) if steps else state.status
