"""What every test may ask for: a real Redis, with a key prefix of its own.

`TEST_REDIS_URL` names a server to use instead of a private one; its keys are left behind then.
"""

import os
import secrets
import subprocess
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one server for the whole run. Where it cannot be had, the test fails."""
    if url := os.environ.get("TEST_REDIS_URL"):
        yield url
        return
    from bot.playground import valkey  # noqa: PLC0415 - tests of the engine run without the bot

    launch = valkey.plan(tmp_path_factory.mktemp("valkey"))
    # A plain subprocess: the server belongs to no test's event loop.
    with launch.spawning() as options:
        process = subprocess.Popen(launch.argv, **options)
    try:
        deadline = time.monotonic() + valkey.START_LIMIT_S
        while not valkey.answers(launch.url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise launch.failure("did not start")
            time.sleep(valkey.POLL_S)
        yield launch.url
    finally:
        process.terminate()
        try:
            process.wait(valkey.STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        launch.forget()


@pytest.fixture
def prefix() -> str:
    """Begins the name of each key this test writes, and of no other test's."""
    return f"t{secrets.token_hex(5)}"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client that answers in bytes, closed after the test."""
    async with Redis.from_url(redis_url) as client:
        yield client
