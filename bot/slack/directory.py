"""What Slack knows of people: which language they read, whether they belong here, which groups they are in.

What was read a while ago will do for showing. Whoever decides something has it read anew: for that, only what Slack
said in the last seconds counts.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from weakref import WeakValueDictionary

from slack_sdk.errors import SlackApiError

from bot.languages import ENGLISH, Catalogue, catalogue
from bot.slack.calls import UNCLEAR, code
from bot.slack.workspaces import Workspaces
from bot.slack_ids import is_direct, is_group

logger = logging.getLogger(__name__)

FRESH_S = 5.0
"""How old what Slack said may be for a decision. `usergroups.users.list` may be called 20 times a minute."""
KEPT_S = 600.0
"""How old it may be for showing."""
KEPT = 10_000
"""How many people and groups are kept."""
LIMIT_S = 2.2
"""How long Slack may take to answer: the acknowledgement of a click waits for it."""
PAGE = 999  # a limit has to be under 1000: docs.slack.dev/reference/methods/conversations.members

_UNKNOWN = {"user_not_found", "user_not_visible", "users_not_found"}
_NO_GROUP = {"no_such_subteam", "subteam_not_found"}
T = TypeVar("T")


class Unchecked(Exception):
    """Slack did not say, or not in time, what has to be known to decide."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as Slack describes them to one workspace."""

    user: str
    locale: str = ""
    deactivated: bool = False
    is_bot: bool = False
    is_guest: bool = False
    is_stranger: bool = False
    """Of another workspace; here through a shared channel."""


@dataclass(frozen=True, slots=True)
class Decider:
    """Somebody who decides: *person*, and those of a question's *groups* that they are in."""

    person: Person
    groups: frozenset[str]


