"""What only `RedisRunStore` promises: keys, lifetimes, bounds, lanes and errors."""

from __future__ import annotations

import asyncio
import binascii
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from engine.errors import CodecError, FencedError, StoreUnavailable
from engine.redis import RedisRunStore
from engine.redis.condition import Backlog
from engine.redis.keys import SEEN_KEPT, Keys
from engine.redis.rows import pack
from engine.run_store import (
    ASKS_KEPT,
    DONE_KEPT,
    JOURNAL_KEPT,
    LINK_KEPT_S,
    Claim,
    Commit,
    NewAsk,
    NewEffect,
    NewRun,
    Refusal,
    Timer,
)
from engine.verdicts import Accepted, NotAllowed, Recorded, Unknown
from tests import servers
from tests.integration.engine.contract import World, answer, question
from tests.integration.engine.stores import skewing

LEASE_S = 30.0


@pytest.fixture
async def store(redis_url: str, prefix: str) -> AsyncIterator[RedisRunStore]:
    store = RedisRunStore.from_url(redis_url, prefix=prefix, lanes=2)
    try:
        yield store
        assert await store.leftovers() == []
    finally:
        await store.close()


@pytest.fixture
def world(store: RedisRunStore) -> World:
    return World(store, skewing(store, 2))


async def keys_of(redis: Redis, prefix: str) -> dict[str, int]:
    """Return the TTL of each key of a store; -1: none."""
    return {name.decode(): await redis.ttl(name) async for name in redis.scan_iter(f"{prefix}:*", count=1000)}


async def a_finished_run(world: World) -> Claim:
    claim = await world.start()
    asks = [question("a1"), question("a2", allowed=("U1",), deadline=claim.now + 60, timers=(Timer("remind", 0, 1.0),))]
    claim = await world.store.commit(claim, Commit("waiting", consumed=1, written={"s": b"1"}, asks=asks))
    await world.store.deliver(answer(claim.run_id))
    await world.store.send(claim.run_id, "d9", b"event")
    claim = await world.claim(claim.run_id)
    await world.store.remember(claim, "k", b"v")
    return await world.store.commit(claim, Commit("done", consumed=1, effects=[NewEffect("result")]))


# --- lifetimes -------------------------------------------------------------------------------------------


async def test_every_key_of_a_finished_run_has_a_lifetime(world: World, redis: Redis, prefix: str) -> None:
    claim = await a_finished_run(world)

    lifetimes = await keys_of(redis, prefix)

    of_run = {name.rpartition(f"{claim.run_id}:")[2]: ttl for name, ttl in lifetimes.items() if claim.run_id in name}
    assert sorted(of_run) == ["ask:a1", "ask:a2", "journal", "meta", "outbox", "seen", "state"]
    assert all(29 * 86_400 < ttl <= 30 * 86_400 for ttl in of_run.values())
    others = {name.rpartition(":")[2] for name in lifetimes if claim.run_id not in name}
    assert others == {"outq", "over", "timers", "T1|U0"}


async def test_what_is_done_for_a_finished_run_leaves_nothing_behind(
    world: World, store: RedisRunStore, redis: Redis, prefix: str
) -> None:
    claim = await a_finished_run(world)

    for effect_id in ["prompt:a1", "prompt:a2", "lock:a1", "lock:a2", "result"]:
        effect = await store.claim_effect(claim.run_id, effect_id, LEASE_S)
        assert effect is not None
        await store.finish_effect(effect, f"C1:{effect_id}")

    kept = {name.rpartition(":")[2] for name, ttl in (await keys_of(redis, prefix)).items() if ttl == -1}
    assert kept == {"over", "timers"}, "the list of runs, and the time when it is taken out of that"


async def test_an_open_run_lives_as_long_as_it_takes(world: World, redis: Redis, prefix: str) -> None:
    await world.ask(question("a1", deadline=4e9))

    lifetimes = await keys_of(redis, prefix)

    assert {ttl for name, ttl in lifetimes.items() if ":by:" not in name} == {-1}
    assert [ttl > 399 * 86_400 for name, ttl in lifetimes.items() if ":by:" in name] == [True]


