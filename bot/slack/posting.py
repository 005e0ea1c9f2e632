"""One effect, one visible message: post it, or adopt what an earlier attempt has posted; delete what is too much."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from slack_sdk.errors import SlackApiError

from bot.payloads.events import thread_link
from bot.slack.calls import UNCLEAR, SlackCalls, code, is_passing
from bot.slack.pace import HeldBack
from bot.views import blocks
from engine.run_store import AskRecord, EffectClaim, RunRecord, RunStore

logger = logging.getLogger(__name__)


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
        ref = await self.find(claim, place) if claim.again else None
        ref = ref or await self._send(claim.run, claim.ask, claim.effect_id, place, message)
        await self._link(claim.run, place, ref)
        return ref

    async def find(self, claim: EffectClaim, place: Place) -> str | None:
        """Return the reference of what an earlier attempt posted, or None."""
        return await self._find(claim.run, claim.effect_id, place)

    async def put_again(self, run: RunRecord, ask: AskRecord, gone: str, place: Place, message: blocks.Message) -> None:
        """Post what a message showed that somebody has deleted, once."""
        name = f"again:{gone}"
        ref = await self._find(run, name, place) or await self._send(run, ask, name, place, message)
        await self._link(run, place, ref)
        await self._store.replace_message(run.run_id, ask.ask_id, gone, ref)
        logger.info("message posted again", extra={"run_id": run.run_id, "gone": gone, "ref": ref})

    async def repair(self, run_id: str, effect_id: str, counts: str) -> None:
        """Delete every copy of an effect but the one that counts."""
        run = await self._store.run(run_id)
        if run is None:
            await self._store.settle(run_id, effect_id, counts)
            return
        try:
            for ref in await self._all_of(run, effect_id, counts.partition(":")[0]):
                if ref != counts:
                    await self._slack.delete(run.tenant, ref)
        except SlackApiError as error:
            logger.info("cannot look for second copies", extra={"run_id": run_id, "reason": code(error)})
        except (HeldBack, *UNCLEAR):
            return
        await self._store.settle(run_id, effect_id, counts)

    async def _all_of(self, run: RunRecord, effect_id: str, channel: str) -> list[str]:
        """Return every message that is an effect, in a conversation itself and in the run's thread if it is there."""
        found = await self._slack.copies(run, effect_id, channel, "")
        thread_channel, _, thread_ts = run.thread.partition(":")
        if thread_channel == channel:
            found += await self._slack.copies(run, effect_id, channel, thread_ts)
        return list(dict.fromkeys(found))

    async def _link(self, run: RunRecord, place: Place, ref: str) -> None:
        """Let replies below a message that begins a thread be answers."""
        if not place.thread_ts:
            await self._store.link(thread_link(run.tenant, *ref.split(":")), run.run_id)

    async def _send(
        self, run: RunRecord, ask: AskRecord | None, name: str, place: Place, message: blocks.Message
    ) -> str:
        metadata = blocks.metadata(run.run_id, "" if ask is None else ask.ask_id, name)
        return await self._slack.post(run.tenant, place.channel, place.thread_ts, message, metadata)

    async def _find(self, run: RunRecord, name: str, place: Place) -> str | None:
        try:
            return next(iter(await self._slack.copies(run, name, place.channel, place.thread_ts)), None)
        except SlackApiError as error:
            if is_passing(error):
                raise
            # Without a history scope we cannot look; then a second copy of the same question is the lesser evil.
            extra = {"run_id": run.run_id, "effect": name, "reason": code(error)}
            logger.info("cannot look for an earlier copy", extra=extra)
            return None
