"""Runs whose store sees only sealed values: what stays readable, how keys change, and what a missing one does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from engine import Context, HumanResponseEvent, StartEvent, StopEvent, Workflow, step
from engine.errors import CodecError, NotJudged
from engine.keyring import PLAIN, Keyring, new_key
from engine.memory_store import MemoryRunStore
from engine.run_store import Answer, Commit, NewAsk, NewRun, Shown
from engine.runner import Runner
from engine.sealed_store import SealedRunStore
from engine.verdicts import Accepted, Already, Recorded
from engine.worker import PARKED
from tests.integration.engine.stores import in_redis

OLD, NEW = new_key(), new_key()


class Letter(Workflow):
    """Every kind of stored value, each with a word of its own."""

    @step
    async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
        await ctx.store.set("draft", "word-in-state")
        await ctx.once("paid", _pay)
        answer = await ctx.wait_for_event(HumanResponseEvent, prompt="word-in-question")
        second = await ctx.wait_for_event(HumanResponseEvent, prompt="and now?")
        if second.response == "fail":
            raise ValueError("word-in-error")
        return StopEvent(result=["word-in-result", answer.comment, ev.topic])


async def _pay() -> str:
    return "word-in-memo"


def sealed(store: Any, *keys: str) -> SealedRunStore:
    return SealedRunStore(store, Keyring(keys))


async def answered(runner: Runner, run_id: str, response: str, **fields: Any) -> None:
    """Answer the one open question, and work."""
    (ask,) = (await runner.view(run_id)).asks
    await runner.answer(run_id, ask.id, response, user_id="U2", **fields)
    await runner.drain(run_id)


async def asked(store: Any, *keys: str) -> str:
    """Start a run that waits for an answer; return its id."""
    runner = Runner(sealed(store, *keys), [Letter()])
    run_id = await runner.start(Letter(), topic="word-at-start")
    await runner.drain(run_id)
    return run_id


@pytest.mark.parametrize("last", ["yes", "fail"])
async def test_no_word_of_anybody_is_readable_in_redis(redis_url: str, redis: Redis, prefix: str, last: str) -> None:
    async with in_redis(redis_url, prefix) as world:
        run_id = await asked(world.store, NEW)
        seen = await _everything(redis, prefix)
        runner = Runner(sealed(world.store, NEW), [Letter()])

        await _refused(runner, run_id, "word-in-refusal")
        await answered(runner, run_id, "word-in-response", comment="word-in-answer")
        seen += await _everything(redis, prefix)
        await answered(runner, run_id, last)
        seen += await _everything(redis, prefix)

        assert b"word-" not in seen
        assert b"Letter" in seen, "it did look"
        view = await runner.view(run_id)
        if last == "yes":
            assert view.result == ["word-in-result", "word-in-answer", "word-at-start"]
        assert await runner.store.effects_of(run_id)
        notes = [line.details.get("note", "") for line in await runner.store.journal(run_id)]
        assert any("word-in-error" in note for note in notes) == (last == "fail")
        said = [line.details["response"] for line in await runner.store.journal(run_id) if "response" in line.details]
        assert said == ["word-in-refusal", "word-in-response", last]


async def test_a_run_goes_on_while_keys_change() -> None:
    """Begun before anything was sealed, gone on with under one key, and under the next, and ended without sealing."""
    store = MemoryRunStore()
    run_id = await asked(store, PLAIN)

    await answered(Runner(sealed(store, OLD, PLAIN), [Letter()]), run_id, "ok", comment="fine")
    (ask,) = await sealed(store, NEW, OLD, PLAIN).open_asks(run_id)
    await answered(Runner(sealed(store, PLAIN, NEW, OLD), [Letter()]), run_id, "ok")
    view = await Runner(sealed(store, PLAIN, OLD), [Letter()]).view(run_id)

    assert b"and now?" in ask.event
    assert view.result == ["word-in-result", "fine", "word-at-start"]


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ((OLD,), (NEW,), "which is not here; add it to SIGNOFF_ENCRYPTION_KEYS"),
        ((OLD,), (PLAIN,), "which is not here; add it to SIGNOFF_ENCRYPTION_KEYS"),
        ((PLAIN,), (NEW,), "add ,plain to it"),
    ],
)
async def test_a_run_whose_key_is_missing_is_parked_and_keeps_everything(
    before: tuple[str, ...], now: tuple[str, ...], told: str
) -> None:
    store = MemoryRunStore(patience_s=0)
    run_id = await asked(store, *before)
    state = dict(await store.state(run_id))
    (ask,) = await sealed(store, *before).open_asks(run_id)
    await sealed(store, *before).deliver(_yes(run_id, ask.ask_id))

    view = await Runner(sealed(store, *now), [Letter()]).drain()
    found = await store.run(run_id)

    assert view.status == "ready"
    assert found is not None
    assert found.status == "parked"
    assert told in (await sealed(store, *now).journal(run_id))[-1].details["note"]
    effect = await sealed(store, *now).claim_effect(run_id, f"{PARKED}:1", 30)
    assert effect is not None
    assert told in effect.body.decode()
    assert dict(await store.state(run_id)) == state
    with pytest.raises(CodecError, match="SIGNOFF_ENCRYPTION_KEYS"):
        await sealed(store, *now).ask(run_id, ask.ask_id)


async def test_a_run_whose_key_is_lost_can_be_cancelled() -> None:
    store = MemoryRunStore()
    run_id = await asked(store, OLD)
    runner = Runner(sealed(store, NEW), [Letter()])

    await runner.cancel(run_id, "U1")
    view = await runner.drain(run_id)

    assert view.status == "cancelled"


async def test_a_copy_is_sealed_for_itself() -> None:
    store = MemoryRunStore()
    run_id = await asked(store, OLD)

    fork = await Runner(sealed(store, NEW, OLD), [Letter()]).fork(run_id, "U1")
    view = await Runner(sealed(store, NEW), [Letter()]).drain(fork)

    assert len(view.asks) == 1


async def test_a_run_whose_key_is_lost_is_exported_as_it_is_and_not_copied() -> None:
    store = MemoryRunStore()
    run_id = await asked(store, OLD)

    whole = await sealed(store, NEW).export(run_id)

    assert whole is not None
    assert "which is not here" in whole.unreadable
    assert dict(whole.state) == await store.state(run_id)
    with pytest.raises(CodecError, match="which is not here"):
        await Runner(sealed(store, NEW), [Letter()]).fork(run_id, "U1")


async def test_a_journal_can_be_read_without_the_keys_but_for_its_notes() -> None:
    store = MemoryRunStore()
    run_id = await asked(store, OLD)

    lines = await sealed(store, NEW).journal(run_id)

    assert [line.what for line in lines] == ["started", "committed"]
    assert "which is not here" in lines[-1].details["note"]


async def test_what_is_of_one_run_does_not_pass_for_anothers() -> None:
    """Whoever can write to the database can still take away, but put nothing in another's place."""
    store = MemoryRunStore()
    mine, theirs = [await asked(store, NEW) for _ in range(2)]
    store._runs[mine].state.update(await store.state(theirs))
    (ask,) = await store.open_asks(mine)
    await sealed(store, NEW).deliver(_yes(mine, ask.ask_id))

    claim = await sealed(store, NEW).claim(mine, "w1", 30)

    assert claim is not None
    assert "was changed after it was encrypted, or belongs elsewhere" in claim.unreadable
    assert (dict(claim.state), dict(claim.memo)) == ({}, {})
    assert [(entry.kind, entry.body) for entry in claim.inbox] == [("answered", b"")]