async def test_a_forgotten_run_leaves_no_trace_when_somebody_asks_for_it(
    world: World, store: RedisRunStore, redis: Redis, prefix: str
) -> None:
    claim = await world.ask()
    effect = await store.claim_effect(claim.run_id, "prompt:a1", LEASE_S)
    assert effect is not None
    await store.deliver(answer(claim.run_id))
    await store.commit(await world.claim(claim.run_id), Commit("done", consumed=1))
    for name in await keys_of(redis, prefix):
        if claim.run_id in name:
            await redis.delete(name)

    assert await store.deliver(answer(claim.run_id)) == Unknown()
    assert not await store.send(claim.run_id, "d1", b"event")
    assert not await store.cancel(claim.run_id, "U1")
    assert await store.finish_effect(effect, "C1:1") == ""
    await store.settle(claim.run_id, "prompt:a1", "C1:1")
    assert await store.claim_effect(claim.run_id, "lock:a1", LEASE_S) is None
    await world.pass_time(31 * 86_400.0)
    await store.fire_timers()

    assert {name.rpartition(":")[2] for name in await keys_of(redis, prefix)} == {"lanes", "skew", "T1|U0"}
    assert await store.runs(tenant="T1", requester="U0") == []
    assert {name.rpartition(":")[2] for name in await keys_of(redis, prefix)} == {"lanes", "skew"}


async def test_who_starts_runs_for_years_and_never_lists_them_takes_no_more_room(
    world: World, redis: Redis, prefix: str
) -> None:
    for n in range(20):
        claim = await world.start(f"run {n}")
        await world.store.commit(claim, Commit("done", consumed=1))
        await world.pass_time(LINK_KEPT_S / 4)

    sizes = [await redis.zcard(name) async for name in redis.scan_iter(f"{prefix}:*:by:*")]

    assert sum(sizes) <= 2 * 4, "in each of two lanes"


async def test_a_leftover_is_found(world: World, store: RedisRunStore, redis: Redis, prefix: str) -> None:
    claim = await a_finished_run(world)
    meta = f"{prefix}:{{{claim.run_id[1]}}}:r:{claim.run_id}:meta"
    await redis.persist(meta)
    await redis.zadd(f"{prefix}:{{0}}:ready", {"nobody": 1.0})

    assert sorted(await store.leftovers()) == sorted([f"{prefix}:{{0}}:ready: nobody", meta])

    await redis.expire(meta, 10)
    await redis.delete(f"{prefix}:{{0}}:ready")


async def test_a_purged_run_leaves_nothing_behind(
    world: World, store: RedisRunStore, redis: Redis, prefix: str
) -> None:
    claim = await a_finished_run(world)
    first, second = [await store.claim_effect(claim.run_id, "prompt:a1", 0.0) for _ in range(2)]
    assert first is not None
    assert second is not None
    await store.finish_effect(second, "C1:1")

    await store.purge(claim.run_id)

    assert {name.rpartition(":")[2] for name in await keys_of(redis, prefix)} <= {"lanes", "skew"}


# --- bounds ----------------------------------------------------------------------------------------------


async def test_four_thousand_rounds_take_bounded_memory(world: World, store: RedisRunStore, redis: Redis) -> None:
    """Behaviour 52."""
    claim = await world.start()
    sizes = {}
    for round_ in range(1, 4_001):
        ask_id = f"a{round_}"
        deadline = claim.now + 1000
        ask = NewAsk(ask_id, b"Ship it?", "digest", ("U1",), deadline=deadline)
        change = Commit("waiting", consumed=len(claim.inbox), written={"n": b"%d" % round_}, asks=[ask], release=False)
        claim = await store.commit(claim, change)
        await store.send(claim.run_id, f"s{round_}", b"event")
        verdict = await store.deliver(answer(claim.run_id, f"d{round_}", ask_id=ask_id))
        assert isinstance(verdict, Accepted)
        for effect_id in (f"prompt:{ask_id}", f"lock:{ask_id}"):
            effect = await store.claim_effect(claim.run_id, effect_id, LEASE_S)
            assert effect is not None
            await store.finish_effect(effect, f"C1:{effect_id}")
        if round_ in (2_000, 4_000):
            names = [name async for name in redis.scan_iter(f"{store.prefix}:*", count=1000)]
            sizes[round_] = (sum([await redis.memory_usage(name) or 0 for name in names]), len(names))

    keys = Keys(store.prefix, 2)
    assert len(claim.asks) <= ASKS_KEPT + 1
    assert await redis.hlen(keys.at(claim.run_id, "outbox")) <= DONE_KEPT
    assert await redis.hlen(keys.at(claim.run_id, "seen")) < SEEN_KEPT
    assert await redis.hlen(keys.at(claim.run_id, "seen0")) == SEEN_KEPT
    assert JOURNAL_KEPT <= await redis.llen(keys.at(claim.run_id, "journal")) <= JOURNAL_KEPT + 500
    assert sizes[4_000][1] <= ASKS_KEPT + 15
    assert sizes[4_000][0] < 1.2 * sizes[2_000][0] < 1_000_000
    assert await store.deliver(answer(claim.run_id, "d1", ask_id="a1")) == Unknown()
    last = await store.commit(claim, Commit("done"))
    assert last.version == 4_001


