"""The `RunStore` contract: what the surface owes the world, on Redis and in memory."""

from __future__ import annotations

import pytest

from engine.run_store import Commit, NewEffect, Timer
from tests.integration.engine.contract import SENDING_S, World, answer, question, world

__all__ = ["world"]  # the fixture


async def test_an_opened_ask_owes_its_prompt(world: World) -> None:
    claim = await world.ask()

    assert await world.store.effects_of(claim.run_id) == ["prompt:a1"]
    assert await world.store.due_effects() == [(claim.run_id, "prompt:a1")]
    effect = await world.take(claim.run_id, "prompt:a1")
    assert (effect.attempt, effect.again) == (1, False)
    assert effect.until - effect.now == pytest.approx(SENDING_S)
    assert effect.ask == await world.store.ask(claim.run_id, "a1")
    assert effect.run == await world.store.run(claim.run_id)


async def test_a_prompt_that_was_shown_is_no_longer_owed(world: World) -> None:
    claim = await world.ask()
    effect = await world.take(claim.run_id, "prompt:a1")
    assert await world.store.effects_of(claim.run_id) == []

    counts = await world.store.finish_effect(effect, "C1:1")

    assert counts == "C1:1"
    assert await world.store.due_effects() == []
    assert await world.store.claim_effect(claim.run_id, "prompt:a1", SENDING_S) is None
    run, ask = await world.store.run(claim.run_id), await world.store.ask(claim.run_id, "a1")
    assert run is not None
    assert ask is not None
    assert (run.thread, ask.messages) == ("C1:1", ("C1:1",))


async def test_the_first_message_shown_is_the_thread(world: World) -> None:
    claim = await world.ask(question("a1"), question("a2"))

    for ask_id, ref in (("a2", "C1:1"), ("a1", "C1:2")):
        await world.store.finish_effect(await world.take(claim.run_id, f"prompt:{ask_id}"), ref)

    run = await world.store.run(claim.run_id)
    assert run is not None
    assert run.thread == "C1:1"


async def test_an_effect_belongs_to_one_sender_at_a_time(world: World) -> None:
    claim = await world.ask()
    await world.take(claim.run_id, "prompt:a1")

    assert await world.store.claim_effect(claim.run_id, "prompt:a1", SENDING_S) is None
    await world.pass_time(SENDING_S + 1)
    again = await world.take(claim.run_id, "prompt:a1")
    assert (again.attempt, again.again) == (2, True)


async def test_of_two_copies_the_first_recorded_counts(world: World) -> None:
    claim = await world.ask()
    stalled = await world.take(claim.run_id, "prompt:a1")
    await world.pass_time(SENDING_S + 1)
    second = await world.take(claim.run_id, "prompt:a1")

    assert await world.store.finish_effect(second, "C1:2") == "C1:2"
    assert await world.store.finish_effect(stalled, "C1:1") == "C1:2"

    assert await world.store.finish_effect(second, "C1:2") == "C1:2"
    ask = await world.stored(claim.run_id)
    assert ask.messages == ("C1:2",)


async def test_what_was_sent_twice_is_looked_at_again_later(world: World) -> None:
    claim = await world.ask()
    await world.take(claim.run_id, "prompt:a1")
    await world.pass_time(SENDING_S + 1)
    await world.store.finish_effect(await world.take(claim.run_id, "prompt:a1"), "C1|2")
    assert await world.store.doubtful() == []

    await world.pass_time(2 * SENDING_S + 1)

    assert await world.store.doubtful() == [(claim.run_id, "prompt:a1", "C1|2")]
    await world.store.settle(claim.run_id, "prompt:a1", "C1|2")
    await world.store.settle(claim.run_id, "prompt:a1", "C1|2")
    assert await world.store.doubtful() == []
    assert (await world.whats(claim.run_id)).count("settled") == 1


async def test_what_was_sent_once_is_never_in_doubt(world: World) -> None:
    claim = await world.ask()
    await world.store.finish_effect(await world.take(claim.run_id, "prompt:a1"), "C1:1")

    await world.pass_time(10 * SENDING_S)

    assert await world.store.doubtful() == []


