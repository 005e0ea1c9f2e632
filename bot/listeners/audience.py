"""Who has opened App Home, and which state of it they see; known to every process, for a month after the last time.

Two processes may draw somebody's Home at the same moment. Slack gives each state of a view a hash and refuses to put
another in the place of one it is not; so whoever draws first reads the hash, and then what is to be shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.views.home_view import Pages
from engine.redis.scripts import Server

KEPT_S = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Seen:
    """What somebody looks at: the hash of the view, "" if it is not known, and the pages they have turned to."""

    hash: str
    pages: Pages


class Audience:
    """Remembers it in Redis, one small key a person. Each method raises `StoreUnavailable`."""

    def __init__(self, server: Server, prefix: str) -> None:
        self._server = server
        self._prefix = prefix

    async def opened(self, tenant: str, user: str, view_hash: str) -> None:
        """Somebody looks at their Home, as it was last, if ever; they begin at its first pages."""
        await self._server.read("SET", self._key(tenant, user), f"0-0 {view_hash}", "EX", KEPT_S)

    async def shown(self, tenant: str, user: str, seen: Seen) -> None:
        """Their Home has changed; nothing if they have not opened it for long."""
        value = f"{seen.pages.encode()} {seen.hash}"
        await self._server.read("SET", self._key(tenant, user), value, "XX", "KEEPTTL")

    async def seen(self, tenant: str, user: str) -> Seen | None:
        """Return what somebody looks at; None if they have not opened their Home for long."""
        found: bytes | None = await self._server.read("GET", self._key(tenant, user))
        if found is None:
            return None
        pages, _, view_hash = found.decode().partition(" ")
        return Seen(view_hash, Pages.decode(pages))

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._server.close()

    def _key(self, tenant: str, user: str) -> str:
        return f"{self._prefix}:home:{tenant}:{user}"
