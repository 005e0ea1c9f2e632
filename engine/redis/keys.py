"""Names: run ids, lanes and the keys of both. What they hold is told in `engine.redis`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Iterable

SEEN_KEPT = 512
"""Deliveries in one generation; a run remembers this one and the one before."""

_LETTERS = b"abcdefghijklmnopqrstuvwxyz234567" * 8
"""Of base 32, one for each byte: `base64` takes four times as long as a byte string."""
_LANE = re.compile(r"k(\d{1,4})-")


def _lane_of_key(text: str, lanes: int) -> int:
    """Return the lane for *text*: its CRC-16 (XMODEM, as Redis Cluster hashes) modulo *lanes*."""
    return binascii.crc_hqx(text.encode(), 0) % lanes


def new_run_id(key: str | None, lanes: int) -> str:
    """Return ``k<lane>-<16 characters>``, 80 bits of *key*'s hash or of chance."""
    if key is None:
        token = secrets.token_bytes(16).translate(_LETTERS).decode()
    else:
        token = base64.b32encode(hashlib.blake2b(key.encode(), digest_size=10).digest()).decode().lower()
    return f"k{_lane_of_key(token, lanes)}-{token}"


def lane_of(run_id: str, lanes: int) -> int:
    """Return the lane written in *run_id*; an id that is not ours is hashed, and will not be found."""
    found = _LANE.match(run_id)
    return int(found[1]) if found else _lane_of_key(run_id, lanes)


def index_name(name: str) -> str:
    """Return a tenant or actor as it stands in the index `open`."""
    return name.replace("|", "\1")


def started_by(tenant: str, requester: str) -> str:
    """Return what a lane calls the index of one person's runs."""
    return f"by:{index_name(tenant)}|{requester}"


class Keys:
    """The names of one store, by prefix."""

    def __init__(self, prefix: str, lanes: int) -> None:
        if "{" in prefix or "}" in prefix:
            raise ValueError(f"key prefix {prefix!r} contains a brace; the hash tag is ours to set")
        if not 1 <= lanes <= 9_999:
            raise ValueError(f"lanes is {lanes}; it must be between 1 and 9999")
        self.prefix = prefix
        self.lanes = lanes

    def lane(self, lane: int) -> str:
        """Return what every key of *lane* begins with."""
        return f"{self.prefix}:{{{lane}}}:"

    def at(self, run_id: str, part: str) -> str:
        """Return one key of a run, as in ``at(run_id, "meta")``."""
        return self.beside(run_id, f"r:{run_id}:{part}")

    def beside(self, run_id: str, index: str) -> str:
        """Return one key of a run's lane, as in ``beside(run_id, "open")``."""
        return f"{self.lane(lane_of(run_id, self.lanes))}{index}"

    def ask(self, run_id: str, ask_id: str) -> str:
        return self.at(run_id, f"ask:{ask_id}")

    def of(self, run_id: str, asks: Iterable[str] = ()) -> list[str]:
        """Return the KEYS of a script on one run, in the order `common.lua` names them, then those of *asks*."""
        lane = self.lane(lane_of(run_id, self.lanes))
        run = f"{lane}r:{run_id}:"
        return [
            f"{lane}skew",
            f"{run}meta",
            f"{run}state",
            f"{run}inbox",
            f"{run}seen",
            f"{run}seen0",
            f"{run}memo",
            f"{run}outbox",
            f"{run}journal",
            f"{lane}ready",
            f"{lane}timers",
            f"{lane}outq",
            f"{lane}verify",
            f"{lane}open",
            f"{lane}live",
            f"{lane}over",
            *[f"{run}ask:{ask_id}" for ask_id in asks],
        ]

    def by(self, run_id: str, tenant: str, requester: str) -> str:
        """Return the index, in this run's lane, of the runs that *requester* has started."""
        return self.beside(run_id, started_by(tenant, requester))

    def link(self, ref: str) -> str:
        return f"{self.prefix}:link:{ref}"

    def used_lanes(self) -> str:
        return f"{self.prefix}:lanes"