async def test_what_arrives_unreadable_while_a_run_is_held_is_met_by_the_next_claim() -> None:
    store = MemoryRunStore()
    mine = sealed(store, NEW)
    _, claim = await mine.start(NewRun("k0-run", "Letter", "r1", b"start"), worker="w1", lease_s=30)
    assert claim is not None
    await mine.send("k0-run", "d1", b"first")
    await sealed(store, OLD).send("k0-run", "d2", b"second")

    after = await mine.commit(claim, Commit("waiting", consumed=1, written={"a": b"1"}))
    again = await mine.claim("k0-run", "w2", 30)

    assert [entry.body for entry in after.inbox] == [b"first"]
    assert again is not None
    assert "which is not here" in again.unreadable


async def test_equal_questions_do_not_show_as_equal() -> None:
    """A short question can be guessed from its hash, and two runs told to be about the same."""
    store = MemoryRunStore()
    kept = []
    for run_id in ("k0-one", "k0-two"):
        _, claim = await sealed(store, NEW).start(NewRun(run_id, "Letter", "r1", b"s"), worker="w1", lease_s=30)
        assert claim is not None
        asks = [NewAsk("a1", b"Fire Bob?", "5f4dcc3b")]
        await sealed(store, NEW).commit(claim, Commit("waiting", consumed=1, asks=asks))
        kept.append(await store.ask(run_id, "a1"))

    one, two = kept

    assert one is not None
    assert two is not None
    assert one.digest != two.digest
    assert "5f4dcc3b" not in one.digest
    opened = await sealed(store, NEW).ask("k0-one", "a1")
    assert opened == replace(one, event=b"Fire Bob?", digest="5f4dcc3b")


