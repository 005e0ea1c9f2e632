"""The law of the core: whatever happens, and wherever a crash falls, what is outstanding is what is owed."""

from __future__ import annotations

import copy
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Context, Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.collect import Collect, Take
from engine.core.model import (
    Announce,
    Announced,
    Answered,
    CancelRequested,
    Child,
    Collected,
    Command,
    Definition,
    Emitted,
    Expired,
    Heard,
    Intended,
    Intent,
    Nested,
    Paused,
    Publish,
    Raised,
    Remembered,
    Reopened,
    Resumed,
    Returned,
    RunState,
    RunStep,
    Sent,
    Show,
    Shown,
    Stirred,
    Streamed,
    Suspended,
    Tick,
    Timer,
    Wait,
    WakeAt,
    Woke,
    Wrote,
)
from engine.core.reducer import begin, reduce, todo
from engine.core.snapshot import dump, load

DAY = 86_400.0


class Part(Event):
    n: int


class Question(InputRequiredEvent):
    n: int


class Half(Event):
    n: int


class Busy(Workflow):
    """A bit of everything: fan-out, one worker, questions, waits, lists within lists, joins."""

    @step
    async def split(self, ctx: Context, ev: StartEvent) -> Part | list[Part] | None:
        return None

    @step(num_workers=1)
    async def alone(self, ev: Part) -> Part | list[Part] | Half | Question | StopEvent | None:
        return None

    @step(num_workers=2)
    async def beside(self, ev: Part) -> Part | None:
        return None

    @step(num_workers=1)
    async def gather(self, evs: list[Part | Half]) -> Part | None:
        return None

    @step
    async def first(self, evs: Annotated[list[Part], Collect(Take(2))]) -> Half | None:
        return None

    @step
    async def join(self, one: Half, other: Part) -> Half | None:
        return None

    @step
    async def decide(self, ev: HumanResponseEvent) -> Part | StopEvent:
        return StopEvent()


DEFINITION = Busy(timeout=1_000.0).definition


@dataclass(frozen=True)
class Crash:
    """What is not state is lost: where a run stands in a queue is not what it was before."""

    at: float

    def read_back(self, definition: Definition, state: RunState) -> RunState:
        if state.status == "cancelled":  # it would come back to life when loaded, by design
            return state
        return load(definition, json.loads(json.dumps(dump(definition, state, self.at))))


@dataclass
class World:
    """A run, what it has called for and nobody has done yet, and everything that happened to it."""

    definition: Definition
    now: float = 1_000.0
    outstanding: list[Command] = field(default_factory=list)
    ticks: list[Tick | Crash] = field(default_factory=list)
    state: RunState = field(init=False)

    def __post_init__(self) -> None:
        self.state = begin(self.definition, "r", StartEvent(), self.now)
        self.outstanding = todo(self.state)
        self.happen(Resumed(self.now))

    def happen(self, tick: Tick, done: Command | None = None) -> None:
        self.ticks.append(copy.deepcopy(tick))
        if done is not None:
            self.outstanding.remove(done)
        self.outstanding += [c for c in reduce(self.definition, self.state, tick) if not isinstance(c, Publish)]

    def crash(self) -> None:
        """Lose all that is not state, and read the state back from what was stored."""
        crash = Crash(self.now)
        self.ticks.append(crash)
        self.state = crash.read_back(self.definition, self.state)
        self.outstanding = todo(self.state)
        self.happen(Resumed(self.now))

    def reopen(self) -> None:
        """Let a run that is over go on; whoever worked on it stopped when it ended."""
        self.outstanding = []
        self.happen(Reopened(self.now))
        self.happen(Resumed(self.now))

    def still_owed(self) -> list[Command]:
        """Drop what is outstanding but has lost its point, such as showing a question that is closed."""
        owed = set(todo(self.state))
        return [command for command in self.outstanding if command in owed]


def events(draw: Any) -> Any:
    made: list[Event | list[Event] | None] = [
        None,
        Part(n=1),
        Half(n=1),
        Question(n=1),
        Question(n=2, timeout=60),
        StopEvent(result=1),
        [],
        [Part(n=1), Half(n=2)],
        [Part(n=3), Question(n=5), Part(n=4)],
    ]
    return copy.deepcopy(draw(st.sampled_from(made)))


