"""A run store against a small model of what people may expect of it, in any order of events.

``SIGNOFF_EXAMPLES`` says how many stories hypothesis tells on each store; ``make chaos`` tells 1,000.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine.errors import FencedError
from engine.redis import RedisRunStore
from engine.run_store import Answer, Claim, Commit, NewAsk, NewRun, Timer
from engine.verdicts import Accepted, Already, Cancelled, Expired, Stale, Unknown, Verdict
from tests.integration.engine.stores import LANES, StoreWithClock, in_memory, skewing

pytestmark = pytest.mark.chaos

EXAMPLES = int(os.environ.get("SIGNOFF_EXAMPLES", "80"))
# Times are far apart and off each other's beat, so that the real clock under Redis decides nothing.
LEASE_S = 50.0
LIMIT_S = 500.0
STEP_S = 120.0
T = TypeVar("T")

actors = st.sampled_from(("ann", "bob", "cy"))
responses = st.sampled_from(("ship", "revise"))
whats = st.sampled_from(("ask", "ask", "ask", "ask anew", "ask anew", "ask what is closed", "end"))


@dataclass
class Question:
    """What the model knows of one question."""

    deadline: float
    revision: int = 1
    closed: Verdict | None = None
    """What everybody is told who comes late."""


@dataclass
class Model:
    """One run, as people see it."""

    now: float = 0.0
    questions: dict[str, Question] = field(default_factory=dict)
    inbox: list[tuple[str, str, str]] = field(default_factory=lambda: [("sent", "", "")])
    """Kind, ask, actor of what no worker has applied yet."""
    accepted: list[tuple[str, str]] = field(default_factory=list)
    """(ask, actor), in order."""
    told: dict[str, tuple[Answer, Verdict]] = field(default_factory=dict)
    """By delivery."""
    version: int = 0
    leased_until: float = 0.0
    """0: nobody has claimed the run since the last commit."""
    cancelled: bool = False
    over: bool = False

    @property
    def open(self) -> list[str]:
        return [ask_id for ask_id, question in self.questions.items() if question.closed is None]

    @property
    def asked_anew(self) -> list[str]:
        return [ask_id for ask_id in self.open if self.questions[ask_id].revision > 1]

    @property
    def closed(self) -> list[str]:
        return [ask_id for ask_id, question in self.questions.items() if question.closed is not None]

    @property
    def due(self) -> bool:
        """Whether a worker is given the run."""
        return not self.over and self.leased_until <= self.now and bool(self.inbox or self.leased_until)


class Story(RuleBasedStateMachine):
    """One run, its people and its workers: one that does not come back with its claim has crashed."""

    def __init__(self, world: StoreWithClock, loop: asyncio.Runner) -> None:
        super().__init__()
        self.world = world
        self.store = world.store
        self.loop = loop
        self.model = Model()
        self.held: list[Claim] = []
        """Claims that somebody believes to have; the last one may be right."""
        self.epoch = 0.0
        """The store's time when the model's is 0."""

    @initialize()
    def start(self) -> None:
        self.run_id = self.store.new_run_id(secrets.token_hex(8))
        created, _ = self.do(self.store.start(NewRun(self.run_id, "Deploy", "r1", b"start")))
        assert created
        self.work()

    # --- people -------------------------------------------------------------------------------

    @precondition(lambda self: self.model.questions)
    @rule(data=st.data(), actor=actors, response=responses)
    def click(self, data: st.DataObject, actor: str, response: str) -> None:
        """Click at any question there ever was, as it is now."""
        self._click(data.draw(st.sampled_from(sorted(self.model.questions))), actor, response, ago=0)

    @precondition(lambda self: self.model.asked_anew)
    @rule(data=st.data(), actor=actors, response=responses)
    def click_what_was_shown_before(self, data: st.DataObject, actor: str, response: str) -> None:
        self._click(data.draw(st.sampled_from(self.model.asked_anew)), actor, response, ago=1)

    @precondition(lambda self: self.model.open)
    @rule(actor=actors, response=responses, what=whats)
    def go_on(self, actor: str, response: str, what: str) -> None:
        """Answer what is open, and let a worker apply it: how it goes when nothing goes wrong."""
        self._click(self.model.open[-1], actor, response, ago=0)
        if self.model.due:
            self.work(what)

    def _click(self, ask_id: str, actor: str, response: str, *, ago: int) -> None:
        """Click at a question as it was shown *ago* revisions ago."""
        question = self.model.questions[ask_id]
        delivery = secrets.token_hex(4)
        answer = Answer(self.run_id, ask_id, delivery, actor, response, b"", revision=question.revision - ago)
        verdict = self.do(self.store.deliver(answer))
        self._check_verdict(question, answer, verdict)
        self.model.told[delivery] = (answer, verdict)

    def _check_verdict(self, question: Question, answer: Answer, verdict: Verdict) -> None:
        if question.closed is not None:
            assert verdict == question.closed
        elif question.deadline <= self.model.now:
            assert isinstance(verdict, Expired)
        elif answer.revision != question.revision:
            assert verdict == Stale()
        else:
            assert isinstance(verdict, Accepted)
            assert (verdict.by, verdict.response) == (answer.actor, answer.response)
            question.closed = Already(verdict.by, verdict.at, verdict.response)
            self.model.accepted.append((answer.ask_id, answer.actor))
            self.model.inbox.append(("answered", answer.ask_id, answer.actor))

    @precondition(lambda self: self.model.told)
    @rule(data=st.data())
    def deliver_again(self, data: st.DataObject) -> None:
        answer, before = self.model.told[data.draw(st.sampled_from(sorted(self.model.told)))]
        assert self.do(self.store.deliver(answer)) == before

    @rule(actor=actors)
    def try_what_cannot_be(self, actor: str) -> None:
        """Start what is there, click at what is not, and work where nothing is to do."""
        created, _ = self.do(self.store.start(NewRun(self.run_id, "Deploy", "r1", b"another")))
        answer = Answer(self.run_id, "a99", secrets.token_hex(4), actor, "ship", b"")
        assert not created
        assert self.do(self.store.deliver(answer)) == Unknown()
        if not self.model.due:
            assert self.do(self.store.claim(self.run_id, "w", LEASE_S)) is None

    @precondition(lambda self: len(self.model.questions) > 3)
    @rule(actor=actors)
    def cancel(self, actor: str) -> None:
        stopped = self.do(self.store.cancel(self.run_id, actor))
        assert stopped is not self.model.over
        if stopped and not self.model.cancelled:
            self.model.cancelled = True
            self.model.inbox.append(("cancelled", "", actor))
            self._close_all(actor)

    # --- time ----------------------------------------------------------------------------------

    @rule(steps=st.integers(1, 2))
    def pass_time(self, steps: int) -> None:
        self.do(self.world.pass_time(STEP_S * steps))
        self.model.now += STEP_S * steps

    @rule()
    def fire(self) -> None:
        self.do(self.store.fire_timers(limit=100_000))  # those of earlier stories are due, too
        for ask_id in self.model.open:
            question = self.model.questions[ask_id]
            if question.deadline <= self.model.now:
                question.closed = self._told_late(ask_id)
                assert isinstance(question.closed, Expired)
                self.model.inbox.append(("expired", ask_id, ""))

    # --- workers --------------------------------------------------------------------------------

    @precondition(lambda self: self.model.due)
    @rule()
    def claim(self) -> None:
        model = self.model
        claim = self.do(self.store.claim(self.run_id, "w", LEASE_S))
        assert claim is not None
        assert claim.version == model.version
        found = [(entry.kind, entry.ask_id, entry.actor) for entry in claim.inbox]
        assert _expired_sorted(found) == _expired_sorted(model.inbox)
        self.held.append(claim)
        self.epoch = claim.now - model.now
        model.leased_until = model.now + LEASE_S

    @precondition(lambda self: self.model.due)
    @rule(what=whats)
    def work(self, what: str = "ask") -> None:
        """Be a worker without trouble."""
        self.claim()
        self._commit(self.held[-1], what)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), what=whats)
    def commit(self, data: st.DataObject, what: str) -> None:
        """Apply what came, by somebody who may have been overtaken long ago."""
        self._commit(data.draw(st.sampled_from(self.held[-3:])), what)

    def _commit(self, claim: Claim, what: str) -> None:
        model = self.model
        asks = self._asks(what)
        change = Commit("done" if what == "end" else "waiting", consumed=len(claim.inbox), asks=asks)
        is_mine = claim is self.held[-1] and claim.version == model.version and not model.over
        try:
            self.do(self.store.commit(claim, change))
        except FencedError:
            assert not is_mine, "the only holder was refused"
            return
        except ValueError:
            assert what == "ask what is closed", "an id is used once, and this one was not"
            return
        assert is_mine, "somebody wrote who had been overtaken"
        assert not asks or what != "ask what is closed"
        model.leased_until = 0.0
        model.version += 1
        del model.inbox[: len(claim.inbox)]
        for ask in asks:
            before = model.questions.get(ask.ask_id)
            model.questions[ask.ask_id] = Question(model.now + LIMIT_S, 1 if before is None else before.revision + 1)
        if what == "end":
            model.over = True
            model.inbox.clear()
            self._close_all("")

    def _asks(self, what: str) -> list[NewAsk]:
        known = len(self.model.questions)
        ids = {"ask": [f"a{known}", f"a{known + 1}"], "ask anew": self.model.open[:1], "end": []}
        deadline = self.epoch + self.model.now + LIMIT_S
        ladder = (Timer("expire", 0, deadline),)
        return [
            NewAsk(ask_id, b"?", "d", deadline=deadline, timers=ladder)
            for ask_id in ids.get(what, self.model.closed[:1])
        ]

    def do(self, call: Awaitable[T]) -> T:
        async def made() -> T:
            return await call

        return self.loop.run(made())

    # --- always ----------------------------------------------------------------------------------

    @invariant()
    def the_store_shows_what_the_model_expects(self) -> None:
        if not hasattr(self, "run_id"):
            return
        run = self.do(self.store.run(self.run_id))
        assert run is not None
        assert run.version == self.model.version
        assert (run.status in ("done", "cancelled", "failed")) is self.model.over
        found = {ask.ask_id: ask.revision for ask in self.do(self.store.open_asks(self.run_id))}
        assert found == {ask_id: self.model.questions[ask_id].revision for ask_id in self.model.open}
        journal = self.do(self.store.journal(self.run_id))
        assert [(line.details["ask"], line.by) for line in journal if line.what == "answered"] == self.model.accepted
        versions = [line.details["version"] for line in journal if line.what == "committed"]
        assert versions == [str(n + 1) for n in range(self.model.version)]

    def _close_all(self, by: str) -> None:
        for ask_id in self.model.open:
            told = self._told_late(ask_id)
            assert isinstance(told, Cancelled)
            assert told.by == by
            self.model.questions[ask_id].closed = told

    def _told_late(self, ask_id: str) -> Verdict:
        return self.do(self.store.deliver(Answer(self.run_id, ask_id, secrets.token_hex(4), "late", "ship", b"")))


def _expired_sorted(inbox: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """What expired together, in one order: the rung that is due next decides that, and the model knows no rungs."""
    together = itertools.groupby(inbox, key=lambda entry: entry[0] == "expired")
    return [entry for expired, entries in together for entry in (sorted(entries) if expired else entries)]


def stories(world: Callable[[], StoreWithClock], loop: asyncio.Runner) -> type[Story]:
    class Told(Story):
        def __init__(self) -> None:
            super().__init__(world(), loop)

    return Told


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    """What the stories' calls run on: hypothesis knows nothing of loops."""
    with asyncio.Runner() as runner:
        yield runner


TOLD = settings(
    max_examples=EXAMPLES,
    stateful_step_count=60,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


def test_memory_keeps_what_people_may_expect(loop: asyncio.Runner) -> None:
    run_state_machine_as_test(stories(in_memory, loop), settings=TOLD)


def test_redis_keeps_what_people_may_expect(loop: asyncio.Runner, redis_url: str, prefix: str) -> None:
    store = RedisRunStore.from_url(redis_url, prefix=prefix, lanes=LANES)
    world = StoreWithClock(store, skewing(store, LANES))
    run_state_machine_as_test(stories(lambda: world, loop), settings=TOLD)
    loop.run(store.close())
