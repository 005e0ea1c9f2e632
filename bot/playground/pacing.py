"""Slack's pace for posting: about one message per second and channel, with short bursts let through.

docs.slack.dev/apis/web-api/rate-limits promises the one message; how long a burst may be it does not say.
"""

import math
from collections.abc import Callable

EVERY_S = 1.0
BURST = 3


class Pace:
    """When each channel may have its next message, on the clock that *now* reads (seconds)."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._full_until: dict[str, float] = {}

    def wait_s(self, channel: str) -> int:
        """Count a message to *channel*: 0 if it may pass, else the whole seconds after which to try again.

        One that may not pass does not count.
        """
        now = self._now()
        full_until = max(self._full_until.get(channel, now), now)
        over_s = full_until - now - EVERY_S * (BURST - 1)
        if over_s > 0:
            return math.ceil(over_s)
        self._full_until[channel] = full_until + EVERY_S
        return 0
