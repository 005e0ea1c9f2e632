"""The real bot as a process of its own, a real Redis, and a Slack that is fake but speaks HTTP and WebSocket.

All of it lives on one event loop, the session's: tests here say
``pytestmark = pytest.mark.asyncio(loop_scope="session")``. What is expensive to start is shared, and
each test has a channel of its own; who kills bots or has settings of their own sets up a `stage` for that. Whatever a
test plays on has the `shape` whose turn it is.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import pytest
import pytest_asyncio

from tests.e2e.shapes import Shape, shapes_of
from tests.e2e.stage import PLUGINS, SECRETS, Logs, Room, Stage, stage


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Play a test that has a shape in all it is to be played in; whatever has one shape follows on another."""
    if "shape" in metafunc.fixturenames:
        shapes = shapes_of(metafunc.definition)
        metafunc.parametrize("shape", shapes, indirect=True, scope="session", ids=[shape.name for shape in shapes])


@pytest.fixture(scope="session")
def shape(request: pytest.FixtureRequest) -> Shape:
    found: Shape = request.param
    return found


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
async def shared_stage(logs: Logs, redis_url: str, shape: Shape) -> AsyncIterator[Stage]:
    async with stage(logs, redis_url, f"e2e-{shape.name}", shape) as found:
        yield found
        await found.idle()
        assert await found.store.leftovers() == []


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def plugins_stage(logs: Logs, redis_url: str, shape: Shape) -> AsyncIterator[Stage]:
    """Over `PLUGINS`."""
    settings = {"SIGNOFF_WORKFLOWS": str(PLUGINS)}
    async with stage(logs, redis_url, f"e2e-plugins-{shape.name}", shape, settings=settings) as found:
        yield found
        await found.idle()
        assert await found.store.leftovers() == []


@pytest.fixture
def room(shared_stage: Stage) -> Iterator[Room]:
    """A channel of its own."""
    yield shared_stage.room()
    shared_stage.check()


class SetStage(Protocol):
    """As `stage`, on this test's Redis and in its shape."""

    def __call__(
        self, *, shape: Shape = ..., start: bool = True, settings: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[Stage]: ...


@pytest.fixture
def set_stage(logs: Logs, redis_url: str, prefix: str, shape: Shape) -> SetStage:
    """For bots with settings of their own."""
    return functools.partial(stage, logs, redis_url, prefix, shape=shape)


@pytest_asyncio.fixture(loop_scope="session")
async def own_stage(set_stage: SetStage) -> AsyncIterator[Stage]:
    """Bots that nobody else needs, to be killed."""
    async with set_stage() as found:
        yield found
