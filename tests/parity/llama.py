"""Every public name of LlamaIndex Workflows in one place: what ``from engine import`` is changed to."""

from typing import Any

import workflows
import workflows.collect
import workflows.context
import workflows.context.serializers
import workflows.context.state_store
import workflows.decorators
import workflows.errors
import workflows.events
import workflows.handler
import workflows.representation
import workflows.resource
import workflows.retry_policy
import workflows.testing
import workflows.testing.runner

HOMES = (
    workflows.retry_policy,  # first: `retry_policy` is meant as the function, and the package has a module so named
    workflows.events,
    workflows.errors,
    workflows.collect,
    workflows.context,
    workflows.context.serializers,
    workflows.context.state_store,
    workflows.decorators,
    workflows.handler,
    workflows.representation,
    workflows.resource,
    workflows.testing,
    workflows.testing.runner,
    workflows,
)


def __getattr__(name: str) -> Any:
    for home in HOMES:
        if hasattr(home, name):
            return getattr(home, name)
    raise AttributeError(f"LlamaIndex Workflows has no {name}")
