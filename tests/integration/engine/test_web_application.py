"""A workflow behind two routes of a web application: each request streams until the next question, or the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.unit.engine.test_lesson import IterativeReviewWorkflow, Site

Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    site, workflow = Site(), IterativeReviewWorkflow(timeout=3_600)

    async def start(request: web.Request) -> web.Response:
        return web.json_response(await site.start(workflow, request.query["topic"]))

    async def respond(request: web.Request) -> web.Response:
        return web.json_response(await site.respond(request.match_info["id"], request.query["response"]))

    app = web.Application()
    app.add_routes([web.post("/start-workflow", start), web.post("/respond/{id}", respond)])
    async with TestClient(TestServer(app)) as client:
        yield client


async def told(client: Client, path: str, **query: str) -> dict[str, Any]:
    async with client.post(path, params=query) as response:
        assert response.status == 200
        answer: dict[str, Any] = await response.json()
        return answer


async def test_a_run_goes_on_from_request_to_request(client: Client) -> None:
    """Behaviour 23."""
    started = await told(client, "/start-workflow", topic="birds")
    respond = f"/respond/{started['workflow_id']}"

    second = await told(client, respond, response="more")
    third = await told(client, respond, response="approve")

    assert started["prompt"] == "v1: On birds? "
    assert second == {"prompt": "v2: On birds, again? "}
    assert third == {"complete": True, "result": ["approved", "On birds, again", 2]}


async def test_visitors_share_a_workflow_and_nothing_else(client: Client) -> None:
    """Behaviour 24."""
    birds = await told(client, "/start-workflow", topic="birds")
    bees = await told(client, "/start-workflow", topic="bees")

    of_bees = await told(client, f"/respond/{bees['workflow_id']}", response="approve")
    of_birds = await told(client, f"/respond/{birds['workflow_id']}", response="approve")

    assert (of_bees["result"][1], of_birds["result"][1]) == ("On bees", "On birds")
