"""What every test may ask for: a real Redis, with a key prefix of its own.

`TEST_REDIS_URL` names a server to use instead of a private one; its keys are left behind then.
"""

import os
import secrets
from collections.abc import AsyncIterator, Iterator

import hypothesis
import pytest
from redis.asyncio import Redis

from tests import servers
from tests.integration.engine.stores import StoreWithClock, in_memory, in_redis

hypothesis.settings.register_profile("patient", deadline=None)  # a machine that has more to do fails no example
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one server for the whole run. Where it cannot be had, the test fails."""
    if url := os.environ.get("TEST_REDIS_URL"):
        yield url
        return
    with servers.server(tmp_path_factory.mktemp("valkey")) as found:
        yield found.url


@pytest.fixture(scope="session")
def cluster_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[servers.Running]]:
    """A cluster of three masters for the whole run."""
    with servers.cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


@pytest.fixture(scope="session")
def cluster_url(cluster_nodes: list[servers.Running]) -> str:
    """The address of that cluster."""
    return cluster_nodes[0].url.replace("redis://", "redis+cluster://")


@pytest.fixture
def prefix() -> str:
    """Begins the name of each key this test writes, and of no other test's."""
    return f"t{secrets.token_hex(5)}"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client that answers in bytes, closed after the test."""
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(params=["memory", "redis"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[StoreWithClock]:
    """A run store with a clock that a test can move: each test that asks for it runs on both."""
    if request.param == "memory":
        yield in_memory()
        return
    async with in_redis(request.getfixturevalue("redis_url"), request.getfixturevalue("prefix")) as found:
        yield found
