"""A store on a cluster whose slots move, and behind Sentinel while its master dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.connection import SSLConnection
from redis.crc import key_slot

from engine.errors import StoreUnavailable
from engine.redis import RedisRunStore
from engine.redis.connections import OneServer, connections_to
from engine.redis.keys import Keys
from engine.run_store import Answer, Commit, NewAsk, NewRun
from engine.verdicts import Accepted
from tests import servers

FAILOVER_LIMIT_S = 40
LANES = 6


async def asked(store: RedisRunStore, key: str) -> str:
    """Start a run that asks "a1"; return its id."""
    run = NewRun(store.new_run_id(key), "Deploy", "r1", b"start")
    _, claim = await store.start(run, worker="w1", lease_s=30)
    assert claim is not None
    await store.commit(claim, Commit("waiting", consumed=1, asks=[NewAsk("a1", b"Ship it?", "digest")]))
    return run.run_id


def click(run_id: str, delivery: str = "d1", actor: str = "U1") -> Answer:
    return Answer(run_id, "a1", delivery, actor, "ship", b"ship")


async def in_time(call: Callable[[], Awaitable[Any]]) -> Any:
    """Call again and again while the store is unavailable."""
    async with asyncio.timeout(FAILOVER_LIMIT_S):
        while True:
            try:
                return await call()
            except StoreUnavailable:
                await asyncio.sleep(0.1)


async def test_every_key_of_a_run_is_in_one_slot_and_lanes_are_spread(cluster_url: str, prefix: str) -> None:
    store = RedisRunStore.from_url(cluster_url, prefix=prefix, lanes=LANES)
    run_ids = [await asked(store, f"run {n}") for n in range(30)]
    slots = {run_id: {key_slot(name.encode()) for name in Keys(prefix, LANES).of(run_id, ["a1"])} for run_id in run_ids}

    verdicts = [await store.deliver(click(run_id)) for run_id in run_ids]

    assert all(isinstance(verdict, Accepted) for verdict in verdicts)
    assert all(len(found) == 1 for found in slots.values())
    assert len(set.union(*slots.values())) > LANES // 2
    assert set(await store.due()) == set(run_ids)
    await store.close()


async def test_a_store_follows_its_runs_when_a_slot_moves(
    cluster_nodes: list[servers.Running], cluster_url: str, prefix: str
) -> None:
    """While the slot is under way nothing can be recorded, and that is said."""
    store = RedisRunStore.from_url(cluster_url, prefix=prefix, lanes=1)
    run_id = await asked(store, "run")
    slot = key_slot(store._keys.at(run_id, "meta").encode())
    async with contextlib.AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(Redis.from_url(node.url)) for node in cluster_nodes]
        holds = [await _has(node, slot) for node in nodes]
        source, target = nodes[holds.index(True)], nodes[holds.index(False)]
        names = {node: (await _told(node, "MYID")).decode() for node in (source, target)}
        await _told(target, "SETSLOT", slot, "IMPORTING", names[source])
        await _told(source, "SETSLOT", slot, "MIGRATING", names[target])
        port = cluster_nodes[holds.index(False)].port
        while keys := await _told(source, "GETKEYSINSLOT", slot, 1_000):  # other tests have left theirs there, too
            for key in keys:
                await source.migrate("127.0.0.1", port, key, 0, 5_000)
        with pytest.raises(StoreUnavailable, match="try again"):
            await store.deliver(click(run_id))
        with pytest.raises(StoreUnavailable, match="try again"):
            await store.run(run_id)
        for node in (target, source):
            await _told(node, "SETSLOT", slot, "NODE", names[target])

        verdict = await store.deliver(click(run_id))

    assert isinstance(verdict, Accepted)
    assert len(await store.journal(run_id)) == 3
    await store.close()


@pytest.mark.chaos
async def test_a_store_finds_who_takes_the_place_of_a_master_of_its_cluster(tmp_path: Path, prefix: str) -> None:
    with servers.cluster(tmp_path) as nodes, servers.follower(tmp_path / "follower", nodes[0]):
        url = nodes[1].url.replace("redis://", "redis+cluster://")
        store = RedisRunStore.from_url(url, prefix=prefix, lanes=LANES, timeout_s=1)
        run_ids = [await asked(store, f"run {n}") for n in range(20)]
        nodes[0].process.kill()

        due = await in_time(store.due)
        verdicts = [await in_time(partial(store.deliver, click(run_id))) for run_id in run_ids]

        assert due == []
        assert all(isinstance(verdict, Accepted) for verdict in verdicts)
        assert len(await in_time(store.server._connections.every)) == len(nodes)
        await store.close()


async def test_a_cluster_that_is_named_as_one_server_is_not_taken_for_one(cluster_url: str, prefix: str) -> None:
    store = RedisRunStore.from_url(cluster_url.replace("redis+cluster", "redis"), prefix=prefix, lanes=LANES)

    with pytest.raises(StoreUnavailable, match=r"MOVED .*; try again, and name a cluster as one: redis\+cluster://"):
        await store.due()

    await store.close()


@pytest.mark.chaos
async def test_what_was_acknowledged_outlives_the_master(tmp_path: Path, prefix: str) -> None:
    """With one replica asked to have it, a failover loses no answer that somebody was told is kept."""
    with servers.watched(tmp_path) as (url, master, _):
        store = RedisRunStore.from_url(url, prefix=prefix, lanes=2, timeout_s=1, replicas=1)
        run_ids = [await asked(store, f"run {n}") for n in range(20)]
        verdicts = [await store.deliver(click(run_id)) for run_id in run_ids]

        master.process.kill()
        again = [await in_time(partial(store.run, run_id)) for run_id in run_ids]
        late = [await in_time(partial(_late, store, run_id)) for run_id in run_ids]

        assert all(run is not None for run in again)
        assert [(told.by, told.at) for told in late] == [(verdict.by, verdict.at) for verdict in verdicts]  # type: ignore[union-attr]
        await store.close()


async def test_a_replica_that_is_gone_is_not_kept_silent(tmp_path: Path, prefix: str) -> None:
    """Nobody is told that an answer is kept before the replica has it; a redelivery finds out."""
    with servers.server(tmp_path / "alone", port=0) as alone:
        store = RedisRunStore.from_url(alone.url, prefix=prefix, timeout_s=0.2)
        run_id = await asked(store, "run")
        careful = RedisRunStore.from_url(alone.url, prefix=prefix, timeout_s=0.2, replicas=1)

        with pytest.raises(StoreUnavailable, match="0 of 1 replicas have it"):
            await careful.deliver(click(run_id))

        await careful.close()
        await store.close()


@pytest.mark.chaos
async def test_nobody_is_told_by_another_process_what_no_replica_has(tmp_path: Path, prefix: str) -> None:
    """The one that took the answer did not say that it is kept, and whoever is asked again does not either."""
    with servers.watched(tmp_path) as (url, _, replica):
        first, second = (RedisRunStore.from_url(url, prefix=prefix, lanes=2, timeout_s=1, replicas=1) for _ in range(2))
        run_id = await asked(first, "run")
        before = await second.deliver(click(await asked(first, "another")))
        os.kill(replica.process.pid, signal.SIGSTOP)
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas have it"):
            await first.deliver(click(run_id))

        for late in (click(run_id), click(run_id, "d2", "U2")):
            with pytest.raises(StoreUnavailable, match="0 of 1 replicas have it"):
                await second.deliver(late)
        os.kill(replica.process.pid, signal.SIGCONT)
        again = await in_time(lambda: second.deliver(click(run_id)))

        assert isinstance(before, Accepted)
        assert isinstance(again, Accepted)
        assert await first.leftovers() == []
        await first.close()
        await second.close()


async def test_a_server_is_reached_over_tls_by_those_who_trust_it(tmp_path: Path, redis_url: str, prefix: str) -> None:
    async with servers.behind_tls(tmp_path, redis_url) as (url, certificate):
        store = RedisRunStore.from_url(f"{url}?ssl_ca_certs={certificate}", prefix=prefix)
        stranger = RedisRunStore.from_url(url, prefix=prefix)
        run_id = await asked(store, "run")

        verdict = await store.deliver(click(run_id))

        assert isinstance(verdict, Accepted)
        with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await stranger.run(run_id)
        await stranger.close()
        await store.close()


def test_an_address_of_sentinel_says_how_to_reach_both_them_and_the_master() -> None:
    found = connections_to(
        "rediss+sentinel://u:p%40w@h1:1,[::1]:2,h3/svc/3?ssl_ca_certs=/ca.pem&sentinel_password=s%2Fp&health_check_interval=7",
        timeout_s=4,
    )

    assert isinstance(found, OneServer)
    master, *watchers = [client.connection_pool for client in found._clients]
    to_master, to_watcher = master.connection_kwargs, watchers[0].connection_kwargs
    assert (to_master["username"], to_master["password"], to_master["db"]) == ("u", "p@w", 3)
    assert (to_master["ssl_ca_certs"], to_master["health_check_interval"]) == ("/ca.pem", 7)
    assert issubclass(master.connection_class, SSLConnection)
    places = [(pool.connection_kwargs["host"], pool.connection_kwargs["port"]) for pool in watchers]
    assert places == [("h1", 1), ("::1", 2), ("h3", 26_379)]
    assert (to_watcher.get("username"), to_watcher["password"]) == (None, "s/p")
    assert (to_watcher["ssl_ca_certs"], watchers[0].connection_class) == ("/ca.pem", SSLConnection)


@pytest.mark.parametrize(
    "url", ["redis+sentinel://h:1", "redis+other://h", "unix+cluster://h", "http://h", "redis+sentinel://h:x/svc"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        connections_to(url, timeout_s=1)


async def _late(store: RedisRunStore, run_id: str) -> Any:
    """Click once more; WAIT finds no replica after the failover, so without it."""
    store.server._wait = None
    return await store.deliver(click(run_id, "late", "U9"))


async def _told(node: Redis, *command: object) -> Any:
    return await node.execute_command("CLUSTER", *command)  # type: ignore[no-untyped-call]


async def _has(node: Redis, slot: int) -> bool:
    """Tell whether a server of a cluster has *slot*."""
    told = (await _told(node, "NODES")).decode()
    (mine,) = (line.split()[8:] for line in told.splitlines() if "myself" in line)
    ranges = [part.partition("-") for part in mine if not part.startswith("[")]
    return any(int(first) <= slot <= int(last or first) for first, _, last in ranges)
