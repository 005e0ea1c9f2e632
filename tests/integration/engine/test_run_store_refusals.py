"""The `RunStore` contract: answers of people who may not answer, on Redis and in memory."""

from __future__ import annotations

from dataclasses import replace

from engine.run_store import LATE, REFUSALS_KEPT, TRIES_KEPT, Commit, JournalEntry, Refusal, Timer
from engine.verdicts import Accepted, Already, Expired, NotAllowed, Recorded, Unknown
from tests.integration.engine.contract import World, answer, question, world

__all__ = ["world"]  # the fixture


def refusal(run_id: str, delivery_id: str = "r1", **changes: object) -> Refusal:
    tried = Refusal(run_id, "a1", delivery_id, "U9", "ship", "not_named", ("U1", "S2"), "button")
    return replace(tried, **changes)  # type: ignore[arg-type]


async def refused(world: World, run_id: str) -> list[JournalEntry]:
    return [line for line in await world.store.journal(run_id) if line.what == "refused"]


async def test_a_refused_try_is_in_the_journal_with_who_what_and_which_way(world: World) -> None:
    """Security 13."""
    claim = await world.ask()

    verdict = await world.store.refuse(refusal(claim.run_id))

    (line,) = await refused(world, claim.run_id)
    assert verdict == NotAllowed(("U1", "S2"))
    assert line.by == "U9"
    assert line.details == {
        "ask": "a1",
        "response": "ship",
        "revision": "1",
        "digest": question("a1").digest,
        "why": "not_named",
        "via": "button",
    }


async def test_a_try_that_is_delivered_again_is_told_the_same_and_stands_once(world: World) -> None:
    claim = await world.ask()
    first = await world.store.refuse(refusal(claim.run_id))

    again = await world.store.refuse(refusal(claim.run_id, allowed=()))
    as_answer = await world.store.deliver(answer(claim.run_id, "r1", actor="U9"))

    assert first == again == as_answer
    assert len(await refused(world, claim.run_id)) == 1


async def test_what_was_accepted_is_not_refused_when_it_is_delivered_again(world: World) -> None:
    claim = await world.ask(question("a1", quorum=2))
    first = await world.store.deliver(answer(claim.run_id, "d1"))

    again = await world.store.refuse(refusal(claim.run_id, "d1", actor="U1"))

    assert first == again == Recorded(1, 2)
    assert await refused(world, claim.run_id) == []


async def test_a_refused_try_leaves_the_question_open(world: World) -> None:
    claim = await world.ask()
    await world.store.refuse(refusal(claim.run_id))

    assert isinstance(await world.store.deliver(answer(claim.run_id)), Accepted)


async def test_one_person_s_thousand_clicks_are_a_few_lines(world: World) -> None:
    """Acceptance 16."""
    claim = await world.ask()

    for n in range(TRIES_KEPT + 20):
        assert await world.store.refuse(refusal(claim.run_id, f"r{n}")) == NotAllowed(("U1", "S2"))

    assert len(await refused(world, claim.run_id)) == TRIES_KEPT
    await world.store.refuse(refusal(claim.run_id, "other", actor="U8"))
    assert len(await refused(world, claim.run_id)) == TRIES_KEPT + 1


async def test_a_crowd_s_clicks_push_nothing_out_of_the_journal(world: World) -> None:
    claim = await world.ask()

    for n in range(REFUSALS_KEPT + 20):
        await world.store.refuse(refusal(claim.run_id, f"r{n}", actor=f"U{n}"))

    assert len(await refused(world, claim.run_id)) == REFUSALS_KEPT
    assert (await world.whats(claim.run_id))[0] == "started"


async def test_an_unknown_question_refuses_nobody(world: World) -> None:
    claim = await world.ask()
    over = await world.sent(claim.run_id)
    await world.store.commit(over, Commit("done", consumed=1))

    assert await world.store.refuse(refusal("k0-none")) == Unknown()
    assert await world.store.refuse(refusal(claim.run_id, ask_id="a9")) == Unknown()


async def test_a_late_answer_stands_once_in_the_journal_and_is_told_how_the_question_was_closed(world: World) -> None:
    """Acceptance 22: what is told to whom is part of the trail."""
    claim = await world.ask()
    accepted = await world.store.deliver(answer(claim.run_id))
    late = refusal(claim.run_id, "r1", response="keep", why=LATE, allowed=())

    told = [await world.store.refuse(late) for _ in range(2)]
    as_answer = await world.store.deliver(answer(claim.run_id, "r1", actor="U9", response="keep"))

    assert isinstance(accepted, Accepted)
    assert told == [as_answer] * 2 == [Already(accepted.by, accepted.at, accepted.response)] * 2
    (line,) = await refused(world, claim.run_id)
    assert (line.by, line.details["response"], line.details["why"]) == ("U9", "keep", "late")


async def test_an_answer_after_the_deadline_is_written_down_though_nobody_has_closed_the_question(world: World) -> None:
    claim = await world.ask()
    deadline = claim.now + 60
    asked = question("a2", deadline=deadline, timers=(Timer("expire", 0, deadline),))
    claim = await world.sent(claim.run_id)
    await world.store.commit(claim, Commit("waiting", consumed=1, asks=[asked]))
    await world.pass_time(61)

    told = await world.store.deliver(answer(claim.run_id, "r1", ask_id="a2"))
    noted = await world.store.refuse(refusal(claim.run_id, "r1", ask_id="a2", why=LATE))

    assert told == noted == Expired(deadline)
    assert len(await refused(world, claim.run_id)) == 1


async def test_a_try_at_a_run_that_is_over_is_forgotten_with_it(world: World) -> None:
    """Nobody has answered it, so nothing is kept of deliveries yet."""
    claim = await world.ask()
    await world.store.cancel(claim.run_id, "U0")
    await world.store.commit(await world.claim(claim.run_id), Commit("cancelled", consumed=1))

    for why in ("not_named", LATE):
        await world.store.refuse(refusal(claim.run_id, f"of {why}", why=why))

    assert len(await refused(world, claim.run_id)) == 2  # that every key has a lifetime then, the fixture looks