async def test_thousands_of_questions_are_closed_copied_and_removed_whole(world: World, store: RedisRunStore) -> None:
    """A call within a script takes some 8,000 values; what closes is stored once, or the server stalls for seconds."""
    asks = [question(f"a{n}", allowed=("U1",)) for n in range(8_100)]
    claim = await world.ask(*asks)
    whole = await store.export(claim.run_id)
    assert whole is not None
    copy = replace(whole, run=replace(whole.run, run_id=store.new_run_id("copy")))

    assert await store.cancel(claim.run_id, "U1")
    assert await store.fork(copy, claim.run_id, "U1")

    assert len((await world.claim(claim.run_id)).asks) == len((await world.claim(copy.run.run_id)).asks) == 8_100
    assert await store.purge(claim.run_id, force=True) == await store.purge(copy.run.run_id, force=True) == "ready"


async def test_thousands_of_rungs_fire_one_after_another(world: World) -> None:
    rungs = tuple(Timer("remind", n, 1.0 + n * 1e10) for n in range(3_000))
    claim = await world.ask(question("a1", timers=rungs))

    await world.store.fire_timers()

    assert [line for line in await world.whats(claim.run_id) if line == "reminded"] == ["reminded"]


async def test_thousands_may_vote_and_be_named(world: World, store: RedisRunStore) -> None:
    claim = await world.ask(question("a1", quorum=5_000))
    votes = pack(text for n in range(4_100) for text in (f"V{n}", "ship"))
    await store.server.read("HSET", Keys(store.prefix, 2).ask(claim.run_id, "a1"), "y", votes)

    verdict = await store.deliver(answer(claim.run_id))
    people = tuple(f"V{n}" for n in range(8_100))
    refused = await store.refuse(Refusal(claim.run_id, "a1", "d2", "U2", "ship", "not_named", people))

    assert verdict == Recorded(4_101, 5_000)
    assert refused == NotAllowed(people)


async def test_a_question_still_to_be_locked_is_not_forgotten(world: World, store: RedisRunStore) -> None:
    claim = await world.start()
    for n in range(2 * ASKS_KEPT):
        claim = await store.commit(claim, Commit("waiting", asks=[question(f"a{n}")], release=False))
        claim = await store.commit(claim, Commit("waiting", withdrawn=[f"a{n}"], release=False))
        for kind in ("prompt", "lock") if n else ():
            effect = await store.claim_effect(claim.run_id, f"{kind}:a{n}", LEASE_S)
            assert effect is not None
            await store.finish_effect(effect, "C1:1")

    assert await store.ask(claim.run_id, "a0") is not None
    assert await store.ask(claim.run_id, "a1") is None
    await store.commit(claim, Commit("done"))


async def test_a_paused_run_is_small(world: World, store: RedisRunStore, redis: Redis) -> None:
    for n in range(100):
        claim = await world.start(f"run{n}")
        ask = question("a1", event=b"p" * 1024, deadline=claim.now + 1000, allowed=("U1",))
        await store.commit(claim, Commit("waiting", consumed=1, written={"core": b"s" * 1024}, asks=[ask]))
        effect = await store.claim_effect(claim.run_id, "prompt:a1", LEASE_S)
        assert effect is not None
        await store.finish_effect(effect, "C0123456789:1700000000.123456")

    # By key: what the server takes for itself, as for a larger table of keys, comes and goes.
    names = [name async for name in redis.scan_iter(f"{store.prefix}:*")]
    taken = sum([await redis.memory_usage(name, samples=0) or 0 for name in names])
    assert 3_000 < taken / 100 < 4_500


