"""A Redis that is killed under load, or finds the end of its log torn off: what was acknowledged, and what is whole.

``SIGNOFF_REDIS_KILLS`` says how often it is killed, and how often its log is cut; ``make chaos`` does each 100 times.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import shutil
from pathlib import Path

import pytest

from bot.playground.valkey import PrivateValkey
from engine.redis import RedisRunStore
from engine.run_store import Answer, Commit, NewAsk, NewEffect, NewRun, Timer
from engine.runner import Runner
from engine.verdicts import Accepted
from tests.chaos.office import LANES, LEASE_S, Clerk, MemoryBoard, Office, Release

pytestmark = pytest.mark.chaos

KILLS = int(os.environ.get("SIGNOFF_REDIS_KILLS", "3"))
RUNS_PER_KILL = 8
PAUSES_S = (0.2, 0.6)
WORKERS = 2


async def kill_now_and_then(valkey: PrivateValkey, chance: random.Random, done: list[float]) -> None:
    """Kill the server and start it again, `KILLS` times."""
    for _ in range(KILLS):
        pause_s = chance.uniform(*PAUSES_S)
        await asyncio.sleep(pause_s)
        await valkey.kill()
        await valkey.start()
        done.append(pause_s)


async def test_nothing_acknowledged_is_lost_when_redis_is_killed_under_load(tmp_path: Path, prefix: str) -> None:
    """With ``appendfsync always``. That an answer was applied that was accepted is part of the law."""
    seed = secrets.randbits(32)
    chance = random.Random(seed)
    kills: list[float] = []
    async with PrivateValkey(tmp_path, appendfsync="always") as valkey:
        store = RedisRunStore.from_url(valkey.url, prefix=prefix, lanes=LANES)
        office = Office(store, MemoryBoard(), chance)
        clerk = Clerk(Runner(store, [Release()], lease_s=LEASE_S, max_attempts=1_000), office.board)
        async with asyncio.TaskGroup() as tasks:
            working = [tasks.create_task(clerk.serve()) for _ in range(WORKERS)]
            killing = tasks.create_task(kill_now_and_then(valkey, chance, kills))
            while not killing.done():
                await office.see_through(RUNS_PER_KILL)
            await office.settled()
            for one in working:
                one.cancel()
        print(f"seed {seed}: {len(kills)} kills, {len(office.clicks)} runs, {office.told()} verdicts")

        await office.check()

        assert len(kills) == KILLS
        assert await store.leftovers() == []
        await store.close()


# --- a log that ends in the middle ----------------------------------------------------------------


async def live(store: RedisRunStore, n: int) -> None:
    """Let a run live through three transitions that each write a little of everything."""
    run_id = store.new_run_id(f"run {n}")
    await store.start(NewRun(run_id, "Deploy", "r1", b"start"))
    for version in range(1, 4):
        claim = await store.claim(run_id, "w", LEASE_S)
        assert claim is not None
        await store.remember(claim, f"memo{version}", b"paid")
        over = version == 3
        change = Commit(
            "done" if over else "waiting",
            consumed=len(claim.inbox),
            written={"version": str(version).encode(), f"part{version}": b"x" * 50},
            asks=[] if over else [NewAsk(f"a{version}", b"?", "d", timers=(Timer("remind", 0, claim.now + 900),))],
            effects=[NewEffect("result")] if over else [NewEffect(f"note{version}")],
        )
        await store.commit(claim, change)
        if not over:
            verdict = await store.deliver(Answer(run_id, f"a{version}", f"d{version}", "U1", "yes", b"yes"))
            assert isinstance(verdict, Accepted)


async def check_whole(store: RedisRunStore, run_id: str) -> int:
    """Check that every transition of a run happened whole or not at all; return how many did."""
    run = await store.run(run_id)
    journal = await store.journal(run_id)
    if run is None:
        assert journal == []
        return 0
    state = await store.state(run_id)
    assert int(state.get("version", b"0")) == run.version
    assert set(state) == ({"version"} if run.version else set()) | {f"part{n + 1}" for n in range(run.version)}
    versions = [line.details["version"] for line in journal if line.what == "committed"]
    assert versions == [str(n + 1) for n in range(run.version)]
    answered = [line.details["ask"] for line in journal if line.what == "answered"]
    opened = [f"a{n}" for n in range(1, min(run.version, 2) + 1)]
    asks = [await store.ask(run_id, ask_id) for ask_id in opened]
    assert [ask.ask_id for ask in asks if ask is not None and ask.status == "answered"] == answered
    still_open = [ask_id for ask_id in opened if ask_id not in answered]
    assert [ask.ask_id for ask in await store.open_asks(run_id)] == still_open
    shown = {f"note{n}" for n in range(1, min(run.version, 2) + 1)} | ({"result"} if run.version == 3 else set())
    owed = {f"prompt:{ask_id}" for ask_id in opened} | {f"lock:{ask_id}" for ask_id in answered} | shown
    assert set(await store.effects_of(run_id)) == owed
    return run.version


async def go_on(store: RedisRunStore, run_id: str) -> None:
    """Answer and work until the run is over, as whoever comes next would do."""
    for _ in range(10):
        run = await store.run(run_id)
        if run is None or run.status == "done":
            return
        for ask in await store.open_asks(run_id):
            assert isinstance(
                await store.deliver(Answer(run_id, ask.ask_id, f"again {ask.ask_id}", "U2", "no", b"no")), Accepted
            )
        claim = await store.claim(run_id, "w2", LEASE_S)
        if claim is None:
            continue
        version = claim.version + 1
        change = Commit(
            "done" if version == 3 else "waiting",
            consumed=len(claim.inbox),
            written={"version": str(version).encode(), f"part{version}": b"y"},
            asks=[] if version == 3 else [NewAsk(f"a{version}", b"?", "d")],
        )
        await store.commit(claim, change)
    raise AssertionError(f"run {run_id} does not get on")


def last_log(folder: Path) -> Path:
    """The part of the append-only file that is written now."""
    return max((folder / "appendonlydir").glob("*.incr.aof"), key=lambda path: path.stat().st_mtime)


async def test_a_log_that_was_cut_anywhere_tears_no_transition(tmp_path: Path, prefix: str) -> None:
    """The server starts, and each run stands at one of its versions, from which it can go on."""
    seed = secrets.randbits(32)
    chance = random.Random(seed)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    async with PrivateValkey(whole, appendfsync="always") as valkey:
        store = RedisRunStore.from_url(valkey.url, prefix=prefix, lanes=LANES)
        for n in range(12):
            await live(store, n)
        await valkey.kill()
        await store.close()
    size = last_log(whole).stat().st_size

    reached: list[int] = []
    for _ in range(KILLS * 2):
        shutil.copytree(whole, cut)
        os.truncate(last_log(cut), chance.randrange(size))
        async with PrivateValkey(cut, appendfsync="always") as valkey:
            store = RedisRunStore.from_url(valkey.url, prefix=prefix, lanes=LANES)
            await store.server.read_each([("SET", f"{prefix}:{{{lane}}}:skew", 60) for lane in range(LANES)])
            run_ids = [store.new_run_id(f"run {n}") for n in range(12)]
            reached.append(sum([await check_whole(store, run_id) for run_id in run_ids]))
            for run_id in run_ids:
                await go_on(store, run_id)
            await store.close()
        shutil.rmtree(cut)
    print(f"seed {seed}: {len(reached)} cuts of {size} bytes, which left {min(reached)} to {max(reached)} transitions")

    assert len({*reached}) > 1
