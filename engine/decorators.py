"""Marks that make a method a part of a workflow, besides `engine.workflow.step`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

from engine.errors import WorkflowValidationError
from engine.events import StepFailedEvent
from engine.signatures import caller_names, read_step
from engine.workflow import step

F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["catch_error", "step"]


@overload
def catch_error(func: F, /) -> F: ...
@overload
def catch_error(
    func: None = None, /, *, for_steps: Iterable[str] | None = None, max_recoveries: int = 1
) -> Callable[[F], F]: ...
def catch_error(func: Any = None, /, *, for_steps: Iterable[str] | None = None, max_recoveries: int = 1) -> Any:
    """Make a method the step that decides what happens when another has failed for good.

    It takes a `StepFailedEvent` once the retries of one of *for_steps* are used up; without them, of
    every step that no other handler names. What it returns goes its way as any event does; if it
    raises, the run fails. It steps in at most *max_recoveries* times on the way from one event to
    what came of it.

    Raises:
        WorkflowValidationError: it does not accept StepFailedEvent, or an option does not make sense.
    """
    if type(max_recoveries) is not int or max_recoveries < 1:
        raise WorkflowValidationError("@catch_error max_recoveries must be an integer >= 1")
    options = {"catches": frozenset(for_steps or ()), "max_recoveries": max_recoveries}
    local_names = caller_names()

    def mark(code: F) -> F:
        found = read_step(code, options, local_names)
        if StepFailedEvent not in found.spec.accepts:
            raise WorkflowValidationError(
                f"@catch_error handler '{code.__name__}' must accept StepFailedEvent as its event parameter."
            )
        code.__step__ = found  # type: ignore[attr-defined]  # read back by `steps_of`
        return code

    return mark if func is None else mark(func)
