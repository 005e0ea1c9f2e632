"""Every error the engine raises on purpose, grouped by who has to act."""

from __future__ import annotations

# --- The author: the workflow class or its use is wrong ------------------------------


class WorkflowValidationError(Exception):
    """The workflow's steps or graph do not make sense; raised before anything runs."""


class DefinitionError(WorkflowValidationError):
    """A step's annotations cannot be read; the message names the step and the repair."""


class WorkflowConfigurationError(Exception):
    """The workflow lacks something it cannot begin or end without."""


class WorkflowStepDoesNotExistError(Exception):
    """A step was named that the workflow does not have."""


class ContextStateError(Exception):
    """A context method was called where it has no meaning, e.g. before the run began."""


# --- The caller: whoever awaits the run -------------------------------------------


class WorkflowRuntimeError(Exception):
    """The run was asked for something it cannot do, or a step broke its contract."""


class WorkflowTimeoutError(Exception):
    """The run, or a question in it, had no end in time."""


class WorkflowCancelledByUser(Exception):
    """Somebody cancelled the run."""


class WorkflowDone(Exception):
    """The run is over; nothing more will happen in it."""


# --- The author's own code says so ------------------------------------------------


class DidNotHappen(Exception):
    """What a ``ctx.effect`` was to do has certainly not happened, so it may be tried again unasked.

    Raised by the effect itself, or by its ``reconcile``.
    """


# --- The operator: stored data or its size ------------------------------------------


class ContextSerdeError(Exception):
    """A snapshot or stored run cannot be read back or written; the message says where."""


class CodecError(ContextSerdeError, ValueError):
    """A value has no exact stored form, or stored bytes do not name a known type."""


class UnreconstructedException(Exception):
    """Stands for an exception of a run that was stored: its class name and message."""

    def __init__(self, exception_type: str, exception_message: str) -> None:
        super().__init__(f"{exception_type}: {exception_message}")
        self.exception_type = exception_type
        self.exception_message = exception_message


class StateTooLarge(ContextSerdeError):
    """A step has made its run's state larger than a durable run may be; the message names the largest keys."""


class RunNotFound(LookupError):
    """No run has this id: it finished long ago or never existed."""


class StoreUnavailable(Exception):
    """The run store did not take the call; nothing is known to have been written."""


# --- The runner: it drops its work and goes on ----------------------------------------


class NotJudged(Exception):
    """Of an answer to a question nobody had looked at as it is now: it was not taken; look at it, and judge it."""


class FencedError(Exception):
    """Another worker owns the run now; this one's work on it must be dropped."""
