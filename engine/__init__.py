"""Event-driven workflows that can pause for a person and stay paused for months."""

from engine.context import Context
from engine.errors import (
    ContextSerdeError,
    ContextStateError,
    WorkflowCancelledByUser,
    WorkflowConfigurationError,
    WorkflowRuntimeError,
    WorkflowTimeoutError,
    WorkflowValidationError,
)
from engine.events import AskExpired, Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent
from engine.handler import WorkflowHandler
from engine.retry import retry_policy
from engine.workflow import Workflow, step

__all__ = [
    "AskExpired",
    "Context",
    "ContextSerdeError",
    "ContextStateError",
    "Event",
    "HumanResponseEvent",
    "InputRequiredEvent",
    "StartEvent",
    "StopEvent",
    "Workflow",
    "WorkflowCancelledByUser",
    "WorkflowConfigurationError",
    "WorkflowHandler",
    "WorkflowRuntimeError",
    "WorkflowTimeoutError",
    "WorkflowValidationError",
    "retry_policy",
    "step",
]
