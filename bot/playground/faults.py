"""What can be made to go wrong on purpose: calls that fail, deliveries that double, triggers that die young."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["ratelimited", "server_error", "html", "slow", "reset", "error"]

# The switches of the page's drawer, and the fault each of them plants on the next calls.
SWITCHES: Mapping[str, tuple[Kind, bool]] = {
    "rate_limit": ("ratelimited", False),
    "server_error": ("server_error", False),
    "server_error_after": ("server_error", True),
    "html": ("html", False),
    "slow": ("slow", True),
    "reset_before": ("reset", False),
    "reset_after": ("reset", True),
    "error": ("error", False),
}
# Those that are on or off and have no count.
PLAIN = ("deliver_twice", "expire_triggers", "pace")


class UnknownFault(Exception):
    """A fault was asked for that does not exist, or not with that setting."""


@dataclass
class CallFault:
    """How the next *times* calls of *method* go wrong; None is every call until the fault is lifted.

    `applied` says whether the call still takes effect: an answer that is lost after the message was posted is
    the case that makes careless bots post twice. `retry_after` is sent as given, or left out when None.
    """

    kind: Kind
    method: str = "*"
    times: int | None = 1
    applied: bool = False
    retry_after: str | None = "1"
    seconds: float = 2.0
    status: int = 500
    code: str = "internal_error"
    switch: str | None = None


@dataclass
class Faults:
    """The faults now set. All off is an empty `Faults()`.

    With `pace` a channel takes about one message per second, as it does in Slack; the rest is answered with 429.
    """

    deliver_twice: bool = False
    expire_triggers: bool = False
    pace: bool = False
    calls: list[CallFault] = field(default_factory=list)

    def fail(
        self,
        method: str,
        kind: Kind,
        *,
        times: int | None = 1,
        applied: bool = False,
        retry_after: str | float | None = "1",
        seconds: float = 2.0,
        status: int | None = None,
        code: str = "internal_error",
        switch: str | None = None,
    ) -> CallFault:
        """Make the next *times* calls of *method* ("*" for any) go wrong; earlier faults go first."""
        fault = CallFault(
            kind=kind,
            method=method,
            times=times,
            applied=applied or kind == "slow",
            retry_after=None if retry_after is None else str(retry_after),
            seconds=seconds,
            status=status or (503 if kind == "html" else 500),
            code=code,
            switch=switch,
        )
        self.calls.append(fault)
        return fault

    def take(self, method: str) -> CallFault | None:
        """The fault that this call of *method* meets, used up by one."""
        for fault in self.calls:
            if fault.method in ("*", method):
                if fault.times is not None:
                    fault.times -= 1
                if fault.times == 0:
                    self.calls.remove(fault)
                return fault
        return None

    def clear(self) -> None:
        self.deliver_twice = self.expire_triggers = self.pace = False
        self.calls.clear()

    def set(self, name: str, setting: Any) -> None:
        """Flip one switch: on or off, a number of calls, or {"times", "method", "retry_after", "seconds", ...}.

        Raises:
            UnknownFault: no switch is called *name*, or *setting* is none of these.
        """
        if name in PLAIN:
            setattr(self, name, bool(setting))
            return
        if name not in SWITCHES:
            known = ", ".join([*PLAIN, *SWITCHES])
            raise UnknownFault(f"unknown fault {name!r}; one of {known}")
        self.calls = [fault for fault in self.calls if fault.switch != name]
        if not setting:
            return
        kind, applied = SWITCHES[name]
        options: dict[str, Any] = {"method": "*", "times": 1, "applied": applied, "switch": name}
        if isinstance(setting, dict):
            options |= setting
        elif isinstance(setting, bool):
            options["times"] = None
        elif isinstance(setting, int):
            options["times"] = setting
        else:
            raise UnknownFault(f"{name}: give a number of calls or an object, not {setting!r}")
        try:
            self.fail(kind=kind, **options)
        except TypeError as error:
            raise UnknownFault(f"{name}: {error}") from error

    def to_json(self) -> dict[str, Any]:
        """Each switch with what is left of it."""
        left: dict[str, int | bool] = dict.fromkeys(SWITCHES, 0)
        for fault in self.calls:
            if fault.switch in left:
                left[fault.switch] = True if fault.times is None else left[fault.switch] + fault.times
        return {name: getattr(self, name) for name in PLAIN} | left
