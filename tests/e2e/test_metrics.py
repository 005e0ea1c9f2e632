"""``/metrics``: a process's figures for whoever brings the token, beside Slack's requests or at a port of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from bot.playground.processes import free_port
from tests.e2e.process import BotProcess
from tests.e2e.shapes import HTTP_FLEET, Shape, only
from tests.e2e.stage import ANA, BEN, Logs, Stage, stage

pytestmark = pytest.mark.asyncio(loop_scope="session")
TOKEN = "a-token-of-prometheus"


@pytest_asyncio.fixture(loop_scope="session")
async def watched(logs: Logs, redis_url: str, prefix: str, shape: Shape) -> AsyncIterator[Stage]:
    async with stage(logs, redis_url, prefix, shape, settings={"SIGNOFF_METRICS_TOKEN": TOKEN}) as found:
        yield found


async def read(url: str, token: str = TOKEN) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics", headers=headers) as answer:
        return answer.status, await answer.text()


async def test_figures_follow_what_happens(watched: Stage) -> None:
    room = watched.room()
    draft = await room.started(ANA, "/quick-approve figures")
    _, waiting = await read(watched.bot.url)
    await room.press(BEN, draft, "Yes")
    await room.result()
    await watched.idle()
    _, over = await read(watched.bot.url)

    assert "signoff_store_up 1.0" in waiting
    assert "signoff_runs 1.0" in waiting
    assert "signoff_questions 1.0" in waiting
    assert 'message="run started"' in waiting
    assert "signoff_questions 0.0" in over
    assert "signoff_runs 0.0" in over
    assert 'message="answer judged",verdict="Accepted"} 1.0' in over
    assert "signoff_answer_seconds_count" in over


async def test_nobody_reads_them_without_the_token(watched: Stage) -> None:
    """Security 11."""
    assert (await read(watched.bot.url, token=""))[0] == 401
    assert await read(watched.bot.url, token="another-token") == (401, "401: Unauthorized")


async def test_without_a_token_there_are_none(shared_stage: Stage) -> None:
    """Security 11."""
    assert (await read(shared_stage.bot.url))[0] == 404


@only(HTTP_FLEET, because="it is about a worker, which nobody else can ask")
async def test_a_worker_shows_its_own_at_a_port_of_their_own(watched: Stage, logs: Logs, prefix: str) -> None:
    """Security 11."""
    port = free_port()
    settings = {**watched.bot.environment, "SIGNOFF_METRICS_PORT": str(port)}
    worker = BotProcess(settings, logs.path(prefix), ("worker",))
    await worker.start()
    try:
        status, told = await read(f"http://127.0.0.1:{port}")
        beside, _ = await read(f"http://127.0.0.1:{port}", token="")
    finally:
        await worker.terminate()

    assert (status, beside) == (200, 401)
    assert "signoff_store_up 1.0" in told


@only(HTTP_FLEET, because="one shape shows it")
async def test_where_they_have_a_port_they_are_not_beside_slacks_requests(watched: Stage, logs: Logs) -> None:
    """Security 11."""
    port = free_port()
    bot = BotProcess({**watched.bot.environment, "SIGNOFF_METRICS_PORT": str(port)}, logs.path("apart"))
    await bot.start()
    try:
        assert (await read(bot.url))[0] == 404
        assert (await read(f"http://127.0.0.1:{port}"))[0] == 200
    finally:
        await bot.kill()