class Directory:
    """Asks Slack, and remembers the answers for a while."""

    def __init__(
        self, workspaces: Workspaces, *, words: Catalogue = ENGLISH, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """*words* are for what several people read, and for whose language is not known yet; *clock* tells seconds."""
        self._workspaces = workspaces
        self._words = words
        self._clock = clock
        self._kept: dict[tuple[str, ...], tuple[float, object]] = {}
        self._locks: WeakValueDictionary[tuple[str, ...], asyncio.Lock] = WeakValueDictionary()

    # --- for showing -----------------------------------------------------------------------------

    def words(self, tenant: str, user: str) -> Catalogue:
        """Return the words for somebody, by what is known of them now: it asks nobody."""
        _, person = self._kept.get(("person", tenant, user), (0.0, None))
        return catalogue(person.locale) if isinstance(person, Person) and person.locale else self._words

    def knows(self, tenant: str, user: str) -> bool:
        """Tell whether `words` are somebody's own."""
        return self._young(("person", tenant, user), KEPT_S)

    async def learn(self, tenant: str, user: str) -> Catalogue:
        """Return the words for somebody, looked up unless they are known."""
        try:
            if not self.knows(tenant, user):
                await self.person(tenant, user)
        except Unchecked as error:
            logger.info("language not looked up", extra={"reason": str(error)})
        return self.words(tenant, user)

    async def words_in(self, tenant: str, channel: str, reader: str = "") -> Catalogue:
        """Return the words for a conversation: where the bot talks with one person, theirs.

        *reader* is that person, if it is known who; else Slack is asked, once for each conversation.
        """
        if not is_direct(channel):
            return self._words
        key = ("partner", tenant, channel)
        try:
            if reader:
                self._keep(key, reader, self._clock())
            async with _answered(channel):
                reader = await self._known(key, math.inf, lambda: self._partner(tenant, channel))
        except Unchecked as error:
            logger.info("language not looked up", extra={"reason": str(error)})
            return self._words
        return await self.learn(tenant, reader)

    async def names(self, tenant: str, user: str) -> tuple[str, ...]:
        """Return by which names questions are somebody's: their own, their groups' and their channels'.

        Raises:
            Unchecked: Slack does not say.
        """
        async with _answered(user):
            groups = await self._known(("groups", tenant), KEPT_S, lambda: self._all_groups(tenant))
            channels = await self._known(("channels", tenant, user), KEPT_S, lambda: self._channels_of(tenant, user))
        return (user, *(group for group, users in groups.items() if user in users), *channels)

    async def members(self, tenant: str, name: str) -> frozenset[str]:
        """Return who is in a user group or channel.

        Raises:
            Unchecked: Slack does not say.
        """
        async with _answered(name):
            return await self._members(tenant, name, KEPT_S)

    async def person(self, tenant: str, user: str) -> Person:
        """Return somebody as they were described last.

        Raises:
            Unchecked: Slack does not say.
        """
        async with _answered(user):
            return await self._person(tenant, user, KEPT_S)

    # --- for deciding ----------------------------------------------------------------------------

    async def check(self, tenant: str, user: str, names: Collection[str] = ()) -> Decider:
        """Return what is to be known of somebody who decides, and which of *names* are groups that they are in.

        Raises:
            Unchecked: Slack does not say.
        """
        async with _answered(user):
            groups = [name for name in names if is_group(name)]
            found = [name for name in groups if user in await self._members(tenant, name, FRESH_S)]
            return Decider(await self._person(tenant, user, FRESH_S), frozenset(found))

    def fresh(self, tenant: str, user: str) -> Person | None:
        """Return somebody who decides, if what is known of them is fresh enough for that: it asks nobody."""
        key = ("person", tenant, user)
        return cast("Person", self._kept[key][1]) if self._young(key, FRESH_S) else None

    async def people(self, tenant: str, names: Collection[str]) -> frozenset[str]:
        """Return the people that *names* stand for, with those of groups, without those whose accounts have ended.

        Raises:
            Unchecked: Slack does not say.
        """
        found: set[str] = set()
        for name in names:
            async with _answered(name):
                if is_group(name):  # Slack takes whoever is deactivated out of it
                    found |= await self._members(tenant, name, 0)
                elif not (await self._person(tenant, name, 0)).deactivated:
                    found.add(name)
        return frozenset(found)

    def forget(self, tenant: str, name: str) -> None:
        """Forget what is kept of a person or a group, since it has changed."""
        for kind in ("person", "members"):
            self._kept.pop((kind, tenant, name), None)

    # --- what is kept ----------------------------------------------------------------------------

    def _young(self, key: tuple[str, ...], max_age_s: float) -> bool:
        return key in self._kept and self._clock() - self._kept[key][0] <= max_age_s

    async def _known(self, key: tuple[str, ...], max_age_s: float, read: Callable[[], Awaitable[T]]) -> T:
        """Return what is kept if it is young enough; else read it, once for all who wait for it."""
        if self._young(key, max_age_s):
            return cast("T", self._kept[key][1])
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            if self._young(key, max_age_s):
                return cast("T", self._kept[key][1])
            at, value = self._clock(), await read()
            self._keep(key, value, at)
            return value

    def _keep(self, key: tuple[str, ...], value: object, at: float) -> None:
        self._kept.pop(key, None)
        self._kept[key] = at, value
        while len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]

    async def _person(self, tenant: str, user: str, max_age_s: float) -> Person:
        return await self._known(("person", tenant, user), max_age_s, lambda: self._described(tenant, user))

    async def _members(self, tenant: str, name: str, max_age_s: float) -> frozenset[str]:
        """Return who is in a user group (``S...``) or channel; nobody, if there is no such group."""
        read = self._group_members if name.startswith("S") else self._channel_members
        return await self._known(("members", tenant, name), max_age_s, lambda: read(tenant, name))

    # --- what Slack says -------------------------------------------------------------------------

    async def _described(self, tenant: str, user: str) -> Person:
        client = await self._workspaces.client(tenant)
        try:
            info = (await client.users_info(user=user, include_locale=True))["user"]
        except SlackApiError as error:
            if code(error) not in _UNKNOWN:
                raise
            return Person(user, is_stranger=True)
        return _person_of(tenant, user, info)

    async def _partner(self, tenant: str, channel: str) -> str:
        """Return with whom the bot talks there. `conversations.info` tells it, too, but takes another scope."""
        client = await self._workspaces.client(tenant)
        return str((await client.conversations_open(channel=channel, return_im=True))["channel"]["user"])

    async def _group_members(self, tenant: str, group: str) -> frozenset[str]:
        client = await self._workspaces.client(tenant)
        try:
            return frozenset((await client.usergroups_users_list(usergroup=group, team_id=_team(tenant)))["users"])
        except SlackApiError as error:
            if code(error) not in _NO_GROUP:
                raise
            logger.warning("a user group that may answer does not exist", extra={"group": group})
            return frozenset()

    async def _channel_members(self, tenant: str, channel: str) -> frozenset[str]:
        client = await self._workspaces.client(tenant)
        return frozenset([user async for user in _pages(client.conversations_members, "members", channel=channel)])

    async def _all_groups(self, tenant: str) -> Mapping[str, Collection[str]]:
        client = await self._workspaces.client(tenant)
        groups = (await client.usergroups_list(include_users=True, team_id=_team(tenant)))["usergroups"]
        return {str(group["id"]): frozenset(group.get("users", ())) for group in groups}

    async def _channels_of(self, tenant: str, user: str) -> tuple[str, ...]:
        client = await self._workspaces.client(tenant)
        kinds = "public_channel,private_channel"
        found = _pages(
            client.users_conversations, "channels", user=user, types=kinds, exclude_archived=True, team_id=_team(tenant)
        )
        return tuple([str(channel["id"]) async for channel in found])


def _team(tenant: str) -> str | None:
    """Return the workspace to look in, which the token of an organisation does not say."""
    return tenant if tenant.startswith("T") else None


@asynccontextmanager
async def _answered(user: str) -> AsyncIterator[None]:
    """Give Slack its time, and say so if it did not answer.

    Raises:
        Unchecked: it did not.
    """
    try:
        async with asyncio.timeout(LIMIT_S):
            yield
    except SlackApiError as error:
        raise Unchecked(f"Slack says {code(error)} of {user}") from error
    except UNCLEAR as error:
        raise Unchecked(f"Slack says nothing of {user}: {error!r}") from error


async def _pages(call: Callable[..., Awaitable[Any]], what: str, **arguments: Any) -> AsyncIterator[Any]:
    cursor = ""
    while True:
        page = await call(**arguments, limit=PAGE, **({"cursor": cursor} if cursor else {}))
        for item in page[what]:
            yield item
        cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
        if not cursor:
            return


def _person_of(tenant: str, user: str, info: Mapping[str, Any]) -> Person:
    organisation = info.get("enterprise_user") or {}
    homes = {info.get("team_id"), organisation.get("enterprise_id"), *organisation.get("teams", ())}
    return Person(
        user,
        locale=str(info.get("locale") or ""),
        deactivated=bool(info.get("deleted")),
        is_bot=bool(info.get("is_bot")) or user == "USLACKBOT",
        is_guest=bool(info.get("is_restricted") or info.get("is_ultra_restricted")),
        is_stranger=bool(info.get("is_stranger")) or tenant not in homes,
    )