async def test_what_shows_nowhere_is_never_in_doubt(world: World) -> None:
    claim = await world.ask(question("a1"))
    await world.take(claim.run_id, "prompt:a1")
    await world.pass_time(SENDING_S + 1)

    await world.store.finish_effect(await world.take(claim.run_id, "prompt:a1"), "")

    await world.pass_time(3 * SENDING_S)
    assert await world.store.doubtful() == []


async def test_a_second_copy_by_a_stalled_sender_is_looked_for(world: World) -> None:
    claim = await world.ask()
    effect = await world.take(claim.run_id, "prompt:a1")
    await world.store.finish_effect(effect, "C1:1")
    await world.store.finish_effect(effect, "C1:2")

    await world.pass_time(2 * SENDING_S + 1)

    assert await world.store.doubtful() == [(claim.run_id, "prompt:a1", "C1:1")]
    await world.store.settle(claim.run_id, "prompt:a1", "C1:1")


async def test_a_prompt_goes_before_everything_that_changes_it(world: World) -> None:
    claim = await world.start()
    ask = question("a1", timers=(Timer("remind", 0, claim.now + 10),))
    more = NewEffect("note", b"", "a1")
    await world.store.commit(claim, Commit("waiting", consumed=1, asks=[ask], effects=[more]))
    await world.pass_time(11)
    await world.store.fire_timers()
    await world.store.deliver(answer(claim.run_id))
    waiting = ["update:a1:1.1", "lock:a1", "remind:a1:0", "note"]
    owed = await world.store.effects_of(claim.run_id)
    assert sorted(owed) == sorted(["prompt:a1", *waiting])
    assert owed.index("prompt:a1") == 0

    held_back = [await world.store.claim_effect(claim.run_id, effect, SENDING_S) for effect in waiting]

    assert held_back == [None] * 4
    await world.store.finish_effect(await world.take(claim.run_id, "prompt:a1"), "C1:1")
    assert await world.store.claim_effect(claim.run_id, "update:a1:1.1", SENDING_S) is None  # the lock shows as much
    for effect in waiting[1:]:
        await world.take(claim.run_id, effect)


async def test_a_lock_held_back_is_owed_as_soon_as_its_prompt_is_there(world: World) -> None:
    claim = await world.ask()
    await world.store.deliver(answer(claim.run_id))
    prompt = await world.take(claim.run_id, "prompt:a1")
    assert await world.store.claim_effect(claim.run_id, "lock:a1", SENDING_S) is None
    assert await world.store.due_effects() == []

    await world.store.finish_effect(prompt, "C1:1")

    assert await world.store.due_effects() == [(claim.run_id, "lock:a1")]
    lock = await world.take(claim.run_id, "lock:a1")
    assert lock.ask is not None
    assert (lock.ask.status, lock.ask.messages) == ("answered", ("C1:1",))


async def test_a_prompt_given_up_holds_nothing_back(world: World) -> None:
    claim = await world.ask()
    await world.store.deliver(answer(claim.run_id))

    await world.store.drop_effect(await world.take(claim.run_id, "prompt:a1"), "channel gone")

    assert await world.store.effects_of(claim.run_id) == ["lock:a1"]
    await world.take(claim.run_id, "lock:a1")
    line = (await world.store.journal(claim.run_id))[-1]
    assert (line.what, dict(line.details)) == ("dropped", {"effect": "prompt:a1", "reason": "channel gone"})


async def test_a_delayed_effect_is_owed_when_it_was_said(world: World) -> None:
    claim = await world.ask()
    effect = await world.take(claim.run_id, "prompt:a1")

    await world.store.delay_effect(effect, effect.now + 100)

    await world.pass_time(SENDING_S + 1)
    assert await world.store.due_effects() == []
    assert await world.store.claim_effect(claim.run_id, "prompt:a1", SENDING_S) is None
    await world.pass_time(100)
    assert (await world.take(claim.run_id, "prompt:a1")).attempt == 2