# --- lanes and keys ------------------------------------------------------------------------------------------


async def test_all_keys_a_script_is_given_are_in_one_slot() -> None:
    keys = Keys("signoff", 8)

    names = keys.of("k5-abc", ["a1", "{0}"])

    tags = {name[name.index("{") + 1 : name.index("}")] for name in names}
    assert tags == {"5"}
    assert {binascii.crc_hqx(tag.encode(), 0) % 16_384 for tag in tags} == {binascii.crc_hqx(b"5", 0) % 16_384}


async def test_scripts_touch_only_the_keys_they_are_given() -> None:
    folder = Path(__file__).parents[3] / "engine" / "redis" / "scripts"

    for script in folder.glob("*.lua"):
        calls = re.findall(r"redis\.call\('([A-Z]+)', ([^,)]+)", script.read_text())
        for command, key in calls:
            assert re.fullmatch(r"KEYS\[.+|[A-Z_]+|key", key), f"{script.name}: {command} {key}"


@pytest.mark.parametrize("setting", [("--replicaof", "127.0.0.1 1"), ("--maxmemory", "1")], ids=["replica", "full"])
async def test_a_server_that_takes_no_writes_is_read_all_the_same(tmp_path: Path, setting: tuple[str, str]) -> None:
    with servers.server(tmp_path, *setting) as server:
        store = RedisRunStore.from_url(server.url, lanes=2)
        try:
            assert await store.runs() == []
            assert await store.due() == []
            with pytest.raises(StoreUnavailable, match=r"READONLY|OOM"):
                await store.try_writing()
        finally:
            await store.close()


async def test_a_store_with_fewer_lanes_finishes_what_one_with_more_began(redis_url: str, prefix: str) -> None:
    wide = RedisRunStore.from_url(redis_url, prefix=prefix, lanes=16)
    narrow = RedisRunStore.from_url(redis_url, prefix=prefix, lanes=1)
    ids = [wide.new_run_id(f"run{n}") for n in range(20)]
    await wide.due()
    for run_id in ids:
        await wide.start(NewRun(run_id, "Deploy", "r1", b"start"))

    due = await narrow.due()

    assert sorted(due) == sorted(ids)
    for run_id in due:
        claim = await narrow.claim(run_id, "w1", LEASE_S)
        assert claim is not None
        await narrow.commit(claim, Commit("done"))
    assert await narrow.leftovers() == []
    await wide.close()
    await narrow.close()


async def test_a_timer_that_was_read_before_the_answer_came_fires_nothing(world: World, store: RedisRunStore) -> None:
    claim = await world.start()
    await store.commit(claim, Commit("waiting", consumed=1, asks=[question("a1", deadline=claim.now + 10)]))
    await store.deliver(answer(claim.run_id))
    await world.pass_time(11)

    fired = await store.server.run("fire", Keys(store.prefix, 2).of(claim.run_id, ["a1"]), claim.run_id, "a1")

    assert fired == 0
    assert [entry.kind for entry in (await world.claim(claim.run_id)).inbox] == ["answered"]


async def test_whoever_was_given_a_run_by_what_the_server_has_lost_is_refused(
    world: World, store: RedisRunStore, redis: Redis, prefix: str
) -> None:
    """A server that lost its last second gives the run out again, and takes another answer to the same question."""
    run_id = (await world.ask()).run_id
    before = {name: await redis.dump(name) or b"" for name in await keys_of(redis, prefix)}
    await store.deliver(answer(run_id))
    lost = await world.claim(run_id, "w1")
    for name in await keys_of(redis, prefix):
        await redis.delete(name)
    for name, value in before.items():
        await redis.restore(name, 30_000 if ":by:" in name or name.endswith(":lanes") else 0, value)

    second = await store.deliver(answer(run_id, "d2", actor="U2"))
    taken = await world.claim(run_id, "w1")
    with pytest.raises(FencedError):
        await store.commit(lost, Commit("done", consumed=1))

    assert isinstance(second, Accepted)
    assert [entry.actor for entry in taken.inbox] == ["U2"]
    await store.commit(taken, Commit("done", consumed=1))


