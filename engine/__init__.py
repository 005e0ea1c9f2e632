"""Event-driven workflows that can pause for a person and stay paused for months."""

from engine.context import Context
from engine.core.model import DictState
from engine.core.versions import stored_as, upcast
from engine.decorators import catch_error
from engine.errors import (
    ContextSerdeError,
    ContextStateError,
    DidNotHappen,
    WorkflowCancelledByUser,
    WorkflowConfigurationError,
    WorkflowRuntimeError,
    WorkflowTimeoutError,
    WorkflowValidationError,
)
from engine.events import (
    AskExpired,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
)
from engine.handler import WorkflowHandler
from engine.resource import Resource, ResourceConfig
from engine.retry import retry_policy
from engine.serializers import JsonPickleSerializer, JsonSerializer, PickleSerializer
from engine.workflow import Workflow, step

__all__ = [
    "AskExpired",
    "Context",
    "ContextSerdeError",
    "ContextStateError",
    "DictState",
    "DidNotHappen",
    "Event",
    "HumanResponseEvent",
    "InputRequiredEvent",
    "JsonPickleSerializer",
    "JsonSerializer",
    "PickleSerializer",
    "Resource",
    "ResourceConfig",
    "StartEvent",
    "StepFailedEvent",
    "StopEvent",
    "Workflow",
    "WorkflowCancelledByUser",
    "WorkflowConfigurationError",
    "WorkflowHandler",
    "WorkflowRuntimeError",
    "WorkflowTimeoutError",
    "WorkflowValidationError",
    "catch_error",
    "retry_policy",
    "step",
    "stored_as",
    "upcast",
]
