"""The `RunStore` contract: which runs there are, on Redis and in memory."""

from __future__ import annotations

from dataclasses import replace

from engine.run_store import Commit, NewRun
from tests.integration.engine.contract import World, world

__all__ = ["world"]  # the fixture

DAY_S = 86_400.0


async def begun(world: World, *keys: str) -> list[str]:
    """Start a run for each key, one after the other, and return their ids."""
    ids = []
    for key in keys:
        run = NewRun(world.store.new_run_id(key), f"Flow{key}", "r1", b"start", tenant=f"T{key}", requester=f"U{key}")
        await world.store.start(run)
        await world.pass_time(1)
        ids.append(run.run_id)
    return ids


async def end(world: World, run_id: str, status: str = "done") -> None:
    await world.store.commit(await world.claim(run_id), Commit(status))  # type: ignore[arg-type]


async def ids(world: World, **asked: object) -> list[str]:
    return [run.run_id for run in await world.store.runs(**asked)]  # type: ignore[arg-type]


async def test_runs_are_listed_newest_first_whether_over_or_not(world: World) -> None:
    a, b, c = await begun(world, "a", "b", "c")
    await end(world, b)

    assert await ids(world) == [c, b, a]
    assert await world.store.runs(limit=1) == [await world.store.run(c)]


async def test_runs_are_listed_by_what_they_are(world: World) -> None:
    a, b, c = await begun(world, "a", "b", "c")
    await end(world, b)
    await world.store.commit(await world.claim(c), Commit("parked"))

    assert await ids(world, statuses={"done"}) == [b]
    assert await ids(world, statuses={"parked", "done"}) == [c, b]
    assert await ids(world, statuses={"failed"}) == []
    assert await ids(world, workflow="Flowa") == [a]
    assert await ids(world, tenant="Tb") == [b]
    assert await ids(world, requester="Uc") == [c]
    assert await ids(world, requester="Uc", workflow="Flowa") == []


async def test_the_list_goes_on_where_it_stopped(world: World) -> None:
    every = list(reversed(await begun(world, *"abcde")))
    found, page = [], await world.store.runs(limit=2)

    while page:
        found += [run.run_id for run in page]
        await begun(world, f"later {len(found)}")
        page = await world.store.runs(limit=2, before=page[-1].place)

    assert found == every


async def test_runs_created_at_the_same_moment_are_all_listed(world: World) -> None:
    """A time alone would not tell where to go on."""
    (run_id,) = await begun(world, "a")
    run = await world.store.run(run_id)
    assert run is not None

    assert await world.store.runs(before=replace(run, run_id=f"{run_id}z").place) == [run]
    assert await world.store.runs(before=run.place) == []


async def test_a_run_that_was_forgotten_is_not_listed(world: World) -> None:
    a, b = await begun(world, "a", "b")
    await end(world, b)

    await world.pass_time(31 * DAY_S)
    await world.store.fire_timers()

    assert await ids(world) == [a]


async def test_one_person_finds_the_runs_they_started_in_their_workspace(world: World) -> None:
    mine = NewRun(world.store.new_run_id("mine"), "Flow", "r1", b"start", tenant="T1", requester="U1")
    for n, (tenant, requester) in enumerate([("T1", "U2"), ("T2", "U1"), ("T1", ""), ("T1|U1", "x")]):
        other = replace(mine, run_id=world.store.new_run_id(f"other {n}"), tenant=tenant, requester=requester)
        await world.store.start(other)
    await world.store.start(mine)
    await world.pass_time(1)
    whole = await world.store.export(mine.run_id)
    assert whole is not None
    copy = replace(whole, run=replace(whole.run, run_id=world.store.new_run_id("copy")))
    await world.store.fork(copy, mine.run_id, "U1")

    found = await ids(world, tenant="T1", requester="U1")
    first = (await world.store.runs(tenant="T1", requester="U1", limit=1))[0]

    assert found == [copy.run.run_id, mine.run_id]
    assert await ids(world, tenant="T1", requester="U1", before=first.place) == [mine.run_id]
    assert await ids(world, tenant="T1", requester="U1", statuses={"done"}) == []


async def test_parts_of_the_state_can_be_read_alone(world: World) -> None:
    (run_id,) = await begun(world, "a")
    await world.store.commit(await world.claim(run_id), Commit("waiting", written={"start": b"s", "big": b"b"}))

    assert await world.store.state(run_id, "start", "gone") == {"start": b"s"}
    assert await world.store.state(run_id) == {"start": b"s", "big": b"b"}
    assert await world.store.state("k0-unknown", "start") == {}