async def test_votes_in_the_same_words_add_up_though_nobody_can_read_them() -> None:
    inner = MemoryRunStore()
    store = sealed(inner, NEW)
    await two_must_agree(store)

    told = [await store.deliver(vote(*given)) for given in [("U1", "Rome"), ("U2", "Oslo"), ("U3", "Rome")]]

    kept, ask = await inner.ask("k0-one", "a1"), await store.ask("k0-one", "a1")
    assert told[:2] == [Recorded(1, 2), Recorded(1, 2)]
    assert isinstance(told[2], Accepted)
    assert told[2].response == "Rome"
    assert kept is not None
    assert ask is not None
    assert "Rome" not in f"{kept}"
    assert (ask.response, ask.votes) == ("Rome", (("U1", "Rome"), ("U2", "Oslo"), ("U3", "Rome")))
    late = await store.deliver(vote("U4", "Bonn"))
    assert isinstance(late, Already)
    assert late.response == "Rome"


@pytest.mark.parametrize(("before", "after"), [([OLD], [NEW, OLD]), ([PLAIN], [NEW, PLAIN]), ([OLD], [PLAIN, OLD])])
async def test_votes_in_the_same_words_add_up_while_keys_change(before: list[str], after: list[str]) -> None:
    inner = MemoryRunStore()
    was, store = sealed(inner, *before), sealed(inner, *after)
    await two_must_agree(was)
    first = await was.deliver(vote("U1", "Rome"))

    again, agreed = await store.deliver(vote("U1", "Rome")), await store.deliver(vote("U2", "Rome"))

    assert first == again == Recorded(1, 2)
    assert isinstance(agreed, Accepted)
    assert agreed.response == "Rome"


async def test_one_s_own_words_are_encrypted_though_their_question_is_older_than_the_key() -> None:
    inner = MemoryRunStore()
    run_id = await asked(inner, PLAIN)

    await answered(Runner(sealed(inner, NEW, PLAIN), [Letter()]), run_id, "word-in-response")

    assert "word-in-response" not in f"{await inner.journal(run_id)}"


async def test_an_answer_to_what_was_shown_is_not_judged_unread() -> None:
    inner = MemoryRunStore()
    run_id = await asked(inner, NEW)
    store = sealed(inner, NEW)
    (ask,) = await store.open_asks(run_id)
    shown = replace(_yes(run_id, ask.ask_id), unseen=Shown("", ask.digest), revision=1)

    with pytest.raises(NotJudged, match="sealed"):
        await store.deliver(shown)

    assert isinstance(await store.deliver(replace(shown, unseen=False)), Accepted)


async def test_without_a_key_an_answer_to_what_was_shown_is_judged() -> None:
    store = sealed(MemoryRunStore(), PLAIN)
    _, claim = await store.start(NewRun("k0-one", "Letter", "r1", b"s", tenant="T1"), worker="w1", lease_s=30)
    assert claim is not None
    await store.commit(claim, Commit("waiting", consumed=1, asks=[NewAsk("a1", b"?", "5f4dcc3b", complete=("yes",))]))
    answer = replace(_yes("k0-one", "a1"), response="yes", unseen=Shown("T1", "5f4dcc3b"), revision=1)

    assert isinstance(await store.deliver(answer), Accepted)


async def two_must_agree(store: SealedRunStore) -> None:
    """Ask two people the same, who answer with a `vote`."""
    _, claim = await store.start(NewRun("k0-one", "Letter", "r1", b"s"), worker="w1", lease_s=30)
    assert claim is not None
    await store.commit(claim, Commit("waiting", consumed=1, asks=[NewAsk("a1", b"Where?", "d", quorum=2)]))


def vote(who: str, word: str) -> Answer:
    return Answer("k0-one", "a1", f"{who} {word}", who, word, b"{}", own_words=True)


async def _refused(runner: Runner, run_id: str, response: str) -> None:
    (ask,) = (await runner.view(run_id)).asks
    found = await runner.asked(run_id, ask.id)
    assert found is not None
    await runner.refuse(found, response, user_id="U9", delivery_id="refused", why="guest")


def _yes(run_id: str, ask_id: str) -> Answer:
    return Answer(run_id, ask_id, "d1", "U2", "yes", b'{"spoilt": true}')


async def _everything(redis: Any, prefix: str) -> bytes:
    """Return whatever stands under *prefix*, names and values."""
    found: list[bytes] = []
    async for key in redis.scan_iter(f"{prefix}:*"):
        found.append(key)
        match await redis.type(key):
            case b"hash":
                found += [part for pair in (await redis.hgetall(key)).items() for part in pair]
            case b"list":
                found += await redis.lrange(key, 0, -1)
            case b"zset":
                found += await redis.zrange(key, 0, -1)
            case b"set":
                found += await redis.smembers(key)
            case _:
                found.append(await redis.get(key))
    return b"\n".join(found)
