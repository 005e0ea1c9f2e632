"""The real bot as a process of its own, a real Redis, and a Slack that is fake but speaks HTTP and WebSocket.

All of it lives on one event loop, the session's: tests here say
``pytestmark = pytest.mark.asyncio(loop_scope="session")``. What is expensive to start is shared, and
each test has a channel of its own; who kills bots sets up a `stage` of its own.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.e2e.stage import SECRETS, Logs, Room, Stage, stage

everywhere = pytest.mark.parametrize("room", ["http", "socket", "fleet"], indirect=True)
"""For what has to hold however processes share the work."""


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logs]:
    found = Logs(tmp_path_factory.mktemp("logs"))
    yield found
    _nothing_leaked(found.news())


@pytest.fixture(autouse=True)
def bots_are_discreet(logs: Logs) -> Iterator[None]:
    """After every test: no bot has logged a traceback or a secret."""
    yield
    _nothing_leaked(logs.news())


def _nothing_leaked(logged: str) -> None:
    assert "Traceback" not in logged, logged
    assert "never retrieved" not in logged, logged
    for secret in SECRETS:
        assert secret not in logged


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def over_http(logs: Logs, redis_url: str) -> AsyncIterator[Stage]:
    """Two bots that share the work; Slack sends its requests to the first."""
    async with stage(logs, redis_url, "e2e-http", bots=2) as found:
        yield found
        await _left_clean(found)


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def over_socket(logs: Logs, redis_url: str) -> AsyncIterator[Stage]:
    async with stage(logs, redis_url, "e2e-socket", socket_mode=True) as found:
        yield found
        await _left_clean(found)


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def over_fleet(logs: Logs, redis_url: str) -> AsyncIterator[Stage]:
    """One process takes Slack's requests, two others do the work."""
    fleet = (("serve", "--no-worker"), ("worker",), ("worker",))
    async with stage(logs, redis_url, "e2e-fleet", bots=fleet) as found:
        yield found
        await _left_clean(found)


async def _left_clean(found: Stage) -> None:
    """Redis keeps nothing for ever but what open runs need."""
    await found.idle()
    assert await found.store.leftovers() == []


@pytest.fixture(params=["http", "socket"])
def room(request: pytest.FixtureRequest) -> Iterator[Room]:
    """A channel of its own; the test runs over both transports, and in a fleet, too, if it says `everywhere`."""
    found: Stage = request.getfixturevalue(f"over_{request.param}")
    yield found.room()
    check_stage(found)


@pytest.fixture
def http_room(over_http: Stage) -> Iterator[Room]:
    yield over_http.room()
    check_stage(over_http)


@pytest_asyncio.fixture(loop_scope="session")
async def own_stage(logs: Logs, redis_url: str, prefix: str) -> AsyncIterator[Stage]:
    """One bot of its own, to be killed."""
    async with stage(logs, redis_url, prefix) as found:
        yield found
        check_stage(found)


def check_stage(found: Stage) -> None:
    """Nothing technical has come before people's eyes or to Slack; no fault is left for the next test."""
    found.slack.faults.clear()
    for messages in found.slack.workspace.messages.values():
        for message in messages:
            assert "Traceback" not in f"{message.text} {json.dumps(message.blocks)}"
    for exchange in found.slack.log:
        if exchange.direction == "slack→bot":
            assert "Traceback" not in json.dumps(exchange.response, default=str)