async def test_the_journal_says_why_an_effect_is_held_back(world: World) -> None:
    claim = await world.ask()
    effect = await world.take(claim.run_id, "prompt:a1")

    await world.store.delay_effect(effect, effect.now + 100, why="not installed in T1")

    line = (await world.store.journal(claim.run_id))[-1]
    assert (line.what, dict(line.details)) == ("held back", {"effect": "prompt:a1", "reason": "not installed in T1"})


async def test_an_attempt_that_did_nothing_is_none(world: World) -> None:
    claim = await world.ask()
    effect = await world.take(claim.run_id, "prompt:a1")

    await world.store.delay_effect(effect, effect.now + 100, untried=True)

    await world.pass_time(101)
    assert (await world.take(claim.run_id, "prompt:a1")).again is False


async def test_a_sender_that_was_overtaken_neither_delays_nor_drops(world: World) -> None:
    claim = await world.ask()
    stalled = await world.take(claim.run_id, "prompt:a1")
    await world.pass_time(SENDING_S + 1)
    current = await world.take(claim.run_id, "prompt:a1")

    await world.store.delay_effect(stalled, 0.0)
    await world.store.drop_effect(stalled, "no")

    assert await world.store.claim_effect(claim.run_id, "prompt:a1", SENDING_S) is None
    assert await world.store.finish_effect(current, "C1:1") == "C1:1"


async def test_a_question_asked_anew_is_shown_anew_and_in_order(world: World) -> None:
    claim = await world.start()
    claim = await world.store.commit(claim, Commit("waiting", consumed=1, asks=[question("a1")], release=False))
    await world.store.commit(claim, Commit("waiting", asks=[question("a1", event=b"v3?")]))
    assert await world.store.claim_effect(claim.run_id, "prompt:a1:2", SENDING_S) is None
    await world.store.finish_effect(await world.take(claim.run_id, "prompt:a1"), "C1:1")

    effect = await world.take(claim.run_id, "prompt:a1:2")

    assert effect.ask is not None
    assert (effect.ask.event, effect.ask.messages) == (b"v3?", ("C1:1",))
    await world.store.deliver(answer(claim.run_id))
    assert await world.store.claim_effect(claim.run_id, "lock:a1", SENDING_S) is None


async def test_effects_come_in_the_order_they_were_made_and_once_each(world: World) -> None:
    claim = await world.start()
    made = [NewEffect(f"e{n}", b"body") for n in range(12)]
    change = Commit("waiting", consumed=1, effects=[*made, NewEffect("e3", b"other")], release=False)

    claim = await world.store.commit(claim, change)
    await world.store.commit(claim, Commit("waiting", effects=[NewEffect("e5")]))

    assert await world.store.effects_of(claim.run_id) == [f"e{n}" for n in range(12)]
    assert (await world.take(claim.run_id, "e3")).body == b"body"


async def test_an_effect_of_the_author_brings_the_ask_it_shows(world: World) -> None:
    claim = await world.start()
    change = Commit("waiting", consumed=1, asks=[question("a1")], effects=[NewEffect("odd:name", b"", "a1")])
    await world.store.commit(claim, change)
    await world.store.finish_effect(await world.take(claim.run_id, "prompt:a1"), "C1:1")

    effect = await world.take(claim.run_id, "odd:name")

    assert effect.ask == await world.store.ask(claim.run_id, "a1")


async def test_a_run_that_is_over_still_owes_its_result(world: World) -> None:
    claim = await world.start()
    await world.store.commit(claim, Commit("done", consumed=1, effects=[NewEffect("result", b"42")]))

    effect = await world.take(claim.run_id, "result")

    assert (effect.body, effect.run.status) == (b"42", "done")
    assert await world.store.finish_effect(effect, "C1:1") == "C1:1"
    assert await world.store.effects_of(claim.run_id) == []


async def test_nobody_can_do_what_is_not_owed(world: World) -> None:
    claim = await world.ask()

    assert await world.store.claim_effect(claim.run_id, "prompt:a9", SENDING_S) is None
    assert await world.store.claim_effect(world.store.new_run_id(), "prompt:a1", SENDING_S) is None
    assert await world.store.effects_of(world.store.new_run_id()) == []