async def test_cancelling_does_not_miss_an_ask_opened_meanwhile(world: World, store: RedisRunStore) -> None:
    claim = await world.ask()

    told = await store.server.run("cancel", Keys(store.prefix, 2).of(claim.run_id), claim.run_id, "U1")

    assert told == -1
    assert len(await store.open_asks(claim.run_id)) == 1


async def test_a_prefix_cannot_move_keys_to_another_slot(redis_url: str) -> None:
    with pytest.raises(ValueError, match="brace"):
        RedisRunStore.from_url(redis_url, prefix="a{b}")


async def test_a_run_id_must_be_told_from_its_neighbours(store: RedisRunStore) -> None:
    with pytest.raises(ValueError, match="new_run_id"):
        await store.start(NewRun("a|b", "Deploy", "r1", b"start"))


# --- the server ------------------------------------------------------------------------------------------------


async def test_hundreds_of_calls_share_a_connection(redis_url: str, prefix: str) -> None:
    store = RedisRunStore.from_url(redis_url, prefix=prefix)
    run_id = store.new_run_id()
    await store.start(NewRun(run_id, "Deploy", "r1", b"start"))

    async with asyncio.TaskGroup() as tasks:
        sent = [tasks.create_task(store.send(run_id, f"d{n}", b"event")) for n in range(500)]

    assert all(task.result() for task in sent)
    claim = await store.claim(run_id, "w1", LEASE_S)
    assert claim is not None
    assert len(claim.inbox) == 501
    await store.close()


async def test_a_server_that_lost_its_scripts_is_told_them_again(
    world: World, store: RedisRunStore, redis: Redis
) -> None:
    claim = await world.ask(question("a1", quorum=2))
    assert await store.due() == []
    await redis.script_flush()

    assert await store.due() == []
    assert await store.deliver(answer(claim.run_id)) == Recorded(1, 2)


async def test_a_server_that_is_down_is_unavailable(tmp_path: Path) -> None:
    store = RedisRunStore.from_url(f"unix://{tmp_path}/none.sock")

    with pytest.raises(StoreUnavailable, match="did not take the call"):
        await store.deliver(answer("k0-abc"))
    with pytest.raises(StoreUnavailable):
        await store.due()
    with pytest.raises(StoreUnavailable):
        await store.run("k0-abc")
    with pytest.raises(StoreUnavailable):
        await store.leftovers()
    await store.close()


@pytest.mark.parametrize(
    ("credentials", "database", "told"),
    [
        ("", 0, "AuthenticationError: Authentication required; see the user and password in its address"),
        (":wrong@", 0, "see the user and password in its address"),
        ("reader:pw@", 0, "NOPERM User reader has no permissions to run the 'evalsha' command; let its user do that"),
        (":pw@", 99, "DB index is out of range; try again, or see its log"),
    ],
    ids=["no password", "wrong password", "no right", "no such database"],
)
async def test_what_stands_in_the_way_is_told_with_what_to_do(
    tmp_path: Path, credentials: str, database: int, told: str
) -> None:
    with servers.server(tmp_path, port=0) as server, server.client() as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+smembers")
        client.config_set("requirepass", "pw")
        url = server.url.replace("redis://", f"redis://{credentials}")
        store = RedisRunStore.from_url(f"{url}/{database}")

        with pytest.raises(StoreUnavailable) as refused:
            await store.due()

        await store.close()
    assert str(refused.value).startswith("the run store (Redis) did not take the call: ")
    assert str(refused.value).endswith(told)


