"""`SealedRunStore`: a run store around another one, which gets to see only sealed values.

Sealed are what people and authors wrote: state, start events and events sent, questions, answers, what calls
remember, the bodies of effects, and the journal's notes. The hash of a question is sealed, too: a short question can
be guessed from it. So an answer to what was shown (`Answer.unseen`) is not judged before the question was read.
An answer's *response*, where it is somebody's own words, is sealed so that the same is sealed the same: votes add up,
and while keys change, too, as each vote gets the key of its question.
Everything else the store decides by stays readable: ids, times, statuses, names of workflows, steps and keys, places
and messages, who may answer and with which responses, who did, and with which of those.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from engine.errors import CodecError, NotJudged
from engine.keyring import Keyring
from engine.run_store import (
    Amendment,
    Answer,
    AskRecord,
    Claim,
    Commit,
    EffectClaim,
    Entry,
    JournalEntry,
    NewAsk,
    NewRun,
    Place,
    Refusal,
    RunRecord,
    RunStatus,
    RunStore,
    Shown,
    WholeRun,
)
from engine.verdicts import Accepted, Already, Verdict

logger = logging.getLogger(__name__)

_EVENT, _STATE, _ASK, _DIGEST, _ANSWER, _RESPONSE, _MEMO, _EFFECT, _NOTE = (
    "event",
    "state",
    "question",
    "hash of question",
    "answer to",
    "response to",
    "memo",
    "effect",
    "note",
)


class SealedRunStore:
    """A `RunStore` that seals for *store* with *keyring*, and opens what it returns.

    A claim that cannot be opened says why in `Claim.unreadable`.
    """

    def __init__(self, store: RunStore, keyring: Keyring) -> None:
        self._store = store
        self._keyring = keyring

    # --- sealed ----------------------------------------------------------------------------------

    async def start(self, run: NewRun, *, worker: str = "", lease_s: float = 0.0) -> tuple[bool, Claim | None]:
        sealed = replace(run, event=self._keyring.seal(run.run_id, _EVENT, "", run.event))
        created, claim = await self._store.start(sealed, worker=worker, lease_s=lease_s)
        return created, self._claim(claim)

    async def begin(self, run: NewRun, change: Commit, now: float, *, worker: str, lease_s: float) -> Claim | None:
        sealed = self._change(run.run_id, change)
        after = await self._store.begin(replace(run, event=b""), sealed, now, worker=worker, lease_s=lease_s)
        return None if after is None else self._after({}, change, after)

    async def send(self, run_id: str, delivery_id: str, event: bytes) -> bool:
        return await self._store.send(run_id, delivery_id, self._keyring.seal(run_id, _EVENT, "", event))

    async def deliver(self, answer: Answer) -> Verdict:
        return self._verdict(answer, await self._store.deliver(await self._answer(answer)))

    async def deliver_and_claim(
        self, answer: Answer, worker: str, lease_s: float, workflows: Sequence[str] = ()
    ) -> tuple[Verdict, Claim | None]:
        sealed = await self._answer(answer)
        verdict, claim = await self._store.deliver_and_claim(sealed, worker, lease_s, workflows)
        return self._verdict(answer, verdict), self._claim(claim)

    async def refuse(self, refusal: Refusal) -> Verdict:
        sealed = replace(refusal, response=self._response(refusal))
        return self._verdict(refusal, await self._store.refuse(sealed))

    async def amend(self, change: Amendment) -> Verdict:
        run_id, seal = change.run_id, self._keyring.seal
        effects = [replace(made, body=seal(run_id, _EFFECT, made.effect_id, made.body)) for made in change.effects]
        note = self._keyring.seal_text(run_id, _NOTE, "", change.note)
        return self._verdict(change, await self._store.amend(replace(change, effects=effects, note=note)))

    async def claim(self, run_id: str, worker: str, lease_s: float, workflows: Sequence[str] = ()) -> Claim | None:
        return self._claim(await self._store.claim(run_id, worker, lease_s, workflows))

    async def remember(self, claim: Claim, key: str, value: bytes) -> bytes:
        kept = await self._store.remember(claim, key, self._keyring.seal(claim.run_id, _MEMO, key, value))
        return self._keyring.open(claim.run_id, _MEMO, key, kept)

    async def leave(self, claim: Claim, note: str) -> bool:
        return await self._store.leave(claim, self._keyring.seal_text(claim.run_id, _NOTE, "", note))

    async def commit(self, claim: Claim, change: Commit) -> Claim:
        after = await self._store.commit(claim, self._change(claim.run_id, change))
        if claim.unreadable:
            return replace(after, state={}, inbox=_without(after.inbox), memo={}, unreadable=claim.unreadable)
        return self._after(claim.state, change, after)

    async def claim_effect(self, run_id: str, effect_id: str, lease_s: float) -> EffectClaim | None:
        claim = await self._store.claim_effect(run_id, effect_id, lease_s)
        if claim is None:
            return None
        body = self._keyring.open(run_id, _EFFECT, effect_id, claim.body)
        return replace(claim, body=body, ask=None if claim.ask is None else self._ask(claim.ask))

    async def ask(self, run_id: str, ask_id: str) -> AskRecord | None:
        found = await self._store.ask(run_id, ask_id)
        return None if found is None else self._ask(found)

    async def asked(self, run_id: str, ask_id: str) -> tuple[RunRecord, AskRecord] | None:
        found = await self._store.asked(run_id, ask_id)
        return None if found is None else (found[0], self._ask(found[1]))

    async def open_asks(self, run_id: str) -> Sequence[AskRecord]:
        return [self._ask(ask) for ask in await self._store.open_asks(run_id)]

    async def last_closed(self, run_id: str) -> AskRecord | None:
        found = await self._store.last_closed(run_id)
        return None if found is None else self._ask(found)

    async def asks_for(self, tenant: str, actor: str, limit: int = 100) -> Sequence[AskRecord]:
        found: list[AskRecord] = []
        for ask in await self._store.asks_for(tenant, actor, limit):
            try:
                found.append(self._ask(ask))
            except CodecError as error:  # it must not keep its people from all others
                logger.warning("question left out of a list", extra={"run_id": ask.run_id, "reason": str(error)})
        return found

    async def state(self, run_id: str, *names: str) -> Mapping[str, bytes]:
        return self._named(run_id, _STATE, await self._store.state(run_id, *names))

    async def export(self, run_id: str) -> WholeRun | None:
        whole = await self._store.export(run_id)
        if whole is None:
            return None
        whole = replace(whole, journal=tuple(self._line(run_id, line) for line in whole.journal))
        try:
            return replace(
                whole,
                state=self._named(run_id, _STATE, whole.state),
                inbox=tuple(self._entry(run_id, entry) for entry in whole.inbox),
                memo=self._named(run_id, _MEMO, whole.memo),
                asks=tuple(self._ask(ask) for ask in whole.asks),
                effects=tuple(
                    replace(one, body=self._keyring.open(run_id, _EFFECT, one.effect_id, one.body))
                    for one in whole.effects
                ),
            )
        except CodecError as error:
            return replace(whole, unreadable=str(error))

    async def fork(self, copy: WholeRun, source: str, by: str) -> bool:
        run_id, seal = copy.run.run_id, self._keyring.seal
        sealed = replace(
            copy,
            state={name: seal(run_id, _STATE, name, value) for name, value in copy.state.items()},
            inbox=tuple(replace(one, body=seal(run_id, *_event_of(one), one.body)) for one in copy.inbox),
            memo={name: seal(run_id, _MEMO, name, value) for name, value in copy.memo.items()},
            asks=tuple(
                replace(
                    ask,
                    event=seal(run_id, _ASK, ask.ask_id, ask.event),
                    digest=self._keyring.seal_text(run_id, _DIGEST, ask.ask_id, ask.digest),
                )
                for ask in copy.asks
            ),
        )
        return await self._store.fork(sealed, source, by)

    async def journal(self, run_id: str) -> Sequence[JournalEntry]:
        """Return a run's audit trail, oldest first; what cannot be opened tells why in its place."""
        return [self._line(run_id, line) for line in await self._store.journal(run_id)]

    def _after(self, state: Mapping[str, bytes], change: Commit, after: Claim) -> Claim:
        """Return the claim *after* a change to *state* as whoever made that change may read it."""
        if self._keyring.passes(*_values(after)):
            return after
        return replace(
            after,
            state={name: value for name, value in {**state, **change.written}.items() if name in after.state},
            inbox=self._readable(after),
            memo=self._named(after.run_id, _MEMO, after.memo),
        )

    # --- values ----------------------------------------------------------------------------------

    def _change(self, run_id: str, change: Commit) -> Commit:
        if not self._keyring.seals:
            return change
        seal = self._keyring.seal
        return replace(
            change,
            written={name: seal(run_id, _STATE, name, value) for name, value in change.written.items()},
            asks=[self._new_ask(run_id, ask) for ask in change.asks],
            effects=[replace(made, body=seal(run_id, _EFFECT, made.effect_id, made.body)) for made in change.effects],
            note=self._keyring.seal_text(run_id, _NOTE, "", change.note),
        )

    async def _answer(self, answer: Answer) -> Answer:
        run_id, ask_id = answer.run_id, answer.ask_id
        if isinstance(answer.unseen, Shown) and self._keyring.seals:
            raise NotJudged(f"the hash of ask {ask_id} is sealed, so it cannot be held against what was shown")
        body = self._keyring.seal(run_id, _ANSWER, ask_id, answer.body)
        approves = self._keyring.seal_text(run_id, _DIGEST, ask_id, answer.approves)
        like = None
        if answer.own_words and self._keyring.changes:
            asked = await self._store.ask(run_id, ask_id)
            like = asked.event if asked is not None and asked.quorum > 1 else None
        return replace(answer, body=body, approves=approves, response=self._response(answer, like))

    def _response(self, given: Answer | Refusal, like: bytes | None = None) -> str:
        if self._keyring.seals and not given.own_words:
            return given.response
        return self._keyring.seal_word(given.run_id, _RESPONSE, given.ask_id, given.response, like)

    def _verdict(self, given: Answer | Refusal | Amendment, told: Verdict) -> Verdict:
        if not isinstance(told, Accepted | Already):
            return told
        return replace(told, response=self._keyring.open_word(given.run_id, _RESPONSE, given.ask_id, told.response))

    def _new_ask(self, run_id: str, ask: NewAsk) -> NewAsk:
        event = self._keyring.seal(run_id, _ASK, ask.ask_id, ask.event)
        return replace(ask, event=event, digest=self._keyring.seal_text(run_id, _DIGEST, ask.ask_id, ask.digest))

    def _ask(self, ask: AskRecord) -> AskRecord:
        run_id, ask_id, open_word = ask.run_id, ask.ask_id, self._keyring.open_word
        if ask.response or ask.votes:
            response = open_word(run_id, _RESPONSE, ask_id, ask.response)
            votes = tuple((who, open_word(run_id, _RESPONSE, ask_id, vote)) for who, vote in ask.votes)
            ask = replace(ask, response=response, votes=votes)
        if self._keyring.passes(ask.event, ask.answer):
            return ask
        return replace(
            ask,
            event=self._keyring.open(run_id, _ASK, ask_id, ask.event),
            digest=self._keyring.open_text(run_id, _DIGEST, ask_id, ask.digest),
            answer=self._keyring.open(run_id, _ANSWER, ask_id, ask.answer),
        )

    def _claim(self, claim: Claim | None) -> Claim | None:
        if claim is None or self._keyring.passes(*_values(claim)):
            return claim
        run_id = claim.run_id
        try:
            return replace(
                claim,
                state=self._named(run_id, _STATE, claim.state),
                inbox=tuple(self._entry(run_id, entry) for entry in claim.inbox),
                memo=self._named(run_id, _MEMO, claim.memo),
            )
        except CodecError as error:
            return replace(claim, state={}, inbox=_without(claim.inbox), memo={}, unreadable=str(error))

    def _readable(self, claim: Claim) -> tuple[Entry, ...]:
        """Return what has arrived before the first that cannot be opened; the next claim meets that one and says so."""
        found: list[Entry] = []
        for entry in claim.inbox:
            try:
                found.append(self._entry(claim.run_id, entry))
            except CodecError:
                break
        return tuple(found)

    def _entry(self, run_id: str, entry: Entry) -> Entry:
        return replace(entry, body=self._keyring.open(run_id, *_event_of(entry), entry.body))

    def _named(self, run_id: str, kind: str, values: Mapping[str, bytes]) -> dict[str, bytes]:
        return {name: self._keyring.open(run_id, kind, name, value) for name, value in values.items()}

    def _line(self, run_id: str, line: JournalEntry) -> JournalEntry:
        digest = (_DIGEST, line.details.get("ask", ""))
        text, word = self._keyring.open_text, self._keyring.open_word
        response = (word, _RESPONSE, digest[1])
        sealed = {
            "note": (text, _NOTE, ""),
            "digest": (text, *digest),
            "approves": (text, *digest),
            "response": response,
        }
        details = dict(line.details)
        for name, (opened, kind, of) in sealed.items():
            if name in details:
                try:
                    details[name] = opened(run_id, kind, of, details[name])
                except CodecError as error:
                    details[name] = f"({error})"
        return replace(line, details=details)

    # --- as they are -----------------------------------------------------------------------------

    def new_run_id(self, key: str | None = None) -> str:
        return self._store.new_run_id(key)

    async def release(self, claim: Claim) -> None:
        await self._store.release(claim)

    async def renew(self, claim: Claim, lease_s: float) -> None:
        await self._store.renew(claim, lease_s)

    async def cancel(self, run_id: str, by: str) -> bool:
        return await self._store.cancel(run_id, by)

    async def reopen(self, run_id: str, by: str) -> RunStatus | None:
        return await self._store.reopen(run_id, by)

    async def purge(self, run_id: str, *, force: bool = False) -> RunStatus | None:
        return await self._store.purge(run_id, force=force)

    async def fire_timers(self, limit: int = 100) -> Sequence[str]:
        return await self._store.fire_timers(limit)

    async def due(self, limit: int = 100) -> Sequence[str]:
        return await self._store.due(limit)

    async def due_effects(self, limit: int = 100) -> Sequence[tuple[str, str]]:
        return await self._store.due_effects(limit)

    async def effects_of(self, run_id: str) -> Sequence[str]:
        return await self._store.effects_of(run_id)

    async def finish_effect(self, claim: EffectClaim, ref: str) -> str:
        return await self._store.finish_effect(claim, ref)

    async def replace_message(self, run_id: str, ask_id: str, gone: str, ref: str) -> None:
        await self._store.replace_message(run_id, ask_id, gone, ref)

    async def delay_effect(self, claim: EffectClaim, until: float, *, untried: bool = False, why: str = "") -> None:
        await self._store.delay_effect(claim, until, untried=untried, why=why)

    async def drop_effect(self, claim: EffectClaim, reason: str) -> None:
        await self._store.drop_effect(claim, reason)

    async def doubtful(self, limit: int = 100) -> Sequence[tuple[str, str, str]]:
        return await self._store.doubtful(limit)

    async def settle(self, run_id: str, effect_id: str, ref: str) -> None:
        await self._store.settle(run_id, effect_id, ref)

    async def run(self, run_id: str) -> RunRecord | None:
        return await self._store.run(run_id)

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
        return await self._store.runs(
            statuses=statuses, workflow=workflow, tenant=tenant, requester=requester, before=before, limit=limit
        )

    async def link(self, ref: str, run_id: str) -> None:
        await self._store.link(ref, run_id)

    async def linked(self, ref: str) -> str | None:
        return await self._store.linked(ref)

    async def close(self) -> None:
        await self._store.close()


def _event_of(entry: Entry) -> tuple[str, str]:
    """Return as what, and under which name, the body of an entry is sealed."""
    return (_ANSWER if entry.kind == "answered" else _EVENT), entry.ask_id


def _without(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return what has happened to a run without what was said."""
    return tuple(replace(entry, body=b"") for entry in entries)


def _values(claim: Claim) -> list[bytes]:
    return [*claim.state.values(), *claim.memo.values(), *(entry.body for entry in claim.inbox)]