class Nestling(Child):
    """A child that can be copied; a definition cannot, and need not."""

    def __deepcopy__(self, memo: Any) -> Nestling:
        return Nestling(self.definition, load(self.definition, plain(self.state)))


def child(now: float, timeout: float | None = None) -> Nestling:
    """Return a child that has asked twice, once by returning its question, and waits for something else too."""
    state = begin(DEFINITION, "c", StartEvent(), now)
    reduce(DEFINITION, state, Emitted(now, 1, 0, Part(n=1)))
    reduce(DEFINITION, state, Paused(now, 1, Wait("w", "Part", deadline=now + 40)))
    reduce(DEFINITION, state, Returned(now, 2, Question(n=5, timeout=timeout)))
    reduce(DEFINITION, state, Paused(now, 3, Wait("w", "HumanResponseEvent"), Question(n=6)))
    return Nestling(DEFINITION, state)


def ticks_of(world: World, command: Command, draw: Any) -> list[tuple[Tick, Command | None]]:
    """Return what may come of a command that is outstanding."""
    now = world.now
    match command:
        case RunStep(call_id):
            call = world.state.calls[call_id]
            name = draw(st.sampled_from(["w1", "w2"]))
            wait = Wait(name, "HumanResponseEvent", deadline=draw(st.sampled_from([None, now + 50])))
            question = draw(st.sampled_from([None, Question(n=3), Question(n=4, timeout=30.0)]))
            done: list[tuple[Tick, Command | None]] = [
                (Returned(now, call_id, events(draw)), command),
                (Raised(now, call_id, ValueError("no"), draw(st.sampled_from([None, 0.0, 20.0]))), command),
                (Emitted(now, call_id, len(call.applied), Part(n=2)), None),
                (Streamed(call_id, 0, Event()), None),
                (Wrote(now, "key", now, call_id, len(call.applied)), None),
                (Intended(call_id, "effect", Intent(len(call.intents) + 1, draw(st.booleans()))), None),
                (Remembered(call_id, draw(st.sampled_from(["once", "effect"])), 1), None),
                (Collected(call_id, len(call.applied), "default", Part(n=3), (Part, Part)), None),
            ]
            done.append((Paused(now, call_id, wait, copy.deepcopy(question)), command))
            done += [(Paused(now, call_id), command), (Heard(call_id, "child"), None)]
            done.append((Nested(call_id, "child", draw(st.sampled_from([None, child(now), child(now, 30.0)]))), None))
            return done
        case Show(ask_id):
            return [(Shown(ask_id), command)]
        case WakeAt(timer):
            world.now = max(now, timer.at)
            return [(Woke(world.now, timer), command)]
        case Announce():
            return [(Announced(), command)]
        case Publish():
            raise AssertionError("never owed")


def outside(world: World, draw: Any) -> list[tuple[Tick, Command | None]]:
    """Return what may happen to a run without its asking."""
    found: list[tuple[Tick, Command | None]] = [
        (Sent(world.now, HumanResponseEvent(response="x")), None),
        (Sent(world.now, Part(n=9)), None),
        (Sent(world.now, Part(n=9), "beside"), None),
        (Wrote(world.now, "seen", 1), None),
        (Stirred(1), None),
        (Suspended(world.now), None),
    ]
    for ask_id in [*world.state.asks, "a999"]:
        found.append((Answered(world.now, ask_id, HumanResponseEvent(response="y", ask_id=ask_id)), None))
        found.append((Expired(world.now, ask_id), None))
    if draw(st.integers(0, 30)) == 0:
        found.append((CancelRequested(world.now), None))
    return found


