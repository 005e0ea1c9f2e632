"""For tests of workflows: run one through its questions, with no Slack, no Redis and no sleeping.

`play` runs a workflow durably, as a bot does, on a store in memory and a clock that is moved by hand.
`WorkflowTestRunner` runs one in process and collects its stream, as in LlamaIndex.
"""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any, TypeAlias, assert_never

from engine.context import Context
from engine.core.children import NOTHING
from engine.core.model import RunState, Timer
from engine.core.snapshot import load_fields
from engine.core.timing import timers
from engine.events import Event, EventType, InputRequiredEvent, StartEvent
from engine.memory_store import MemoryRunStore
from engine.run_store import OVER, Amendment, JournalEntry, RunStatus
from engine.runner import Asked, OpenAsk, Runner, RunView
from engine.verdicts import Accepted, Recorded, Verdict
from engine.workflow import Workflow

RETRIES = 1_000
"""How often `play` lets the time of a retry come before it takes the run for endless."""


# --- In process ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WorkflowTestResult:
    """What came of a run: its stream, how often each type of event was in it, its result and its context."""

    collected: list[Event]
    event_types: dict[EventType, int]
    result: Any
    ctx: Context[Any]


class WorkflowTestRunner:
    """Runs a workflow in process to its end."""

    def __init__(self, workflow: Workflow) -> None:
        self._workflow = workflow

    async def run(
        self,
        start_event: StartEvent | None = None,
        ctx: Context[Any] | None = None,
        expose_internal: bool = True,
        exclude_events: Sequence[EventType] | None = None,
    ) -> WorkflowTestResult:
        """Run the workflow and collect what it streams, but not events of exactly the types in *exclude_events*.

        Without a *start_event* it begins with one of the workflow's own class. Whatever ends the run with an
        error is raised; a question that nobody answers does, after the workflow's timeout.
        """
        handler = self._workflow.run(start_event=start_event, ctx=ctx)
        left_out = frozenset(exclude_events or ())
        streamed = handler.stream_events(expose_internal=expose_internal)
        collected = [event async for event in streamed if type(event) not in left_out]
        result = await handler
        return WorkflowTestResult(collected, dict(Counter(type(event) for event in collected)), result, handler.ctx)


# --- Time, and what people do ----------------------------------------------------------------


class ManualClock:
    """A clock that stands still until it is moved. Call it for POSIX seconds; it begins with 2026."""

    def __init__(self, now: float = 1_767_225_600.0) -> None:
        self._now = now

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on by *seconds*.

        Raises:
            ValueError: *seconds* is negative.
        """
        if seconds < 0:
            raise ValueError(f"a clock does not go back, so {seconds} seconds are none to advance by")
        self._now += seconds

    def advance_to(self, at: float) -> None:
        """Move on to *at* (POSIX seconds), exactly; nothing happens if that is over."""
        self._now = max(self._now, at)


@dataclass(frozen=True, slots=True)
class Reply:
    """Somebody answers an open question; see `reply`."""

    response: str
    by: str | None = None
    comment: str = ""
    to: str | None = None
    final: bool = False
    refused: bool = False
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Later:
    """Time passes; see `later`."""

    seconds: float


Move: TypeAlias = str | Reply | Later | Event
"""What can happen to a run in `play`. A string is short for `reply`; an event is sent, and answers no question."""


def reply(
    response: str,
    *,
    by: str | None = None,
    comment: str = "",
    to: str | None = None,
    final: bool = False,
    refused: bool = False,
    **fields: Any,
) -> Reply:
    """Answer a question, as user *by* and with a *comment*; *fields* go along on the HumanResponseEvent.

    It goes *to* the oldest open question that has these words in it, or to the oldest of all. Unless *by*
    is given it comes from somebody who may answer and has not yet. A *final* answer decides whatever the
    quorum, as one of the question's ``vetoes`` does. With *refused* the answer must not be taken:
    `Played.verdicts` tells why it was not.
    """
    return Reply(response, by, comment, to, final, refused, fields)


def later(*, seconds: float = 0.0, minutes: float = 0.0, hours: float = 0.0, days: float = 0.0) -> Later:
    """Let time pass. Whatever falls due on the way happens at its own time, one after the other."""
    return Later(seconds + 60 * (minutes + 60 * (hours + 24 * days)))


# --- A durable run ---------------------------------------------------------------------------


class PlayError(AssertionError):
    """A run did not go as it was to be played; the message says where it stood."""


class AnswersRanOut(PlayError):
    """The run is not over, and nothing further was to happen."""


class AnswersLeftOver(PlayError):
    """Something was still to happen when the run was over, or asked nothing."""


class AnswerRefused(PlayError):
    """An answer was not taken though it should have been, or the other way round."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of `play`. *result* is what awaiting the run in process would return."""

    run_id: str
    status: RunStatus
    result: Any
    error: Exception | None
    """Why a failed run failed. It comes out of the store, so most types of error are names in its text by now."""
    asked: tuple[InputRequiredEvent, ...]
    """Every question, in the order they were asked."""
    verdicts: tuple[Verdict, ...]
    """What each answer was told."""
    reminded: int
    """How often people were reminded of a question."""
    escalated: int
    """How often a question was put before further people."""
    journal: tuple[JournalEntry, ...]

    @property
    def questions(self) -> list[str]:
        """The text of every question."""
        return [_text_of(event) for event in self.asked]


