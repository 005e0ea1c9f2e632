"""Answers to questions: judged, refused, and what changes about a question without answering it."""

from __future__ import annotations

from dataclasses import replace

from engine.errors import NotJudged
from engine.memory_store.reads import Reads
from engine.memory_store.rows import Ask, Run
from engine.run_store import LATE, REFUSALS_KEPT, TRIES_KEPT, Amendment, Answer, AskRecord, Entry, Refusal
from engine.verdicts import Accepted, Expired, NotAllowed, Recorded, Stale, Unknown, Verdict


class Answers(Reads):
    """The verbs of `MemoryRunStore` on an open question."""

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
                run.see(delivery, told)
        return told

    async def amend(self, change: Amendment) -> Verdict:
        run, now = self._find(change.run_id), self._clock()
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
        if ask.record.deadline is not None and ask.record.deadline <= now:
            return Expired(ask.record.deadline)
        details = {"ask": change.ask_id}
        if change.allowed is not None:
            if ask.record.allowed != change.before:
                return Stale()
            gone = set(change.before).difference(change.allowed)
            votes = tuple(vote for vote in ask.record.votes if vote[0] not in gone)
            ask.record = replace(ask.record, allowed=change.allowed, votes=votes)
            run.owe_update(ask, now)
            details["allowed"] = " ".join(change.allowed)
        if change.asks_back:
            ask.record = replace(ask.record, asks_back=True)
        for effect in change.effects:
            run.owe(effect.effect_id, now, change.ask_id, ask.shown_by, effect.body)
        if change.note:
            details["note"] = change.note
        run.note(now, change.what, change.actor, **details)
        told = Accepted(change.actor, now, change.what)
        run.see(delivery, told)
        return told

    async def refuse(self, refusal: Refusal) -> Verdict:
        run, now, late = self._find(refusal.run_id), self._clock(), refusal.why == LATE
        delivery = ("late" if late else "deliver", refusal.delivery_id)
        if run is None:
            return Unknown()
        if (told := run.seen.get(delivery)) is not None:
            return told
        ask = run.asks.get(refusal.ask_id)
        if ask is None:
            return Unknown()
        told = NotAllowed(refusal.allowed)
        if late:
            told = ask.record.verdict or Expired(now if ask.record.deadline is None else ask.record.deadline)
        if ask.refused.count(refusal.actor) < TRIES_KEPT and len(ask.refused) < REFUSALS_KEPT:
            ask.refused.append(refusal.actor)
            run.note(now, "refused", refusal.actor, **_decision(ask.record, refusal), why=refusal.why)
            run.see(delivery, told)
        return told

    def _judge(self, run: Run, ask: Ask, answer: Answer) -> Verdict:
        now, record = self._clock(), ask.record
        if (told := record.verdict) is not None:
            return told
        if answer.unseen and not record.takes(run.record, answer):
            raise NotJudged(f"ask {answer.ask_id} of run {answer.run_id} does not clearly take this answer")
        if not answer.unseen and answer.allowed not in (None, record.allowed):
            raise NotJudged(f"others may answer ask {answer.ask_id} of run {answer.run_id} by now")
        if record.deadline is not None and record.deadline <= now:
            return Expired(record.deadline)
        if answer.revision not in (None, record.revision):
            return Stale()
        if record.quorum > 1 and (count := self._vote(run, ask, answer)) < record.quorum and not answer.final:
            return Recorded(count, record.quorum)
        run.push(Entry("answered", now, answer.body, answer.ask_id, answer.actor), now)
        run.close(ask, "answered", now, by=answer.actor, response=answer.response, body=answer.body)
        run.note(now, "answered", answer.actor, **_decision(record, answer))
        return Accepted(answer.actor, now, answer.response)

    def _vote(self, run: Run, ask: Ask, answer: Answer) -> int:
        """Count a vote, and return how many agree with it."""
        now, record = self._clock(), ask.record
        others = tuple(vote for vote in record.votes if vote[0] != answer.actor)
        votes = (*others, (answer.actor, answer.response))
        count = sum(response == answer.response for _, response in votes)
        counts_anew = (answer.actor, answer.response) not in record.votes
        decides = answer.final or count >= record.quorum
        if counts_anew or decides:
            ask.record = replace(record, votes=votes)
        if counts_anew and not decides:
            details = {"count": str(count), "quorum": str(record.quorum)}
            run.note(now, "voted", answer.actor, **_decision(record, answer), **details)
            run.owe_update(ask, now)
        return count


def _decision(ask: AskRecord, answer: Answer | Refusal) -> dict[str, str]:
    """Return what the journal says of an answer: to what exactly it was given, and which way it came."""
    details = {"ask": ask.ask_id, "response": answer.response, "revision": str(ask.revision), "digest": ask.digest}
    if isinstance(answer, Answer) and answer.approves:
        details["approves"] = answer.approves
    return {**details, "via": answer.via} if answer.via else details