@st.composite
def histories(draw: Any) -> World:
    """Let random things happen to a run, with a crash now and then; check the law after each."""
    world = World(DEFINITION)
    family: bool = draw(st.booleans())
    if family:
        world.happen(Nested(1, "child", child(world.now)))
        world.happen(Paused(world.now, 1), RunStep(1))
    for _ in range(draw(st.integers(0, 40))):
        if draw(st.integers(0, 5)) == 0:
            world.crash()
        if world.state.finished and world.state.status != "done" and draw(st.booleans()):
            world.reopen()
        owed = world.still_owed()
        asked: bool = draw(st.booleans())
        if owed and asked:
            choices = ticks_of(world, draw(st.sampled_from(owed)), draw)
        else:
            choices = outside(world, draw)
        world.happen(*draw(st.sampled_from(choices)))
        world.now += draw(st.sampled_from([0.0, 1.0, 25.0]))
        assert Counter(world.still_owed()) == Counter(todo(world.state))
    return world


@settings(max_examples=200)
@given(histories())
def test_what_is_outstanding_is_what_the_state_owes(world: World) -> None:
    """The check is in `histories`, after each tick; here: a crash at the very end loses nothing either."""
    before = Counter(todo(world.state))

    world.crash()

    assert Counter(world.still_owed()) - before <= Counter(todo(world.state))


@settings(max_examples=60)
@given(histories())
def test_the_same_ticks_give_the_same_state(world: World) -> None:
    state = begin(DEFINITION, "r", StartEvent(), 1_000.0)

    for tick in world.ticks:
        if isinstance(tick, Crash):
            state = tick.read_back(DEFINITION, state)
        else:
            reduce(DEFINITION, state, copy.deepcopy(tick))

    assert plain(state) == plain(world.state)


@settings(max_examples=60)
@given(histories())
def test_whatever_happens_the_state_keeps_its_own_rules(world: World) -> None:
    state, stored = world.state, json.loads(json.dumps(plain(world.state)))
    ready = Counter(call.step for call in state.calls.values() if call.status == "ready")
    queued = {call.step for call in state.calls.values() if call.status == "queued"}

    assert state.status == "cancelled" or plain(load(DEFINITION, stored)) == stored
    assert all(ready[name] == state.running.get(name, 0) <= spec.num_workers for name, spec in DEFINITION.steps.items())
    assert all(state.running[name] == DEFINITION.steps[name].num_workers for name in queued)
    members = [call.origin.stream for call in state.calls.values()] + [ask.stream for ask in state.asks.values()]
    members += [stream.parent for stream in state.streams.values()]
    if not state.finished:
        assert {stream_id: stream.open for stream_id, stream in state.streams.items()} == Counter(
            member for member in members if member is not None
        )
    assert set(state.waiting) == {call.id for call in state.calls.values() if any(w.open for w in call.waits.values())}
    assert all(call.id in state.waiting for call in state.calls.values() if call.status == "waiting")
    assert all(
        state.calls[ask.call_id].waits[ask.wait_id].open for ask in state.asks.values() if ask.call_id and ask.wait_id
    )


def failed_beside_a_question() -> RunState:
    """A run with a question that waits two minutes, and a call that has failed for good at its third attempt."""
    state = begin(DEFINITION, "r", StartEvent(), 0.0)
    split = next(iter(state.calls))
    reduce(DEFINITION, state, Returned(0.0, split, [Part(n=1), Question(n=1, timeout=120)]))
    call = next(call for call in state.calls.values() if call.step == "beside")
    for retry_in in (0.0, 0.0, None):
        reduce(DEFINITION, state, Raised(10.0, call.id, ValueError("no"), retry_in))
    reduce(DEFINITION, state, Announced())
    return state


def test_a_failed_run_that_is_reopened_goes_on_with_the_call_that_failed() -> None:
    state = failed_beside_a_question()
    alone, beside = state.calls.values()

    owed = reduce(DEFINITION, state, Reopened(1_000.0))

    assert {RunStep(alone.id), RunStep(beside.id)} <= set(owed)
    assert Counter(owed) == Counter(todo(state))
    assert (state.status, state.final, state.error, state.reopened) == ("running", None, None, 1)
    assert (beside.attempt, beside.first_at, beside.failure) == (1, 1_000.0, None)
    assert state.budget == DEFINITION.timeout


def test_a_question_of_a_reopened_run_is_asked_anew_with_all_its_time() -> None:
    state = failed_beside_a_question()
    (before,) = state.asks.values()

    owed = reduce(DEFINITION, state, Reopened(1_000.0))

    (ask,) = state.asks.values()
    assert ask.id != before.id
    assert ask.event is not None
    assert ask.event._ask_id == ask.id
    assert (ask.opened_at, ask.deadline, ask.shown) == (1_000.0, 1_120.0, False)
    assert Show(ask.id) in owed


