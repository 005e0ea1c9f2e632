"""Durable runs: start them, record answers, see how they stand, and have them worked on.

`Runner` is what whoever uses durable runs holds; how a run is worked on stands in `engine.worker`.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.core.codec import Codec
from engine.core.model import Definition
from engine.core.questions import words
from engine.core.snapshot import START, load_fields
from engine.core.versions import stored_names
from engine.core.weight import LIMIT_BYTES, WARN_BYTES
from engine.errors import CodecError, NotJudged, RunNotFound
from engine.events import (
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
)
from engine.run_store import (
    LATE,
    REOPENABLE,
    Amendment,
    Answer,
    AskRecord,
    Entry,
    NewRun,
    Refusal,
    RunRecord,
    RunStatus,
    RunStore,
    Shown,
)
from engine.verdicts import Accepted, Invalid, Recorded, Unknown, Verdict
from engine.worker import LEASE_S, MAX_ATTEMPTS, Worker
from engine.workflow import Workflow

_FENCES = 1_000_000
"""So many there are for the first claim on a run; see `NewRun.fence`."""
_PLAIN = Codec({HumanResponseEvent.__name__: HumanResponseEvent})
"""Writes answers as the codec of any workflow does, unless something in them is of an author's class."""


@dataclass(frozen=True, slots=True)
class OpenAsk:
    """A question that waits for a person."""

    id: str
    event: InputRequiredEvent
    opened_at: float
    deadline: float | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A stored question with its run and the event that asked."""

    run: RunRecord
    ask: AskRecord
    event: InputRequiredEvent


@dataclass(frozen=True, slots=True)
class RunView:
    """A durable run as its caller sees it. *result* is what awaiting it in process would return."""

    run_id: str
    status: RunStatus
    asks: tuple[OpenAsk, ...] = ()
    result: Any = None
    error: Exception | None = None


class Runner:
    """Runs workflows out of a run store. Any number of runners may share one."""

    def __init__(
        self,
        store: RunStore,
        workflows: Iterable[Workflow] = (),
        *,
        worker: str | None = None,
        lease_s: float = LEASE_S,
        max_attempts: int = MAX_ATTEMPTS,
        wake: Callable[[str], Awaitable[None]] | None = None,
        eager: bool = False,
        limit_bytes: int = LIMIT_BYTES,
        warn_bytes: int = WARN_BYTES,
    ) -> None:
        """*wake* is told of each run that has something to do; without it somebody must `sweep`.

        An *eager* runner works on what it has started, or what an answer to it has decided, before it returns: for
        programs of one process. Where a run's first steps only compute and ask, it is stored with its question, in
        one call, unless it has a key; it is stored before they wait for anything, and before ``once`` or ``effect``
        does anything. From an answer to the run's end there are two calls that write.

        A step that makes the compressed state of its run larger than *limit_bytes* fails. From
        *warn_bytes* on the log tells.

        A run is held for *lease_s* seconds, 30 by default, and longer as long as the process lives: that is how
        late another *worker* takes over what a dead one held. Each that died since the run was saved last doubles
        that, up to ten minutes, and once *max_attempts* have died the run is parked: its step seems to end them.

        Raises:
            ValueError: two of *workflows* share a class name.
            WorkflowValidationError: the graph of one does not make sense.
        """
        self.store = store
        self.wake = wake
        self.eager = eager
        self._workflows: dict[str, Workflow] = {}
        self._worker = Worker(
            store,
            self._workflows,
            name=worker or secrets.token_hex(4),
            lease_s=lease_s,
            max_attempts=max_attempts,
            wake=self._wake,
            limit_bytes=limit_bytes,
            warn_bytes=warn_bytes,
        )
        for workflow in workflows:
            self.register(workflow)

    def register(self, workflow: Workflow) -> str:
        """Make a workflow known under its class's names and return the one that its runs are stored under.

        Raises:
            ValueError: another class has that name.
            WorkflowValidationError: its graph does not make sense.
        """
        names = stored_names(type(workflow))
        for name in names:
            known = self._workflows.get(name)
            if known is None:
                Workflow.validate(workflow)
                self._workflows[name] = workflow
            elif type(known) is not type(workflow):
                raise ValueError(
                    f"two workflows are called {name}: in {type(known).__module__} and {type(workflow).__module__}"
                )
        return names[0]

    # --- into a run ----------------------------------------------------------------------

    async def start(
        self,
        workflow: Workflow,
        start_event: StartEvent | None = None,
        *,
        key: str | None = None,
        tenant: str = "",
        requester: str = "",
        address: str = "",
        **kwargs: Any,
    ) -> str:
        """Start a durable run and return its id; the same *key* starts one run however often it is used.

        Raises:
            StoreUnavailable: nothing was started, as far as we know.
            CodecError: the start event cannot be stored.
        """
        name = self.register(workflow)
        definition = workflow.definition
        event = workflow.start_event_class(**kwargs) if start_event is None else start_event
        run = NewRun(
            run_id=self.store.new_run_id(key),
            workflow=name,
            revision=definition.revision,
            event=definition.codec.dumps(event, "start event"),
            tenant=tenant,
            requester=requester,
            address=address,
            fence=1 + secrets.randbelow(_FENCES),
        )
        if not self.eager:
            await self.store.start(run)
        elif key is not None or not await self._worker.begin(run):
            _, claim = await self.store.start(run, worker=self._worker.name, lease_s=self._worker.lease_s)
            await self._worker.work_at_once(claim)
        await self._wake(run.run_id)
        return run.run_id

    async def answer(
        self,
        run_id: str,
        ask_id: str,
        response: str,
        *,
        user_id: str,
        delivery_id: str | None = None,
        final: bool = False,
        **fields: Any,
    ) -> Verdict:
        """Answer a question and return the verdict, the same for the same *delivery_id*.

        *fields* go along on the HumanResponseEvent. A *final* answer decides whatever the quorum.

        Raises:
            StoreUnavailable: the answer may not have been recorded; deliver it again.
        """
        delivery_id = delivery_id or secrets.token_hex(8)
        event = HumanResponseEvent(response=response, ask_id=ask_id, user_id=user_id, **fields)
        try:
            body = _PLAIN.dumps(event, "answer")
            # Its own words, for all that is known: sealed, a response that the question names is not taken unread.
            answer = Answer(
                run_id, ask_id, delivery_id, user_id, response, body, final=final, unseen=True, own_words=True
            )
            return await self._deliver(answer)
        except (CodecError, NotJudged):
            asked = await self.asked(run_id, ask_id)
        if asked is None:
            return Unknown()
        return await self.decide(asked, response, user_id=user_id, delivery_id=delivery_id, final=final, **fields)

    async def answer_shown(
        self,
        run_id: str,
        ask_id: str,
        response: str,
        shown: Shown,
        *,
        user_id: str,
        delivery_id: str,
        revision: int,
        via: str = "",
        **fields: Any,
    ) -> Verdict:
        """Answer what was *shown* with a response that is a whole answer, in one call that does not read the question.

        Raises:
            NotJudged: it is not clear that it counts; nothing was recorded. Look the question up, and `decide`.
            StoreUnavailable: the answer may not have been recorded; deliver it again.
        """
        event = HumanResponseEvent(response=response, ask_id=ask_id, user_id=user_id, **fields)
        answer = Answer(
            run_id=run_id,
            ask_id=ask_id,
            delivery_id=delivery_id,
            actor=user_id,
            response=response,
            body=_PLAIN.dumps(event, "answer"),
            revision=revision,
            unseen=shown,
            via=via,
        )
        return await self._deliver(answer)

    async def asked(self, run_id: str, ask_id: str) -> Asked | None:
        """Return a question, open or not, with its run; None if there is no such question."""
        found = await self.store.asked(run_id, ask_id)
        return None if found is None else Asked(*found, self.question(*found))

    async def decide(
        self,
        asked: Asked,
        response: str,
        *,
        user_id: str,
        delivery_id: str | None = None,
        final: bool = False,
        via: str = "",
        approves: str = "",
        acting_as: Collection[str] = (),
        **fields: Any,
    ) -> Verdict:
        """Answer a question that was looked up before; see `answer`. *via* tells the journal which way it came.

        *approves* is the digest of what is approved in place of what was shown, for the journal.
        *acting_as* are names, as of groups, that stand for this person just now, too.
        """
        run, ask = asked.run, asked.ask
        event = HumanResponseEvent(response=response, ask_id=ask.ask_id, user_id=user_id, **fields)
        answer = Answer(
            run_id=run.run_id,
            ask_id=ask.ask_id,
            delivery_id=delivery_id or secrets.token_hex(8),
            actor=user_id,
            response=response,
            body=self.codec(run.workflow).dumps(event, "answer"),
            own_words=_in_own_words(asked.event, response),
            revision=ask.revision,
            final=final,
            via=via,
            approves=approves,
            allowed=ask.allowed,
        )
        while True:
            if (refused := await self._refused(asked, answer, acting_as)) is not None:
                return refused
            try:
                return await self._deliver(answer)
            except NotJudged:  # others may answer by now than when it was looked up
                asked = await self.asked(run.run_id, ask.ask_id) or asked
                answer = replace(answer, allowed=asked.ask.allowed)

    async def _refused(self, asked: Asked, answer: Answer, acting_as: Collection[str]) -> Verdict | None:
        """Return what whoever may not answer is told, or not like this; None: the store judges."""
        if asked.ask.status != "open":
            return None
        why = _barred(asked, {answer.actor, *acting_as})
        if why is None:
            return _invalid(asked.event, answer.response)
        user, delivery = answer.actor, answer.delivery_id
        return await self.refuse(asked, answer.response, user_id=user, delivery_id=delivery, why=why, via=answer.via)

    async def _deliver(self, answer: Answer) -> Verdict:
        if self.eager:
            worker = self._worker
            verdict, claim = await self.store.deliver_and_claim(answer, worker.name, worker.lease_s, worker.known)
            await worker.work_at_once(claim)
        else:
            verdict = await self.store.deliver(answer)
        if isinstance(verdict, Accepted | Recorded):  # anything else leaves the run, and what it shows, as it was
            await self._wake(answer.run_id)
        return verdict

    async def amend(self, change: Amendment) -> Verdict:
        """Change something about an open question; see `RunStore.amend`."""
        verdict = await self.store.amend(change)
        if isinstance(verdict, Accepted):
            await self._wake(change.run_id)
        return verdict

    async def refuse(
        self, asked: Asked, response: str, *, user_id: str, delivery_id: str, why: str, via: str = ""
    ) -> Verdict:
        """Write down that somebody who may not answer tried to; the same *delivery_id* is told the same again.

        *why* is for the journal, in a word.
        """
        allowed = tuple(who for who in asked.ask.allowed if asked.ask.self_approval or who != asked.run.requester)
        run_id, ask_id = asked.run.run_id, asked.ask.ask_id
        own_words = _in_own_words(asked.event, response)
        refusal = Refusal(run_id, ask_id, delivery_id, user_id, response, why, allowed, via, own_words)
        return await self.store.refuse(refusal)

    async def note_late(self, asked: Asked, response: str, *, user_id: str, delivery_id: str, via: str = "") -> None:
        """Write down that an answer came when its question was closed, which is what it was told; once a delivery."""
        run_id, ask_id = asked.run.run_id, asked.ask.ask_id
        own_words = _in_own_words(asked.event, response)
        await self.store.refuse(
            Refusal(run_id, ask_id, delivery_id, user_id, response, LATE, via=via, own_words=own_words)
        )

    async def send(self, run_id: str, event: Event, *, delivery_id: str | None = None) -> None:
        """Give a run an event that answers no question.

        Raises:
            RunNotFound: the run is over or unknown.
        """
        run = await self.store.run(run_id)
        if run is None or not await self.store.send(
            run_id, delivery_id or secrets.token_hex(8), self.codec(run.workflow).dumps(event, "event")
        ):
            raise RunNotFound(f"run {run_id} is over or unknown; {type(event).__name__} not delivered")
        await self._wake(run_id)

    async def cancel(self, run_id: str, by: str) -> bool:
        """Cancel a run; its questions close at once. False if it is over or unknown."""
        cancelled = await self.store.cancel(run_id, by)
        await self._wake(run_id)
        return cancelled

    async def reopen(self, run_id: str, by: str) -> RunStatus | None:
        """Let a run that is parked, failed or cancelled go on; see `RunStore.reopen`."""
        was = await self.store.reopen(run_id, by)
        if was in REOPENABLE:
            await self._wake(run_id)
        return was

    async def fork(self, run_id: str, by: str) -> str:
        """Start a run that goes on from where another stands, every question asked anew; return its id.

        A run that is done has nothing to go on with: its fork begins again, with what that was started with.

        Raises:
            RunNotFound: no run has this id, or it is done and what it was started with is not stored.
            CodecError: it cannot be decrypted.
        """
        whole = await self.store.export(run_id)
        if whole is None:
            raise RunNotFound(f"no run {run_id}")
        if whole.unreadable:
            raise CodecError(whole.unreadable)
        new = replace(whole.run, run_id=self.store.new_run_id())
        if whole.run.status != "done":
            inbox = (*whole.inbox, Entry("reopened", whole.at, actor=by))
            copy = replace(whole, run=new, inbox=inbox)
        elif START in whole.state:
            inbox = (Entry("sent", whole.at, whole.state[START]),)
            copy = replace(whole, run=new, state={}, memo={}, asks=(), inbox=inbox)
        else:
            raise RunNotFound(f"run {run_id} is done, and what it was started with is not stored")
        await self.store.fork(copy, run_id, by)
        await self._wake(new.run_id)
        return new.run_id

    # --- seeing ------------------------------------------------------------------------------

    async def view(self, run_id: str) -> RunView:
        """Return a run's status, open questions and result.

        Raises:
            RunNotFound: no run has this id.
        """
        run = await self.store.run(run_id)
        if run is None:
            raise RunNotFound(f"no run {run_id}")
        asks = tuple(
            OpenAsk(ask.ask_id, self.question(run, ask), ask.opened_at, ask.deadline)
            for ask in await self.store.open_asks(run_id)
        )
        fields = await self.store.state(run_id) if run.status in ("done", "failed") else {}
        if not fields:
            return RunView(run_id, run.status, asks)
        state = load_fields(self.definition(run.workflow), fields)
        result = state.final.result if type(state.final) is StopEvent else state.final
        return RunView(run_id, run.status, asks, result if state.error is None else None, state.error)

    def definition(self, workflow: str) -> Definition:
        """Return what a workflow has declared.

        Raises:
            RunNotFound: this process does not know the workflow.
        """
        try:
            return self._workflows[workflow].definition
        except KeyError:
            raise RunNotFound(f"workflow {workflow} is not known here; it knows {', '.join(self._workflows)}") from None

    def codec(self, workflow: str) -> Codec:
        """Return what reads and writes the stored values of a workflow; raises as `definition`."""
        return self.definition(workflow).codec

    def question(self, run: RunRecord, ask: AskRecord) -> InputRequiredEvent:
        """Return the event that asked."""
        event = self.codec(run.workflow).loads(ask.event, f"ask {ask.ask_id}")
        assert isinstance(event, InputRequiredEvent)
        return event

    # --- work --------------------------------------------------------------------------------

    async def work(self, run_id: str) -> bool:
        """Do what a run has to do, until it waits or is over; tell whether anything was done that stands.

        A run that was parked, left to other workers, or that another has taken over, is none of it. When cancelled,
        the run is given back as it was last saved, and another worker goes on at once.

        Raises:
            StoreUnavailable: the run stands as it was last saved, and comes back when its lease is over.
            CodecError: so it does where somebody has spoilt what is stored of it.
        """
        return await self._worker.work(run_id)

    async def sweep(self, limit: int = 100) -> Sequence[str]:
        """Fire what is due and return the runs that have something to do, longest waiting first."""
        await self.store.fire_timers(limit)
        return await self.store.due(limit)

    async def drain(self, run_id: str | None = None) -> RunView:
        """Work until nothing is due; for tests and programs of one process. Returns the run's view, if one is named."""
        while True:
            due = [run_id] if run_id is not None else list(await self.sweep())
            if run_id is not None:
                await self.store.fire_timers()
            if not any([await self.work(one) for one in due]):
                break
        return RunView("", "ready") if run_id is None else await self.view(run_id)

    async def _wake(self, run_id: str) -> None:
        if self.wake is not None:
            await self.wake(run_id)


def _barred(asked: Asked, names: Collection[str]) -> str | None:
    """Return why whoever has these *names* may not answer, or None."""
    ask = asked.ask
    if not ask.self_approval and asked.run.requester in names:
        return "asked"
    return "not_named" if ask.allowed and not set(ask.allowed).intersection(names) else None


def _in_own_words(event: InputRequiredEvent, response: str) -> bool:
    """Whether a response is none that a question names."""
    return response not in (getattr(event, "options", None) or ())


def _invalid(event: InputRequiredEvent, response: str) -> Invalid | None:
    """Return what is wrong with an answer, or None."""
    options = words(getattr(event, "options", None))
    if options and response not in options:
        return Invalid((("", f"answer with one of: {', '.join(options)}"),))
    return None
