"""Which server a key is on, and the connection to it: one server, the master that Sentinel names, or a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from copy import copy
from typing import Any, Protocol
from urllib.parse import unquote

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.connection import AbstractConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ServerGone
from redis.exceptions import RedisError

from engine.redis.pipe import Pipe

SENTINEL_PORT = 26_379
_OUT_OF_REACH = (RedisError, OSError)


class Connections(Protocol):
    """Connects to the servers of a store, once to each."""

    async def pipe(self, key: str) -> Pipe:
        """Return the connection to the server that has *key*.

        Raises:
            ConnectionError, TimeoutError: of redis-py: it cannot be reached.
        """

    async def every(self) -> Sequence[Pipe]:
        """Return the connection to each server that has keys."""

    async def moved(self, to: str) -> Pipe | None:
        """A key has moved to the server at address *to*: look again where keys are. None if that is never so."""

    async def close(self) -> None:
        """Close every connection."""


class _Kept:
    """A connection that is made when it is first needed, and anew when it was lost."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[AbstractConnection]],
        give_back: Callable[[AbstractConnection], Awaitable[None]],
        timeout_s: float,
    ) -> None:
        self._connect = connect
        self._give_back = give_back
        self._timeout_s = timeout_s
        self._pipe: Pipe | None = None
        self._lock = asyncio.Lock()
        self._failures: list[Exception] = []

    async def pipe(self) -> Pipe:
        """Return the connection. Who comes while it is being made fails with it: each would wait as long again."""
        pipe = self._pipe
        if pipe is not None and not pipe.closed:
            return pipe
        failures = self._failures
        async with self._lock:
            if failures:
                raise copy(failures[0])
            if self._pipe is None or self._pipe.closed:
                await self._drop()
                self._pipe = await self._made()
            return self._pipe

    async def _made(self) -> Pipe:
        try:
            return Pipe(await self._connect(), self._timeout_s)
        except _OUT_OF_REACH as error:
            self._failures.append(error)
            raise
        finally:
            self._failures = []

    async def close(self) -> None:
        async with self._lock:
            await self._drop()

    async def _drop(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.end(ServerGone("the store was closed"))
            await pipe.connection.disconnect(nowait=True)
            await self._give_back(pipe.connection)


class OneServer:
    """A plain server, or the master that Sentinel names: *client* knows which."""

    def __init__(self, client: Redis, timeout_s: float, watchers: Sequence[Redis] = ()) -> None:
        self._clients = [client, *watchers]
        pool = client.connection_pool
        pool.make_connection()  # type: ignore[no-untyped-call]  # it connects nowhere, and tells of an option that there is not
        self._kept = _Kept(pool.get_connection, pool.release, timeout_s)

    def pipe(self, key: str) -> Coroutine[Any, Any, Pipe]:
        return self._kept.pipe()

    async def every(self) -> Sequence[Pipe]:
        return [await self._kept.pipe()]

    async def moved(self, to: str) -> Pipe | None:
        return None

    async def close(self) -> None:
        await self._kept.close()
        for client in self._clients:
            await client.aclose()


class Cluster:
    """The servers of a Redis Cluster, each with the slots it has; who cannot be reached may have been replaced."""

    def __init__(self, client: RedisCluster, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._kept: dict[str, _Kept] = {}
        self._lock = asyncio.Lock()
        self._looks = 0
        """How often it was looked who has which slots since the first time."""

    async def pipe(self, key: str) -> Pipe:
        async with self._lock:
            await self._client.initialize()
        looks = self._looks
        try:
            return await self._to(self._client.get_node_from_key(key))
        except _OUT_OF_REACH:
            await self._look_again(looks)
            return await self._to(self._client.get_node_from_key(key))

    async def every(self) -> Sequence[Pipe]:
        async with self._lock:
            await self._client.initialize()
        looks = self._looks
        try:
            return [await self._to(node) for node in self._client.get_primaries()]
        except _OUT_OF_REACH:
            await self._look_again(looks)
            return [await self._to(node) for node in self._client.get_primaries()]

    async def moved(self, to: str) -> Pipe | None:
        await self._look_again(self._looks)
        node = self._client.get_node(node_name=to)
        return None if node is None else await self._to(node)

    async def close(self) -> None:
        for kept in self._kept.values():
            await kept.close()
        await self._client.aclose()

    async def _look_again(self, looks: int) -> None:
        """Look who has which slots, unless it was looked since *looks* was read: many may miss one server at once."""
        async with self._lock:
            if self._looks == looks:
                self._looks += 1
                await self._client.nodes_manager.initialize()

    async def _to(self, node: Any) -> Pipe:
        if node.name not in self._kept:

            async def connect() -> AbstractConnection:
                connection: AbstractConnection = node.acquire_connection()
                try:
                    await connection.connect()  # type: ignore[no-untyped-call]
                except BaseException:
                    node.release(connection)
                    raise
                return connection

            async def give_back(connection: AbstractConnection) -> None:
                node.release(connection)

            self._kept[node.name] = _Kept(connect, give_back, self._timeout_s)
        return await self._kept[node.name].pipe()


def connections_to(url: str, timeout_s: float) -> Connections:
    """Return the connections that *url* asks for; nothing is connected yet.

    ``redis://``, ``rediss://`` (TLS) and ``unix://`` name one server. ``redis+sentinel://host,host/service/0``
    names Sentinels and the service they watch; ``redis+cluster://host`` any server of a cluster. With ``rediss``
    in place of ``redis`` both speak TLS. Options of redis-py may follow, such as ``?ssl_ca_certs=/path``; Sentinels
    are given those of TLS, and ``sentinel_username`` and ``sentinel_password``.

    Raises:
        ValueError: it is none of these, or has an option that there is not.
    """
    try:
        return _connections(url, timeout_s)
    except TypeError as error:
        raise ValueError(f"redis-py {str(error).rpartition('() ')[2]}") from None


def _connections(url: str, timeout_s: float) -> Connections:
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    scheme, plus, kind = url.partition("://")[0].partition("+")
    if not plus:
        return OneServer(Redis.from_url(url, **options), timeout_s)
    plain = url.replace(f"{scheme}+{kind}", scheme, 1)
    if kind == "cluster" and scheme in ("redis", "rediss"):
        return Cluster(RedisCluster.from_url(plain, **options), timeout_s)
    if kind == "sentinel" and scheme in ("redis", "rediss"):
        return _through_sentinel(plain, options, timeout_s)
    raise ValueError(f"{scheme}+{kind}:// is no address of Redis; use redis://, redis+sentinel:// or redis+cluster://")


def _through_sentinel(url: str, options: dict[str, Any], timeout_s: float) -> OneServer:
    """Read ``redis://user:password@host:port,host:port/service/db?sentinel_password=...``."""
    scheme, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    where, _, path = place.partition("/")
    credentials, _, hosts = where.rpartition("@")
    username, _, password = map(unquote, credentials.partition(":"))
    service, _, database = path.strip("/").partition("/")
    if not service:
        raise ValueError("an address of Sentinel names its service: redis+sentinel://host:26379/mymaster")
    asked: dict[str, Any] = {**parse_url(f"redis:///?{query}")}
    sentinels = {name: asked.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    options = {**options, "ssl": scheme == "rediss"}
    tls = {name: value for name, value in asked.items() if name.startswith("ssl_")}
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        [_address(host) for host in hosts.split(",")], sentinel_kwargs={**options, **tls, **sentinels}, **options
    )
    master: Redis = sentinel.master_for(
        service, **{**asked, "username": username or None, "password": password or None, "db": int(database or 0)}
    )
    return OneServer(master, timeout_s, sentinel.sentinels)


def _address(host: str) -> tuple[str, int]:
    name, colon, port = host.rpartition(":")
    if colon and not port.endswith("]"):
        return name.strip("[]"), int(port)
    return host.strip("[]"), SENTINEL_PORT
