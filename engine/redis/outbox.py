"""Effects: what the surface owes the world, done once each as far as the world allows."""

from __future__ import annotations

from engine.redis.keys import Keys
from engine.redis.rows import ask_record, pairs, run_record
from engine.redis.scripts import Server
from engine.run_store import EffectClaim


def _ask_in(effect_id: str) -> str:
    """Return the ask an effect's id names, as in ``lock:<ask>`` or ``remind:<ask>:<n>``; a guess."""
    kind, _, rest = effect_id.partition(":")
    if kind in ("remind", "escalate", "update", "copy"):
        return rest.rpartition(":")[0]
    if kind == "prompt" and (found := rest.rpartition(":"))[2].isdecimal() and found[0]:
        return found[0]  # prompt:<ask>:<revision>
    return rest if kind in ("prompt", "lock") else ""


class Outbox:
    """The verbs of `RedisRunStore` on one effect."""

    _keys: Keys
    _server: Server

    async def claim_effect(self, run_id: str, effect_id: str, lease_s: float) -> EffectClaim | None:
        guess = _ask_in(effect_id)
        keys = self._keys.of(run_id, [guess] if guess else [])
        taken = await self._server.run("out_claim", keys, run_id, effect_id, lease_s, guess)
        if taken is None:
            return None
        attempt, body, ask, now, until, meta, row = taken
        run = run_record(run_id, pairs(meta))
        if run is None:
            return None
        ask_id = ask.decode()
        found = pairs(row)
        if ask_id and ask_id != guess:  # an effect of the author's: its id does not say which ask it shows
            found = pairs(await self._server.read("HGETALL", self._keys.ask(run_id, ask_id)))
        return EffectClaim(
            run=run,
            effect_id=effect_id,
            attempt=int(attempt),
            again=int(attempt) > 1,
            body=body,
            ask=ask_record(run_id, ask_id, found),
            now=float(now),
            until=float(until),
        )

    async def finish_effect(self, claim: EffectClaim, ref: str) -> str:
        counts: bytes = await self._over(claim, "done", ref, 2 * (claim.until - claim.now))
        return counts.decode()

    async def replace_message(self, run_id: str, ask_id: str, gone: str, ref: str) -> None:
        await self._server.run("replace_message", self._keys.of(run_id, [ask_id]), run_id, gone, ref)

    async def delay_effect(self, claim: EffectClaim, until: float, *, untried: bool = False, why: str = "") -> None:
        await self._over(claim, "put back" if untried else "delay", until, why=why)

    async def drop_effect(self, claim: EffectClaim, reason: str) -> None:
        await self._over(claim, "drop", reason)

    async def settle(self, run_id: str, effect_id: str, ref: str) -> None:
        await self._server.run("settle", self._keys.of(run_id), run_id, effect_id, ref)

    async def _over(self, claim: EffectClaim, how: str, what: str | float, look_s: float = 0.0, why: str = "") -> bytes:
        run_id = claim.run.run_id
        asks = [] if claim.ask is None else [claim.ask.ask_id]
        told: bytes = await self._server.run(
            "out_done",
            self._keys.of(run_id, asks),
            run_id,
            claim.effect_id,
            claim.attempt,
            how,
            what,
            look_s,
            why,
            "".join(asks),
        )
        return told
