"""The `RunStore` contract: what can be read of runs and questions."""

from __future__ import annotations

from engine.run_store import Commit
from tests.integration.engine.contract import World, answer, question, world

__all__ = ["world"]  # the fixture


async def test_the_journal_says_what_happened_and_who_did_it(world: World) -> None:
    claim = await world.ask(question("a1", quorum=2))
    await world.store.deliver(answer(claim.run_id, "d1", via="thread"))
    await world.store.deliver(answer(claim.run_id, "d2", actor="U2", approves="0123abcd"))
    decided = {"ask": "a1", "response": "ship", "revision": "1", "digest": question("a1").digest}
    over = await world.claim(claim.run_id)
    await world.store.commit(over, Commit("done", consumed=1, note="shipped"))

    lines = [(line.what, line.by, dict(line.details)) for line in await world.store.journal(claim.run_id)]

    assert lines == [
        ("started", "U0", {"workflow": "Deploy"}),
        ("committed", "", {"version": "1", "status": "waiting", "asks": "a1"}),
        ("voted", "U1", {**decided, "via": "thread", "count": "1", "quorum": "2"}),
        ("answered", "U2", {**decided, "approves": "0123abcd"}),
        ("committed", "", {"version": "2", "status": "done", "note": "shipped"}),
    ]


async def test_the_question_that_closed_last_is_found_though_the_run_is_over(world: World) -> None:
    claim = await world.ask(question("a1"), question("a2"))
    assert await world.store.last_closed(claim.run_id) is None
    await world.store.deliver(answer(claim.run_id, "d2", ask_id="a2"))
    await world.store.deliver(answer(claim.run_id, "d1"))
    over = await world.claim(claim.run_id)
    await world.store.commit(over, Commit("done", consumed=2))

    found = await world.store.last_closed(claim.run_id)

    assert found is not None
    assert (found.ask_id, found.status, found.event) == ("a1", "answered", question("a1").event)
    assert await world.store.last_closed("k0-none") is None


async def test_people_find_the_questions_that_wait_for_them(world: World) -> None:
    """Behaviour 42."""
    first = await world.ask(question("a1", allowed=("U1", "U2")), key="one")
    await world.pass_time(1)
    second = await world.ask(question("a1", allowed=("U1",)), question("a2"), key="two")

    async def waiting(tenant: str, actor: str) -> list[tuple[str, str]]:
        return [(ask.run_id, ask.ask_id) for ask in await world.store.asks_for(tenant, actor)]

    assert await waiting("T1", "U1") == [(first.run_id, "a1"), (second.run_id, "a1")]
    assert await waiting("T1", "U2") == [(first.run_id, "a1")]
    assert await waiting("T1", "") == [(second.run_id, "a2")]
    assert await waiting("T2", "U1") == []
    await world.store.deliver(answer(first.run_id))
    assert await waiting("T1", "U1") == [(second.run_id, "a1")]


async def test_a_thread_leads_to_its_run(world: World) -> None:
    await world.store.link("C1:17.5", "run-1")

    assert await world.store.linked("C1:17.5") == "run-1"
    assert await world.store.linked("C1:17.6") is None