async def test_what_is_no_redis_is_told_as_such() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        store = RedisRunStore.from_url(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")

        with pytest.raises(StoreUnavailable, match="did not take the call"):
            await store.due()

        await store.close()


async def test_a_dropped_connection_costs_one_call_at_most(world: World, store: RedisRunStore, redis: Redis) -> None:
    claim = await world.ask()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(20):  # several connections
            tasks.create_task(store.run(claim.run_id))
    for client in await redis.client_list(_type="normal"):
        if client["id"] != str(await redis.client_id()):
            await redis.client_kill_filter(_id=client["id"])

    with contextlib.suppress(StoreUnavailable):
        await store.run(claim.run_id)

    async with asyncio.TaskGroup() as tasks:
        runs = [tasks.create_task(store.run(claim.run_id)) for _ in range(40)]
    assert all(run.result() is not None for run in runs)


async def test_a_server_that_is_full_refuses_an_answer_whole(
    world: World, store: RedisRunStore, redis: Redis, prefix: str
) -> None:
    claim = await world.ask()
    before = await store.journal(claim.run_id)
    await redis.config_set("maxmemory", "1mb")
    try:
        with pytest.raises(StoreUnavailable, match="OOM"):
            await store.deliver(answer(claim.run_id))
    finally:
        await redis.config_set("maxmemory", "0")

    assert await store.journal(claim.run_id) == before
    assert [ask.ask_id for ask in await store.open_asks(claim.run_id)] == ["a1"]
    assert isinstance(await store.deliver(answer(claim.run_id)), Accepted)


@contextlib.asynccontextmanager
async def server_that_says(reply: bytes) -> AsyncIterator[str]:
    """Run a server that is connected to like Redis and then says *reply* to whatever it is asked."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"LIB-VER")
        writer.write(b"+OK\r\n+OK\r\n")
        await reader.readuntil(b"HGETALL")
        writer.write(reply)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(("reply", "said"), [(b"", "no reply within 0.2 s"), (b"?what\r\n", "makes no sense")])
async def test_a_server_that_stalls_or_babbles_is_given_up(reply: bytes, said: str) -> None:
    async with server_that_says(reply) as url:
        store = RedisRunStore.from_url(url, timeout_s=0.2)

        with pytest.raises(StoreUnavailable, match=said):
            await store.run("k0-abc")
        await store.close()


@pytest.mark.parametrize("url", ["redis+magic://host", "redis+sentinel://host", "http://host", "redis+cluster+x://h"])
def test_an_address_of_something_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        RedisRunStore.from_url(url)


async def test_who_waits_for_the_same_connection_gives_up_together() -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"never")

    async with await asyncio.start_server(stall, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        store = RedisRunStore.from_url(f"redis://127.0.0.1:{port}", timeout_s=0.2)

        async def call() -> None:
            with pytest.raises(StoreUnavailable, match="call: TimeoutError: "):
                await store.run("k0-abc")

        async with asyncio.timeout(4), asyncio.TaskGroup() as tasks:
            for _ in range(50):
                tasks.create_task(call())
        await store.close()


async def test_a_mistake_of_ours_is_not_called_unavailable(world: World, store: RedisRunStore, redis: Redis) -> None:
    claim = await world.ask()
    meta = Keys(store.prefix, 2).at(claim.run_id, "meta")
    await redis.rename(meta, f"{meta}:away")
    await redis.set(meta, "no hash")

    with pytest.raises(CodecError, match="WRONGTYPE"):
        await store.run(claim.run_id)

    await redis.rename(f"{meta}:away", meta)


async def test_a_call_given_up_does_not_confuse_the_next(world: World, redis_url: str, prefix: str) -> None:
    store = RedisRunStore.from_url(redis_url, prefix=prefix, lanes=2)
    claim = await world.ask()

    for n in range(50):
        async with asyncio.TaskGroup() as tasks:
            doomed = tasks.create_task(store.journal(claim.run_id))
            for _ in range(n % 7):
                await asyncio.sleep(0)
            doomed.cancel()
        run = await store.run(claim.run_id)
        assert run is not None
        assert run.run_id == claim.run_id
    await store.close()


# --- what operators look at ------------------------------------------------------------------------------


async def test_an_empty_store_has_no_backlog(store: RedisRunStore) -> None:
    assert await store.backlog() == Backlog(runs=0, questions=0, effects=0, late_s=0.0)


async def test_the_backlog_counts_what_is_not_over(world: World, store: RedisRunStore) -> None:
    await a_finished_run(world)
    over = await store.backlog()
    asks = [question("a1", allowed=("U1", "U2")), question("a2")]
    await world.ask(*asks, key="another")

    found = await store.backlog()

    assert (over.runs, over.questions) == (0, 0)
    assert (found.runs, found.questions) == (1, 2)
    assert found.effects == over.effects + len(asks)


async def test_the_backlog_says_for_how_long_the_oldest_has_been_due(world: World, store: RedisRunStore) -> None:
    for seconds in (-100, 50):
        await world.pass_time(seconds)
        await store.start(NewRun(store.new_run_id(), "Deploy", "r1", b"start"))

    assert 100 <= (await store.backlog()).late_s < 130