async def play(
    workflow: Workflow,
    start: StartEvent | None = None,
    *moves: Move,
    requester: str | None = None,
    clock: ManualClock | None = None,
    to_end: bool = True,
) -> Played:
    """Run a workflow durably, let *moves* happen to it one after the other, and return what came of it.

    ``await play(Deploy(), CommandReceived(...), later(hours=1), "ship")``. A retry that is waited for
    comes by itself. With ``to_end=False`` the run may still wait when no move is left. The *requester* is
    the start event's ``user_id`` unless given. Between two moves the run is in its store alone, so that what a step
    has kept on ``self`` is gone, as after a deploy.

    Raises:
        AnswersRanOut: no move is left and the run waits.
        AnswersLeftOver: moves are left and the run is over, or asks nothing.
        AnswerRefused: an answer was not taken; or was, and is marked *refused*.
    """
    begun = await _Play.begin(workflow, start, requester, clock or ManualClock())
    for n, move in enumerate(moves):
        await begun.make(move, moves[n:])
    view = await begun.until_it_waits_for_others()
    if view.status not in OVER and to_end:
        raise AnswersRanOut(
            f"the answers ran out: {await begun.standing(view)}; add what happens next, or pass to_end=False"
        )
    return await begun.played(view)


class _Play:
    """One run being played."""

    def __init__(self, workflow: Workflow, runner: Runner, clock: ManualClock) -> None:
        self._workflow = workflow
        self._definition = workflow.definition
        self._runner = runner
        self._store = runner.store
        self._clock = clock
        self._run_id = ""
        self._verdicts: list[Verdict] = []
        self._worked_s = 0.0

    @classmethod
    async def begin(
        cls, workflow: Workflow, start: StartEvent | None, requester: str | None, clock: ManualClock
    ) -> _Play:
        runner = Runner(MemoryRunStore(clock, patience_s=0), [workflow])
        begun = cls(workflow, runner, clock)
        who = getattr(start, "user_id", "") if requester is None else requester
        begun._run_id = await runner.start(workflow, start, requester=who if isinstance(who, str) else "")
        await begun.work()
        return begun

    # --- moves --------------------------------------------------------------------------------

    async def make(self, move: Move, left: Sequence[Move]) -> None:
        """Let *move*, the first of those that are *left*, happen."""
        answers = isinstance(move, str | Reply)
        view = await (self.until_it_waits_for_others() if answers else self.view())
        if view.status in OVER or (answers and not view.asks):
            listed = ", ".join(_told(one) for one in left)
            raise AnswersLeftOver(f"left over: {listed}; {await self.standing(view)}") from view.error
        match move:
            case str():
                await self._reply(Reply(move), view)
            case Reply():
                await self._reply(move, view)
            case Later():
                await self._let_pass(move.seconds)
            case Event():
                await self._runner.send(self._run_id, move)
                await self.work()
            case _:
                assert_never(move)

    async def _reply(self, said: Reply, view: RunView) -> None:
        meant = [ask for ask in view.asks if said.to is None or said.to in _text_of(ask.event)]
        if not meant:
            raise AnswersLeftOver(
                f"no open question has {said.to!r} in it for {_told(said)}; {await self.standing(view)}"
            )
        asked = await self._runner.asked(self._run_id, meant[0].id)
        assert asked is not None
        by = _somebody(asked) if said.by is None else said.by
        final = said.final or said.response in (getattr(asked.event, "vetoes", None) or ())
        brought = (getattr(asked.event, "brings", None) or {}).get(said.response, {})
        verdict = await self._runner.decide(
            asked, said.response, user_id=by, final=final, comment=said.comment, **{**brought, **said.fields}
        )
        self._verdicts.append(verdict)
        if isinstance(verdict, Accepted | Recorded) == said.refused:
            meaning = "was to be refused and was taken" if said.refused else "was refused; mark it refused=True if that"
            ending = "" if said.refused else " is what the test is about"
            raise AnswerRefused(f"{_told(said)} by {by} to {_quoted(meant[0])} {meaning}{ending}: {verdict}")
        await self.work()

    async def _let_pass(self, seconds: float) -> None:
        until = self._clock() + seconds
        view = await self.view()
        while view.status not in OVER:
            on_the_way = [at for at in await self._due(view) if self._clock() < at < until]
            if not on_the_way:
                break
            self._clock.advance_to(min(on_the_way))
            view = await self.work()
        self._clock.advance_to(until)
        await self.work()

    # --- work and time ------------------------------------------------------------------------

    async def view(self) -> RunView:
        """Return how the run stands."""
        return await self._runner.view(self._run_id)

    async def work(self) -> RunView:
        """Let the run do what it has to do now, as a process that has just been started."""
        worker = Runner(self._store, [copy.copy(self._workflow)])
        began = time.monotonic()
        worked, view = True, await self.view()
        while worked:
            await self._store.fire_timers()
            await self._ask_too()
            worked = await worker.work(self._run_id)
            view = await self.view()
            if view.status == "parked":
                raise PlayError(await self.standing(view))
        # A run at work sees real seconds pass: without them, what it opened would lie a little in the future.
        spent = time.monotonic() - began
        self._worked_s += spent
        self._clock.advance(spent)
        return view

    async def _ask_too(self) -> None:
        """Let those answer to whom a question is escalated, as whoever shows it does."""
        for effect in await self._store.effects_of(self._run_id):
            kind, *which = effect.split(":")
            asked = await self._runner.asked(self._run_id, which[0]) if kind == "escalate" else None
            if asked is None or not (before := asked.ask.allowed):
                continue
            to = getattr(asked.event.escalate[int(which[1])], "to", ())
            if not set(to) <= set(before):
                allowed = tuple(dict.fromkeys((*before, *to)))
                await self._runner.amend(
                    Amendment(self._run_id, which[0], effect, "", "asked too", allowed=allowed, before=before)
                )

    async def until_it_waits_for_others(self) -> RunView:
        """Let the time of retries come, until the run is over or waits for something from outside."""
        for _ in range(RETRIES):
            view = await self.view()
            retries = await self._retries()
            if view.status in OVER or view.asks or not retries:
                return view
            self._clock.advance_to(min(retries))
            await self.work()
        raise PlayError(f"the run has tried a step again {RETRIES} times; give its retry policy an end")

    async def _retries(self) -> list[float]:
        """Return the times at which steps are tried again; of a child workflow, its next time."""
        state = await self._state()
        if state is None or state.finished:
            return []
        waits = [wait for call in state.calls.values() for wait in call.waits.values() if wait.open]
        childrens = [wait.deadline for wait in waits if wait.accepts == NOTHING and wait.deadline is not None]
        return [timer.at for timer in timers(state) if timer.kind == "call"] + childrens

    async def _due(self, view: RunView) -> list[float]:
        """Return the times at which something happens to the run by itself."""
        times = [timer.at for timer in await self._timers() if timer.kind in ("call", "wait")]
        for ask in view.asks:
            times += [] if ask.deadline is None else [ask.deadline]
            for kind in ("remind", "escalate"):
                for rung in getattr(ask.event, kind, None) or ():
                    # The run has opened it up to so much later than the store has taken it in.
                    times.append(ask.opened_at + self._worked_s + float(getattr(rung, "after", rung)))
        return times

    async def _state(self) -> RunState | None:
        fields = await self._store.state(self._run_id)
        return load_fields(self._definition, fields) if fields else None

    async def _timers(self) -> list[Timer]:
        state = await self._state()
        return [] if state is None or state.finished else timers(state)

    # --- telling --------------------------------------------------------------------------------

    async def standing(self, view: RunView) -> str:
        """Say where the run stands."""
        if view.status == "done":
            return f"the run is done, with result {view.result!r}"
        if view.status == "failed":
            return f"the run failed with {await self._last_note()}"
        if view.status == "parked":
            return f"the run cannot go on: {await self._last_note()}"
        if view.asks:
            return "the run asks " + " and ".join(_quoted(ask) for ask in view.asks)
        state = await self._state()
        calls = [] if state is None else state.calls.values()
        open_waits = [(call.step, wait.accepts) for call in calls for wait in call.waits.values() if wait.open]
        waits = [f"{step} waits for {accepts}" for step, accepts in open_waits if accepts != NOTHING]
        nothing = ", and asks nothing; a step that returns None leads nowhere"
        return f"the run is {view.status}" + (f": step {', step '.join(waits)}" if waits else nothing)

    async def _last_note(self) -> str:
        notes = [line.details["note"] for line in await self._store.journal(self._run_id) if "note" in line.details]
        return notes[-1] if notes else ""

    async def played(self, view: RunView) -> Played:
        """Return what came of it. Nobody takes what the run owes its surface, so all of it is still there."""
        owed = [effect.split(":") for effect in await self._store.effects_of(self._run_id)]
        found = [await self._runner.asked(self._run_id, name[1]) for name in owed if name[0] == "prompt"]
        return Played(
            run_id=self._run_id,
            status=view.status,
            result=view.result,
            error=view.error,
            asked=tuple(asked.event for asked in found if asked is not None),
            verdicts=tuple(self._verdicts),
            reminded=sum(name[0] == "remind" for name in owed),
            escalated=sum(name[0] == "escalate" for name in owed),
            journal=tuple(await self._store.journal(self._run_id)),
        )


def _somebody(asked: Asked) -> str:
    """Return a user who may answer, and has not done so yet."""
    ask = asked.ask
    barred = {actor for actor, _ in ask.votes} | (set() if ask.self_approval else {asked.run.requester})
    others = (f"somebody-{n}" for n in count(1))
    return next(user for user in chain(ask.allowed, others) if user not in barred)


def _text_of(event: InputRequiredEvent) -> str:
    text = getattr(event, "prefix", None)
    return text if isinstance(text, str) else repr(event)


def _quoted(ask: OpenAsk) -> str:
    options = getattr(ask.event, "options", None)
    return f"{_text_of(ask.event)!r}" + (f" ({' / '.join(options)})" if options else "")


def _told(move: Move) -> str:
    match move:
        case Reply():
            return repr(move.response)
        case Later():
            return f"later(seconds={move.seconds:g})"
        case Event():
            return type(move).__name__
        case str():
            return repr(move)
        case _:
            assert_never(move)
