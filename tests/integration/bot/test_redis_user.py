"""The user of Redis that the operations page gives Signoff may do all that it does, and what is another's stays so."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bot.fleet import Fleet
from bot.installs.store import InstallStore
from bot.listeners.audience import Audience
from engine.errors import StoreUnavailable
from engine.keyring import Keyring, new_key
from engine.redis import RedisRunStore
from engine.redis.connections import connections_to
from engine.redis.scripts import Server
from engine.run_store import Answer, Commit, NewAsk, NewRun
from tests import servers

PAGE = Path(__file__).parents[3] / "docs" / "operations.md"
LIMIT_S = 30


async def test_the_user_on_the_operations_page_may_do_all_that_is_done(tmp_path: Path) -> None:
    found = re.search(r"^ACL SETUSER .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    with servers.server(tmp_path, port=0) as server:
        async with Redis.from_url(server.url) as redis:
            await redis.execute_command(*found[0].replace("PASSWORD", "pw").split())  # type: ignore[no-untyped-call]
        url = server.url.replace("redis://", "redis://signoff:pw@")

        await _run_and_look(url)
        await _install_and_watch(url)
        await _wake(url)
        stranger = RedisRunStore.from_url(url, prefix="other")
        with pytest.raises(StoreUnavailable, match="NOPERM"):
            await stranger.due()
        await stranger.close()


async def _run_and_look(url: str) -> None:
    store = RedisRunStore.from_url(url)
    run_id = store.new_run_id()
    _, claim = await store.start(NewRun(run_id, "Deploy", "r1", b"start"), worker="w", lease_s=30)
    assert claim is not None
    await store.commit(claim, Commit("waiting", consumed=1, asks=[NewAsk("a1", b"?", "digest")]))
    await store.deliver(Answer(run_id, "a1", "d1", "U1", "ship", b"ship"))
    assert await store.due() == [run_id]
    assert await store.leftovers() == []
    (condition,) = await store.conditions(lambda: 0.0)
    assert condition.appendfsync
    await store.try_writing()
    await store.close()


async def _install_and_watch(url: str) -> None:
    installs = InstallStore(Server(connections_to(url, 5.0)), "signoff", Keyring([new_key()]))
    await installs.speak_for("T1", "E1")
    assert await installs.all() == []
    audience = Audience(Server(connections_to(url, 5.0)), "signoff")
    await audience.opened("T1", "U1", "hash")
    await audience.close()
    await installs.close()


async def _wake(url: str) -> None:
    woken, served = asyncio.Event(), asyncio.Event()

    async def attend(run_id: str) -> None:
        woken.set()

    async def due() -> Iterable[str]:
        served.set()
        return ()

    async def tidy() -> None:
        pass

    fleet = Fleet(url, attend, due, tidy)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(fleet.serve())
        async with asyncio.timeout(LIMIT_S):
            await served.wait()
            await fleet.wake("k0-run")
            await woken.wait()
        serving.cancel()
