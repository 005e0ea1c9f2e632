"""More than one server: a master that dies while its replica is behind, and a cluster on which runs are at work."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest

from engine.errors import StoreUnavailable
from engine.redis import RedisRunStore
from engine.run_store import Answer, Commit, NewAsk, NewRun
from engine.runner import Runner
from engine.verdicts import Accepted, Already, Verdict
from tests import servers
from tests.chaos.office import LANES, LEASE_S, Clerk, MemoryBoard, Office, Release, insist, owed

pytestmark = pytest.mark.chaos

RUNS = 20
FAILOVER_LIMIT_S = 40


async def asked(store: RedisRunStore, n: int) -> str:
    """Start a run that asks "a1"; return its id."""
    run = NewRun(store.new_run_id(f"run {n}"), "Deploy", "r1", b"start")
    _, claim = await store.start(run, worker="w1", lease_s=30)
    assert claim is not None
    await store.commit(claim, Commit("waiting", consumed=1, asks=[NewAsk("a1", b"Ship it?", "digest")]))
    return run.run_id


async def clicked(store: RedisRunStore, run_id: str, actor: str) -> Verdict | None:
    """Return what a click is told; None: that it could not be recorded for certain."""
    try:
        return await store.deliver(Answer(run_id, "a1", f"click of {actor}", actor, "ship", b"ship"))
    except StoreUnavailable:
        return None


async def clicked_at_once(store: RedisRunStore, run_ids: list[str]) -> list[Verdict | None]:
    async with asyncio.TaskGroup() as tasks:
        clicks = [tasks.create_task(clicked(store, run_id, f"U{n}")) for n, run_id in enumerate(run_ids)]
    return [click.result() for click in clicks]


@pytest.mark.parametrize("replicas", [1, 0], ids=["the replica is waited for", "it is not"])
async def test_a_failover_to_a_replica_that_stalled_loses_nothing_it_was_waited_for(
    tmp_path: Path, prefix: str, replicas: int
) -> None:
    """Without waiting the same answers are lost, so it is the waiting that keeps them."""
    with servers.watched(tmp_path) as (url, master, replica):
        store = RedisRunStore.from_url(url, prefix=prefix, lanes=LANES, timeout_s=1, replicas=replicas)
        run_ids = [await asked(store, n) for n in range(RUNS)]
        told = await clicked_at_once(store, run_ids[: RUNS // 2])
        os.kill(replica.process.pid, signal.SIGSTOP)
        with master.client() as client:
            client.client_kill_filter(_type="replica")  # else the kernel would still bring it what comes now
        told += await clicked_at_once(store, run_ids[RUNS // 2 :])
        master.process.kill()
        os.kill(replica.process.pid, signal.SIGCONT)
        after = RedisRunStore.from_url(url, prefix=prefix, lanes=LANES, timeout_s=1)
        async with asyncio.timeout(FAILOVER_LIMIT_S):
            late = [await insist(lambda: after.deliver(_late(run_id))) for run_id in run_ids]  # noqa: B023

        acknowledged = [(first, then) for first, then in zip(told, late, strict=True) if first is not None]
        lost = [(first, then) for first, then in acknowledged if not _same(first, then)]

        print(f"{len(acknowledged)} answers acknowledged, {len(lost)} of them lost")
        assert len(acknowledged) == (RUNS // 2 if replicas else RUNS)
        assert len(lost) == (0 if replicas else RUNS // 2)
        await after.close()
        await store.close()


def _late(run_id: str) -> Answer:
    return Answer(run_id, "a1", "late", "U99", "keep", b"keep")


def _same(first: Verdict, then: Verdict) -> bool:
    """Tell whether somebody who comes later is told of the answer that was acknowledged."""
    assert isinstance(first, Accepted)
    return isinstance(then, Already) and (then.by, then.at) == (first.by, first.at)


async def test_runs_in_all_lanes_of_a_cluster_are_seen_through(cluster_url: str, prefix: str) -> None:
    store = RedisRunStore.from_url(cluster_url, prefix=prefix, lanes=LANES)
    office = Office(store, MemoryBoard(), random.Random(prefix))
    clerk = Clerk(Runner(store, [Release()], lease_s=LEASE_S), office.board)

    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(clerk.serve())
        await office.see_through(RUNS)
        await office.settled()
        working.cancel()

    await office.check()
    assert {run_id.partition("-")[0] for run_id in office.clicks} == {f"k{lane}" for lane in range(LANES)}
    assert await owed(store) == []
    assert await store.leftovers() == []
    await store.close()
