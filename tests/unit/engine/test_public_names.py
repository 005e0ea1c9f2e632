"""Every name a workflow written for LlamaIndex imports is here, in the module of the same idea."""

import importlib

import pytest

import engine

ROOT = """
    AskExpired Context ContextSerdeError ContextStateError DictState Event HumanResponseEvent InputRequiredEvent
    JsonPickleSerializer JsonSerializer PickleSerializer Resource ResourceConfig StartEvent StepFailedEvent StopEvent
    Workflow WorkflowCancelledByUser WorkflowConfigurationError WorkflowHandler WorkflowRuntimeError
    WorkflowTimeoutError WorkflowValidationError catch_error retry_policy step
"""
"""What ``engine`` itself offers: LlamaIndex's two roots, and what most workflows need besides."""

MODULES = {
    "engine.events": """
        CollectionReleaseEvent DictLikeModel Event EventType HumanResponseEvent IdleReleasedEvent InputRequiredEvent
        InternalDispatchEvent StartEvent StepFailedEvent StepState StepStateChanged StopEvent UnhandledEvent
        UnreconstructedException WorkflowCancelledEvent WorkflowFailedEvent WorkflowIdleEvent WorkflowTimedOutEvent
    """,
    "engine.errors": """
        ContextSerdeError ContextStateError WorkflowCancelledByUser WorkflowConfigurationError WorkflowDone
        WorkflowRuntimeError WorkflowStepDoesNotExistError WorkflowTimeoutError WorkflowValidationError
    """,
    "engine.handler": "WorkflowHandler",
    "engine.workflow": "Workflow",
    "engine.decorators": "catch_error step",
    "engine.context": "BaseSerializer Context JsonSerializer PickleSerializer",
    "engine.serializers": "BaseSerializer JsonPickleSerializer JsonSerializer PickleSerializer",
    "engine.state_store": "DictState InMemoryStateStore StateStore",
    "engine.resource": "Resource ResourceConfig ResourceManager",
    "engine.retry": """
        ConstantDelayRetryPolicy ExponentialBackoffRetryPolicy RetryCondition RetryInfo RetryPolicy StopCondition
        WaitStrategy retry_all retry_always retry_any retry_if_exception retry_if_exception_cause_type
        retry_if_exception_message retry_if_exception_type retry_if_not_exception_message retry_if_not_exception_type
        retry_never retry_policy retry_unless_exception_type stop_after_attempt stop_after_delay stop_all stop_any
        stop_before_delay stop_never wait_chain wait_combine wait_exponential wait_exponential_jitter wait_fixed
        wait_full_jitter wait_incrementing wait_none wait_random wait_random_exponential
    """,
    "engine.collect": "All Cardinality Collect Take",
    "engine.testing": "WorkflowTestResult WorkflowTestRunner",
    "engine.representation": """
        WorkflowEventNode WorkflowExternalNode WorkflowGenericNode WorkflowGraph WorkflowGraphEdge WorkflowGraphNode
        WorkflowNodeBase WorkflowResourceConfigNode WorkflowResourceNode WorkflowStepNode get_workflow_representation
    """,
}


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in MODULES.items() for name in names.split()]
)
def test_a_public_name_stands_where_it_is_looked_for(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name)


def test_the_root_offers_what_most_workflows_need() -> None:
    assert set(ROOT.split()) <= set(engine.__all__)
    assert all(hasattr(engine, name) for name in engine.__all__)


def test_a_name_means_the_same_thing_wherever_it_is_imported_from() -> None:
    for module, names in MODULES.items():
        for name in set(names.split()) & set(engine.__all__):
            assert getattr(importlib.import_module(module), name) is getattr(engine, name)


def test_the_errors_are_plain_exceptions() -> None:
    for name in MODULES["engine.errors"].split():
        assert getattr(importlib.import_module("engine.errors"), name).__bases__ == (Exception,)