def waiting_with(question: Question, wait: Wait) -> RunState:
    state = begin(DEFINITION, "r", StartEvent(), 0.0)
    reduce(DEFINITION, state, Paused(0.0, 1, wait, question))
    return state


def test_the_answer_to_a_question_asked_anew_reaches_the_call_that_waits() -> None:
    state = waiting_with(Question(n=1), Wait("w", "HumanResponseEvent", deadline=50.0))
    reduce(DEFINITION, state, CancelRequested(1.0))

    reduce(DEFINITION, state, Reopened(1_000.0))
    (ask_id,) = state.asks
    owed = reduce(DEFINITION, state, Answered(1_001.0, ask_id, HumanResponseEvent(response="yes")))

    assert owed == [RunStep(1)]
    assert (state.calls[1].waits["w"].deadline, state.calls[1].waits["w"].ask_id) == (1_050.0, ask_id)


def test_what_a_call_has_failed_of_waiting_for_it_waits_for_again() -> None:
    state = waiting_with(Question(n=1), Wait("w", "HumanResponseEvent", deadline=50.0))
    reduce(DEFINITION, state, Woke(50.0, Timer(50.0, "wait", "1", "w")))
    reduce(DEFINITION, state, Raised(50.0, 1, TimeoutError("nobody"), None))

    reduce(DEFINITION, state, Reopened(1_000.0))

    assert state.calls[1].waits == {}


def test_a_question_that_the_state_does_not_hold_comes_with_the_tick() -> None:
    state = failed_beside_a_question()
    (ask,) = state.asks.values()
    kept, ask.event = ask.event, None
    assert isinstance(kept, Question)

    reduce(DEFINITION, state, Reopened(1_000.0, {ask.id: kept}))

    (anew,) = state.asks.values()
    assert isinstance(anew.event, Question)
    assert anew.event.n == 1


def test_a_finished_run_owes_its_end_and_nothing_else() -> None:
    state = begin(DEFINITION, "r", StartEvent(), 0.0)
    call_id = next(iter(state.calls))

    commands = reduce(DEFINITION, state, Returned(0.0, call_id, StopEvent(result=7)))

    assert commands == todo(state) == [Announce()]
    assert reduce(DEFINITION, state, Announced()) == todo(state) == []


def test_an_answer_to_a_closed_question_changes_nothing() -> None:
    state = begin(DEFINITION, "r", StartEvent(), 0.0)
    call_id = next(iter(state.calls))
    reduce(DEFINITION, state, Returned(0.0, call_id, Part(n=1)))
    alone = next(call.id for call in state.calls.values() if call.step == "alone")
    reduce(DEFINITION, state, Returned(0.0, alone, Question(n=1)))
    (ask_id,) = state.asks
    reduce(DEFINITION, state, Answered(1.0, ask_id, HumanResponseEvent(response="yes")))
    before = plain(state)

    (told,) = reduce(DEFINITION, state, Answered(2.0, ask_id, HumanResponseEvent(response="no")))

    assert plain(state) == before
    assert isinstance(told, Publish)


def test_the_cost_of_a_tick_does_not_grow_with_what_happened_before() -> None:
    """Behaviour 52: counted in what the state holds, which is what a tick, a snapshot and a commit can touch."""
    state = begin(DEFINITION, "r", StartEvent(), 0.0)
    reduce(DEFINITION, state, Returned(0.0, 1, None))
    sizes = []

    for _ in range(500):
        reduce(DEFINITION, state, Sent(0.0, HumanResponseEvent(response="again")))
        call_id = next(iter(state.calls))
        reduce(DEFINITION, state, Returned(0.0, call_id, None))
        sizes.append(len(json.dumps(plain(state))))

    assert max(sizes) - min(sizes) <= 5, "only numbers may get longer: of the next call, of calls made"


def plain(state: RunState) -> dict[str, Any]:
    return dump(DEFINITION, state, 0.0)
