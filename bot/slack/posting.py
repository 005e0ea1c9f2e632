"""One effect, one visible message: post it, or adopt what an earlier attempt has posted; delete what is too much."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from slack_sdk.errors import SlackApiError

from bot.payloads.events import thread_link
from bot.slack.calls import UNCLEAR, SlackCalls, code, is_passing
from bot.slack.pace import HeldBack
from bot.views import blocks
from engine.errors import ContextSerdeError
from engine.run_store import AskRecord, EffectClaim, RunRecord, RunStore

logger = logging.getLogger(__name__)

ATTEMPTS_S = 600.0
"""How long before the message that counts another attempt may have posted it: whoever comes later looks first."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message goes: a conversation, and a thread in it or ""."""

    channel: str
    thread_ts: str = ""


class Posting:
    """Puts messages where they belong, once each."""

    def __init__(self, slack: SlackCalls, store: RunStore) -> None:
        self._slack = slack
        self._store = store

    async def post(self, claim: EffectClaim, place: Place, message: blocks.Message) -> str:
        """Do an effect that is one message, and return the reference of the one that counts."""
        ref = await self.put(claim, place, message)
        counts = await self._store.finish_effect(claim, ref)
        if counts != ref:
            await self._slack.delete(claim.run.tenant, ref)
        return counts

    async def put(self, claim: EffectClaim, place: Place, message: blocks.Message) -> str:
        """Post a message unless an earlier attempt has; the effect is still owed."""
        return await self._put(claim.run, claim.ask, claim.effect_id, place, message, look=claim.again)

    async def put_instead(self, claim: EffectClaim, place: Place, message: blocks.Message) -> None:
        """Post what is told in the place of an effect that cannot be done, once; replies below it answer nothing."""
        name = f"instead:{claim.effect_id}"
        ref, place = await self._posted(claim.run, claim.ask, name, place, message, look=claim.again)
        await self._attach(claim.run, name, place, ref, message, look=claim.again)

    async def is_posted(self, claim: EffectClaim, place: Place) -> bool:
        """Tell whether an earlier attempt has posted an effect there."""
        return await self._find(claim.run, claim.ask, claim.effect_id, place) is not None

    async def put_again(self, run: RunRecord, ask: AskRecord, gone: str, place: Place, message: blocks.Message) -> None:
        """Post what a message showed that somebody has deleted, once."""
        ref = await self._put(run, ask, f"again:{gone}", place, message, look=True)
        await self._store.replace_message(run.run_id, ask.ask_id, gone, ref)
        logger.info("message posted again", extra={"run_id": run.run_id, "gone": gone, "ref": ref})

    async def repair(self, run_id: str, effect_id: str, counts: str) -> None:
        """Delete every copy of an effect but the one that counts."""
        run = await self._store.run(run_id)
        if run is None:
            await self._store.settle(run_id, effect_id, counts)
            return
        try:
            found = await self._all_of(run, effect_id, counts)
            for ref in [one for one in found if one != counts] + await self._repeated(run, effect_id, counts):
                await self._slack.delete(run.tenant, ref)
        except SlackApiError as error:
            if is_passing(error):
                return
            logger.info("cannot look for second copies", extra={"run_id": run_id, "reason": code(error)})
        except (HeldBack, ContextSerdeError, *UNCLEAR):
            return
        await self._store.settle(run_id, effect_id, counts)

    async def _all_of(self, run: RunRecord, effect_id: str, counts: str) -> list[str]:
        """Return every message that is an effect, in a conversation itself and in the run's thread if it is there."""
        channel, _, ts = counts.partition(":")
        since = float(ts) - ATTEMPTS_S
        found = await self._slack.copies(run, effect_id, channel, "", since)
        thread_channel, _, thread_ts = run.thread.partition(":")
        if thread_channel == channel:
            found += (await self._copies(run, effect_id, Place(channel, thread_ts), since))[0]
        return list(dict.fromkeys(found))

    async def _repeated(self, run: RunRecord, effect_id: str, counts: str) -> list[str]:
        """Return all but the first of a reminder below each message of its question; the one that counts is elsewhere.

        Raises:
            ContextSerdeError: the question was sealed with a key that is not here.
        """
        kind, _, rest = effect_id.partition(":")
        ask = await self._store.ask(run.run_id, rest.rpartition(":")[0]) if kind in ("remind", "escalate") else None
        found: list[str] = []
        for channel, _, ts in (ref.partition(":") for ref in (() if ask is None else ask.messages)):
            if channel != counts.partition(":")[0]:
                found += (await self._copies(run, effect_id, Place(channel, ts), float(ts)))[0][1:]
        return found

    async def _copies(self, run: RunRecord, name: str, place: Place, since: float) -> tuple[list[str], Place]:
        """Return the messages that are one effect, oldest first, and where they stand.

        What was meant for a thread that was deleted Slack has put into the channel itself.
        """
        try:
            return await self._slack.copies(run, name, place.channel, place.thread_ts, since), place
        except SlackApiError as error:
            if code(error) != "thread_not_found":
                raise
        place = Place(place.channel)
        return await self._slack.copies(run, name, place.channel, "", since), place

    async def _link(self, run: RunRecord, place: Place, ref: str) -> None:
        """Let replies below a message that begins a thread be answers."""
        if not place.thread_ts:
            await self._store.link(thread_link(run.tenant, *ref.split(":")), run.run_id)

    async def _put(
        self, run: RunRecord, ask: AskRecord | None, name: str, place: Place, message: blocks.Message, *, look: bool
    ) -> str:
        """Let a message stand somewhere, whole, and return its reference."""
        ref, place = await self._posted(run, ask, name, place, message, look=look)
        await self._link(run, place, ref)
        try:
            await self._attach(run, name, place, ref, message, look=look)
        except SlackApiError as error:
            if ask is not None and not is_passing(error):  # nobody shall decide on what they have read half of
                await self._slack.delete(run.tenant, ref)
            raise
        return ref

    async def _posted(
        self, run: RunRecord, ask: AskRecord | None, name: str, place: Place, message: blocks.Message, *, look: bool
    ) -> tuple[str, Place]:
        """Return a message's reference and where it stands; posted now, unless *look* finds that it was before."""
        found = await self._find(run, ask, name, place) if look else None
        return found or await self._send(run, ask, name, place, message)

    async def _send(
        self, run: RunRecord, ask: AskRecord | None, name: str, place: Place, message: blocks.Message
    ) -> tuple[str, Place]:
        """Post a message and return its reference, and where it has come to stand."""
        metadata = blocks.metadata(run.run_id, "" if ask is None else ask.ask_id, name)
        ref, thread_ts = await self._slack.post(run.tenant, place.channel, place.thread_ts, message, metadata)
        return ref, Place(place.channel, thread_ts)

    async def _attach(
        self, run: RunRecord, name: str, place: Place, ref: str, message: blocks.Message, *, look: bool
    ) -> None:
        """Put what a message does not hold into its thread, unless an earlier attempt has: then *look* there first."""
        if message.overflow is None:
            return
        thread_ts, file = place.thread_ts or ref.partition(":")[2], f"{name.replace(':', '-')}.md"
        if not look or not await self._has_file(run, place.channel, thread_ts, file):
            title, text = message.overflow_title, message.overflow
            await self._slack.upload(run.tenant, place.channel, thread_ts, file, title, text)

    async def _has_file(self, run: RunRecord, channel: str, thread_ts: str, name: str) -> bool:
        try:
            return await self._slack.has_file(run.tenant, channel, thread_ts, name)
        except SlackApiError as error:
            if is_passing(error):
                raise
            return False  # we cannot look; to have it twice is better than not at all

    async def _find(self, run: RunRecord, ask: AskRecord | None, name: str, place: Place) -> tuple[str, Place] | None:
        """Return the reference of what an earlier attempt posted, and where it stands, or None."""
        since = run.created_at if ask is None else ask.opened_at
        try:
            found, place = await self._copies(run, name, place, since)
        except SlackApiError as error:
            if is_passing(error):
                raise
            # Without a history scope we cannot look; then a second copy of the same question is the lesser evil.
            extra = {"run_id": run.run_id, "effect": name, "reason": code(error)}
            logger.info("cannot look for an earlier copy", extra=extra)
            return None
        return (found[0], place) if found else None
