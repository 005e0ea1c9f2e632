"""The same bot on a cluster, through Sentinel and over TLS, and with what it keeps encrypted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from bot.languages import ENGLISH
from engine.keyring import new_key
from tests import servers
from tests.e2e.conftest import SetStage
from tests.e2e.shapes import Shape
from tests.e2e.stage import ANA, BEN, Logs, Stage, stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session", params=["cluster", "sentinel", "tls"])
async def elsewhere(
    request: pytest.FixtureRequest, logs: Logs, prefix: str, shape: Shape, tmp_path: Path
) -> AsyncIterator[Stage]:
    """On some kind of Redis; on the one with a replica it is waited for."""
    settings = {"SIGNOFF_ENCRYPTION_KEYS": new_key()}
    async with AsyncExitStack() as stack:
        match request.param:
            case "cluster":
                url = request.getfixturevalue("cluster_url")
            case "sentinel":
                url, _, _ = stack.enter_context(servers.watched(tmp_path))
                settings["SIGNOFF_DURABILITY"] = "replica"
            case _:
                address = request.getfixturevalue("redis_url")
                found, certificate = await stack.enter_async_context(servers.behind_tls(tmp_path, address))
                url = f"{found}?ssl_ca_certs={certificate}"
        found_stage = await stack.enter_async_context(stage(logs, url, prefix, shape, settings=settings))
        yield found_stage
        await found_stage.idle()
        assert await found_stage.store.leftovers() == []


async def test_a_question_is_asked_answered_and_the_result_told(elsewhere: Stage) -> None:
    room = elsewhere.room()
    first = await room.started(ANA, "/approve-draft AI safety")
    await room.reply(BEN, first, "Name an owner for each rule")
    second = await room.prompt(2)

    await room.press(BEN, second, "Approve")

    assert "AI safety" in str((await room.result()).blocks)
    assert BEN in await room.locked(second)


async def test_a_click_whose_key_is_missing_is_not_recorded_and_counts_once_it_is_back(set_stage: SetStage) -> None:
    old, new = new_key(), new_key()
    async with set_stage(settings={"SIGNOFF_ENCRYPTION_KEYS": old}) as found:
        room = found.room()
        prompt = await room.started(ANA, "/approve-draft AI safety")
        await found.kill()
        found.set(SIGNOFF_ENCRYPTION_KEYS=new)
        await found.start()
        await room.press(BEN, prompt, "Approve")
        await room.told(BEN, ENGLISH.not_recorded)
        await found.kill()
        found.set(SIGNOFF_ENCRYPTION_KEYS=f"{new},{old}")
        await found.start()

        await room.press(BEN, prompt, "Approve")

        await room.result()
        assert "add it to SIGNOFF_ENCRYPTION_KEYS" in found.bot.log.read_text()
