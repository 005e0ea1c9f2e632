"""The `RunStore` contract: who answers is told what became of it, the same each time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from engine.errors import NotJudged
from engine.run_store import Amendment, Commit, Entry, Shown
from engine.verdicts import Accepted, Already, Recorded, Stale, Unknown
from tests.integration.engine.contract import LEASE_S, World, answer, question, world

__all__ = ["world"]  # the fixture


async def test_an_open_ask_can_be_read(world: World) -> None:
    opened = question("a1", allowed=("U1", "U2"), quorum=2, self_approval=False)
    claim = await world.ask(opened, question("a2"))

    asks = await world.store.open_asks(claim.run_id)

    assert [ask.ask_id for ask in asks] == ["a1", "a2"]
    first = await world.store.ask(claim.run_id, "a1")
    assert first == asks[0]
    assert (first.status, first.revision, first.event, first.digest) == ("open", 1, b"Ship it?", "digest")
    assert (first.allowed, first.quorum, first.self_approval) == (("U1", "U2"), 2, False)
    assert (first.opened_at, first.deadline, first.votes, first.messages) == (claim.now, None, (), ())
    assert await world.store.ask(claim.run_id, "a9") is None


async def test_a_run_is_read_with_its_ask_in_one_go(world: World) -> None:
    claim = await world.ask()

    assert await world.store.asked(claim.run_id, "a1") == (
        await world.store.run(claim.run_id),
        await world.store.ask(claim.run_id, "a1"),
    )
    assert await world.store.asked(claim.run_id, "a9") is None
    assert await world.store.asked(world.store.new_run_id(), "a1") is None


async def test_the_first_answer_decides_and_wakes_the_run(world: World) -> None:
    claim = await world.ask()

    verdict = await world.store.deliver(answer(claim.run_id))

    assert isinstance(verdict, Accepted)
    assert (verdict.by, verdict.response) == ("U1", "ship")
    assert await world.store.due() == [claim.run_id]
    assert await world.store.open_asks(claim.run_id) == []
    woken = await world.claim(claim.run_id)
    assert woken.inbox == (Entry("answered", verdict.at, b"yes", "a1", "U1"),)
    ask = await world.stored(claim.run_id)
    assert (ask.status, ask.by, ask.at, ask.response, ask.answer) == ("answered", "U1", verdict.at, "ship", b"yes")


async def test_a_second_answer_is_told_who_was_first(world: World) -> None:
    claim = await world.ask()
    first = await world.store.deliver(answer(claim.run_id))
    assert isinstance(first, Accepted)

    second = await world.store.deliver(answer(claim.run_id, "d2", actor="U2", response="keep"))

    assert second == Already("U1", first.at, "ship")
    assert len((await world.claim(claim.run_id)).inbox) == 1


async def test_a_redelivery_is_told_the_same_for_ever(world: World) -> None:
    claim = await world.ask(question("a1", quorum=2))
    recorded = await world.store.deliver(answer(claim.run_id, "d1"))
    stale = await world.store.deliver(answer(claim.run_id, "d2", revision=9))
    accepted = await world.store.deliver(answer(claim.run_id, "d3", actor="U2"))
    already = await world.store.deliver(answer(claim.run_id, "d4", actor="U3"))
    told = [recorded, stale, accepted, already]
    assert [type(verdict) for verdict in told] == [Recorded, Stale, Accepted, Already]
    over = await world.claim(claim.run_id)
    await world.store.commit(over, Commit("done", consumed=1))
    await world.pass_time(1000)

    again = [
        await world.store.deliver(answer(claim.run_id, "d1")),
        await world.store.deliver(answer(claim.run_id, "d2", revision=9)),
        await world.store.deliver(answer(claim.run_id, "d3", actor="U2")),
        await world.store.deliver(answer(claim.run_id, "d4", actor="U3")),
    ]

    assert again == told


async def test_of_a_hundred_answers_at_once_one_decides(world: World) -> None:
    """Behaviour 19."""
    claim = await world.ask()

    async with asyncio.TaskGroup() as tasks:
        clicks = [
            tasks.create_task(world.store.deliver(answer(claim.run_id, f"d{n}", actor=f"U{n}"))) for n in range(100)
        ]

    verdicts = [click.result() for click in clicks]
    accepted = [verdict for verdict in verdicts if isinstance(verdict, Accepted)]
    assert len(accepted) == 1
    winner = Already(accepted[0].by, accepted[0].at, accepted[0].response)
    assert [verdict for verdict in verdicts if verdict != accepted[0]] == [winner] * 99
    assert [entry.actor for entry in (await world.claim(claim.run_id)).inbox] == [winner.by]


async def test_an_answer_that_decides_may_take_the_run_along(world: World) -> None:
    claim = await world.ask()

    verdict, taken = await world.store.deliver_and_claim(answer(claim.run_id), "w2", LEASE_S, ("Deploy",))

    assert isinstance(verdict, Accepted)
    assert taken is not None
    assert taken.fence > claim.fence
    assert (taken.state, [entry.ask_id for entry in taken.inbox]) == (claim.state, ["a1"])
    assert await world.store.claim(claim.run_id, "w3", LEASE_S) is None
    await world.store.commit(taken, Commit("done", consumed=1))


async def test_an_answer_does_not_take_along_what_it_may_not_have(world: World) -> None:
    """A redelivery decides nothing; a run may be held, of a workflow the worker does not know, or want more votes."""
    claim = await world.ask(question("a1"), question("a2"), question("a3", quorum=2))

    _, unknown = await world.store.deliver_and_claim(answer(claim.run_id, "d1"), "w2", LEASE_S, ("Other",))
    again, redelivered = await world.store.deliver_and_claim(answer(claim.run_id, "d1"), "w2", LEASE_S)
    _, voted = await world.store.deliver_and_claim(answer(claim.run_id, "d3", ask_id="a3"), "w2", LEASE_S)
    await world.claim(claim.run_id)
    other, held = await world.store.deliver_and_claim(answer(claim.run_id, "d2", ask_id="a2"), "w3", LEASE_S)

    assert isinstance(other, Accepted)
    assert isinstance(again, Accepted | Already)
    assert (unknown, redelivered, voted, held) == (None, None, None, None)


@pytest.mark.parametrize(
    ("actor", "response", "taken"),
    [("U1", "ship", True), ("U2", "wait", True), ("U9", "ship", False), ("U0", "ship", False), ("U1", "burn", False)],
)
async def test_an_unseen_question_takes_only_what_it_clearly_takes(
    world: World, actor: str, response: str, taken: bool
) -> None:
    allowed, options = ("U0", "U1", "U2"), ("ship", "wait")
    claim = await world.ask(question("a1", allowed=allowed, self_approval=False, options=options))
    given = answer(claim.run_id, actor=actor, response=response, unseen=True)

    if taken:
        assert isinstance(await world.store.deliver(given), Accepted)
    else:
        with pytest.raises(NotJudged):
            await world.store.deliver(given)
        with pytest.raises(NotJudged):
            await world.store.deliver_and_claim(given, "w2", LEASE_S)
        assert await world.whats(claim.run_id) == ["started", "committed"]
        assert isinstance(await world.store.deliver(replace(given, unseen=False)), Accepted), "nothing was recorded"


async def test_an_answer_judged_by_who_might_answer_before_is_not_taken(world: World) -> None:
    claim = await world.ask(question("a1", allowed=("U1",)))
    judged = answer(claim.run_id, allowed=("U1",))
    await world.store.amend(Amendment(claim.run_id, "a1", "d0", "U1", "handed on", ("U2",), ("U1",)))

    with pytest.raises(NotJudged):
        await world.store.deliver(judged)

    first = await world.store.deliver(replace(judged, actor="U2", allowed=("U2",)))
    assert isinstance(first, Accepted), "nothing was recorded"
    assert await world.store.deliver(judged) == first, "a redelivery is told the same"


async def test_an_unseen_question_for_all_takes_anything_and_tells_the_same_again(world: World) -> None:
    claim = await world.ask()

    first = await world.store.deliver(answer(claim.run_id, unseen=True))
    again = await world.store.deliver(answer(claim.run_id, unseen=True))
    late = await world.store.deliver(answer(claim.run_id, "d2", actor="U9", unseen=True))
    none = await world.store.deliver(answer(claim.run_id, "d3", ask_id="a9", unseen=True))

    assert isinstance(first, Accepted)
    assert again == first
    assert late == Already("U1", first.at, "ship")
    assert none == Unknown()


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ({}, {"response": "revise"}),
        ({"complete": ()}, {}),
        ({"quorum": 2}, {}),
        ({"allowed": ("U2",)}, {}),
        ({"self_approval": False}, {"actor": "U0"}),
        ({}, {"revision": 2}),
        ({}, {"revision": None}),
        ({}, {"unseen": {"tenant": "T2"}}),
        ({}, {"unseen": {"tenant": ""}}),
        ({}, {"unseen": {"digest": "another"}}),
        ({}, {"unseen": {"message": "C1:2.0"}}),
    ],
)
async def test_what_was_shown_takes_a_whole_answer_only_as_it_is_now(
    world: World, asked: dict[str, Any], given: dict[str, Any]
) -> None:
    claim = await world.ask(question("a1", **{"complete": ("ship",), **asked}))
    await _show(world, claim.run_id, "C1:1.0")
    ask = await world.stored(claim.run_id)
    seen = replace(Shown("T1", ask.digest), **given.get("unseen", {}))
    shown = answer(claim.run_id, **{"revision": 1, **given, "unseen": seen})

    with pytest.raises(NotJudged):
        await world.store.deliver(shown)

    assert await world.whats(claim.run_id) == ["started", "committed", "shown"], "nothing was recorded"


@pytest.mark.parametrize("world", ["memory", "redis", "cluster"], indirect=True)
@pytest.mark.parametrize("message", ["", "C1:1.0"])
@pytest.mark.parametrize("noted", [True, False])
async def test_what_was_shown_takes_a_whole_answer_and_tells_the_same_again(
    world: World, message: str, noted: bool
) -> None:
    """Where it stands may not be noted yet, or it stood on no message."""
    claim = await world.ask(question("a1", options=("ship", "revise"), complete=("ship",)))
    if noted:
        await _show(world, claim.run_id, "C1:1.0")
    shown = answer(claim.run_id, unseen=Shown("T1", "digest", message), revision=1)

    first = await world.store.deliver(shown)
    again = await world.store.deliver(shown)
    late = await world.store.deliver(replace(shown, delivery_id="d2", actor="U9"))

    assert isinstance(first, Accepted)
    assert again == first
    assert late == Already("U1", first.at, "ship")


async def _show(world: World, run_id: str, ref: str) -> None:
    claim = await world.take(run_id, "prompt:a1")
    await world.store.finish_effect(claim, ref)


async def test_nobody_can_answer_what_was_not_asked(world: World) -> None:
    claim = await world.ask()

    assert await world.store.deliver(answer(claim.run_id, ask_id="a9")) == Unknown()
    assert await world.store.deliver(answer(world.store.new_run_id())) == Unknown()
    assert await world.store.deliver(answer("k99-forged")) == Unknown()


async def test_an_answer_to_an_older_question_is_stale(world: World) -> None:
    claim = await world.start()
    claim = await world.store.commit(claim, Commit("waiting", consumed=1, asks=[question("a1")], release=False))
    await world.store.commit(claim, Commit("waiting", asks=[question("a1", event=b"Ship v3?", digest="new")]))

    assert await world.store.deliver(answer(claim.run_id, "d1", revision=1)) == Stale()

    ask = await world.stored(claim.run_id)
    assert (ask.revision, ask.event, ask.digest) == (2, b"Ship v3?", "new")
    assert isinstance(await world.store.deliver(answer(claim.run_id, "d2", revision=2)), Accepted)


async def test_votes_for_one_response_add_up(world: World) -> None:
    claim = await world.ask(question("a1", quorum=2))

    first = await world.store.deliver(answer(claim.run_id, "d1", actor="U1", response="ship"))
    other = await world.store.deliver(answer(claim.run_id, "d2", actor="U2", response="keep"))
    last = await world.store.deliver(answer(claim.run_id, "d3", actor="U3", response="ship"))

    assert (first, other) == (Recorded(1, 2), Recorded(1, 2))
    assert isinstance(last, Accepted)
    assert (last.by, last.response) == ("U3", "ship")
    ask = await world.stored(claim.run_id)
    assert ask.votes == (("U1", "ship"), ("U2", "keep"), ("U3", "ship"))


async def test_one_person_counts_once(world: World) -> None:
    claim = await world.ask(question("a1", quorum=2))

    told = [await world.store.deliver(answer(claim.run_id, f"d{n}")) for n in range(3)]

    assert told == [Recorded(1, 2)] * 3
    assert await world.store.due() == []


async def test_a_person_may_change_their_vote(world: World) -> None:
    claim = await world.ask(question("a1", quorum=2))
    await world.store.deliver(answer(claim.run_id, "d1", actor="U1", response="ship"))
    await world.store.deliver(answer(claim.run_id, "d2", actor="U1", response="keep"))

    verdict = await world.store.deliver(answer(claim.run_id, "d3", actor="U2", response="ship"))

    assert verdict == Recorded(1, 2)
    ask = await world.stored(claim.run_id)
    assert ask.votes == (("U1", "keep"), ("U2", "ship"))


async def test_a_final_answer_needs_no_quorum(world: World) -> None:
    claim = await world.ask(question("a1", quorum=3))

    verdict = await world.store.deliver(answer(claim.run_id, response="reject", final=True))

    assert isinstance(verdict, Accepted)


async def test_an_answer_that_looks_like_our_own_format_is_kept_whole(world: World) -> None:
    claim = await world.ask(question("a1", quorum=2, allowed=("3:a|b", "ü{}")))
    odd = "5:x|\n\x00{y}"
    await world.store.deliver(answer(claim.run_id, "d1", actor=odd, response=odd))

    verdict = await world.store.deliver(answer(claim.run_id, "d2", actor="ü{}", response=odd, body=b"\xff1:"))

    assert isinstance(verdict, Accepted)
    ask = await world.stored(claim.run_id)
    assert (ask.allowed, ask.votes) == (("3:a|b", "ü{}"), ((odd, odd), ("ü{}", odd)))
    assert ask.answer == (await world.claim(claim.run_id)).inbox[0].body == b"\xff1:"
