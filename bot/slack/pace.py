"""How fast we may post: about one message a second and channel, and nowhere while Slack has asked us to wait.

Slack says so in docs.slack.dev/apis/web-api/rate-limits. What is held back is tried again later out of the store, so
that no question waits behind those of another channel.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

EVERY_S = 1.0
BURST = 5
"""How many messages may follow each other at once: a question is not alone, and none shall wait for nothing."""
KEPT = 1_000
"""How many channels are remembered before those are dropped that may be posted to at once."""


class HeldBack(Exception):
    """A call was not made, so that Slack need not refuse it; it may be made in *after_s* seconds."""

    def __init__(self, channel: str, after_s: float) -> None:
        super().__init__(f"nothing is sent to {channel} for another {after_s:.1f} s")
        self.after_s = after_s


@dataclass(slots=True)
class _Channel:
    next_at: float = 0.0
    """When the next message would be due if they came evenly."""
    queued: int = 0
    """How many were told to come back since."""
    quiet_until: float = 0.0


class Pace:
    """What may be sent where, by channel; *clock* tells seconds. Each process keeps its own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._channels: dict[tuple[str, str], _Channel] = {}

    def check(self, tenant: str, channel: str) -> None:
        """Let a call about *channel* through.

        Raises:
            HeldBack: Slack has asked us to wait there.
        """
        found, now = self._channels.get((tenant, channel)), self._clock()
        if found is not None and found.quiet_until > now:
            raise HeldBack(channel, found.quiet_until - now)

    def take(self, tenant: str, channel: str) -> None:
        """Let one message to *channel* through.

        Raises:
            HeldBack: Slack has asked us to wait there, or too many have just been posted.
        """
        self.check(tenant, channel)
        now = self._clock()
        self._forget(now)
        found = self._channels.setdefault((tenant, channel), _Channel())
        if found.next_at <= now:
            found.queued = 0  # they have come back, here or to another process
        early_s = found.next_at - now - (BURST - 1) * EVERY_S
        if early_s > 0:
            found.queued += 1
            raise HeldBack(channel, early_s + (found.queued - 1) * EVERY_S)
        found.next_at = max(found.next_at, now) + EVERY_S
        found.queued = max(0, found.queued - 1)

    def quiet(self, tenant: str, channel: str, for_s: float) -> None:
        """Send nothing to *channel* for so long."""
        found = self._channels.setdefault((tenant, channel), _Channel())
        found.quiet_until = max(found.quiet_until, self._clock() + for_s)

    def _forget(self, now: float) -> None:
        if len(self._channels) >= KEPT:
            kept = {key: one for key, one in self._channels.items() if max(one.next_at, one.quiet_until) > now}
            self._channels = kept
