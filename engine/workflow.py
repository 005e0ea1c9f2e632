"""How an author declares a workflow: subclass `Workflow`, mark methods with `step`."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import inspect
import math
import os
import sys
import time
import warnings
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from contextvars import copy_context
from functools import partial
from typing import Any, ClassVar, TypeVar, cast, overload

from pydantic import BaseModel, ValidationError

from engine.context import Context
from engine.core.levels import collectors
from engine.core.model import Definition, DictState, StepSpec
from engine.core.reducer import begin
from engine.core.registered import held_by, registered, storable_parts
from engine.core.validation import check_skips, only_start_event, only_stop_event, validate
from engine.core.versions import stored_name, stored_names
from engine.errors import (
    ContextStateError,
    WorkflowConfigurationError,
    WorkflowRuntimeError,
    WorkflowValidationError,
)
from engine.events import Event, StartEvent, StopEvent
from engine.handler import WorkflowHandler, is_alive
from engine.nest import place_for
from engine.resource import ResourceManager, check_configs, check_resources
from engine.retry import RetryPolicy
from engine.serializers import BaseSerializer
from engine.signatures import Step, caller_names, read_step
from engine.step_context import StepContext

F = TypeVar("F", bound=Callable[..., Any])

_UNLIMITED = contextlib.nullcontext()


@overload
def step(func: F, /) -> F: ...
@overload
def step(
    func: None = None,
    /,
    *,
    workflow: type[Workflow] | None = None,
    num_workers: int = 4,
    retry_policy: RetryPolicy | None = None,
    skip_graph_checks: Iterable[str] | None = None,
    accept_event_subclasses: bool = False,
) -> Callable[[F], F]: ...
def step(
    func: Any = None,
    /,
    *,
    workflow: type[Workflow] | None = None,
    num_workers: int = 4,
    retry_policy: RetryPolicy | None = None,
    skip_graph_checks: Iterable[str] | None = None,
    accept_event_subclasses: bool = False,
) -> Any:
    """Make a method (or, with *workflow*, a free function) a step; its annotations are the wiring.

    Every step that takes an event runs when one comes. What a step returns as a ``list[E]`` are events of their own,
    and a step that takes a ``list[E]`` runs once with all that came of them; see `engine.collect`.

    At most *num_workers* calls of it run at once, 4 by default; more events queue. Without a
    *retry_policy* a failure is final. With *accept_event_subclasses* it also takes subclasses of its
    event. *skip_graph_checks* names checks to leave out: ``"reachability"``, ``"dead_end"``.

    Raises:
        WorkflowValidationError: the signature or an option does not make sense.
    """
    if type(num_workers) is not int or num_workers < 1:
        raise WorkflowValidationError("num_workers must be an integer greater than 0")
    if retry_policy is not None and (isinstance(retry_policy, type) or not isinstance(retry_policy, RetryPolicy)):
        raise WorkflowValidationError(f"retry_policy must be what retry_policy(...) makes, found {retry_policy!r}")
    skips = frozenset(skip_graph_checks or ())
    check_skips(skips)
    options = {
        "num_workers": num_workers,
        "retry": retry_policy,
        "takes_subclasses": accept_event_subclasses,
        "skip_checks": skips,
    }
    local_names = caller_names()

    def mark(code: F) -> F:
        found = read_step(code, options, local_names)
        if workflow is None and "." not in code.__qualname__.rpartition("<locals>.")[2]:
            raise WorkflowValidationError(
                f"To decorate {code.__name__} please pass a workflow class to the @step decorator."
            )
        code.__step__ = found  # type: ignore[attr-defined]  # read back by `steps_of`
        if workflow is not None:
            workflow.add_step(code)
        return code

    return mark if func is None else mark(func)


class Workflow:
    """Base of every workflow: a class whose steps are wired by the events they take and make."""

    types: ClassVar[tuple[type, ...]] = ()
    """Further classes that its stored state may hold; those in annotations are known anyway.

    A workflow among them stands for the classes that it knows: the questions of one that a step
    runs are asked by the step's run. One that the module sees need not be named.
    """

    _free_steps: ClassVar[dict[str, Callable[..., Any]]] = {}
    _steps_added: ClassVar[int] = 0
    """How often a class was given a step after it was made."""
    _plan: ClassVar[tuple[int, Definition, dict[str, Step]] | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._free_steps = {}

    def __init__(
        self,
        timeout: float | None = 45.0,
        disable_validation: bool = False,
        verbose: bool = False,
        resource_manager: ResourceManager | None = None,
        num_concurrent_runs: int | None = None,
        runtime: None = None,
        workflow_name: str | None = None,
        skip_graph_checks: Iterable[str] | None = None,
        serializer: BaseSerializer | None = None,
    ) -> None:
        """*timeout* is seconds, 45 by default, None for no end. Waiting for a person counts in process, and in a
        durable run does not.

        With *disable_validation* a run begins without `validate`; *skip_graph_checks* leaves single checks out:
        ``"reachability"``, ``"terminal_event"``, ``"dead_end"``. Workflows of one *resource_manager* share resources.

        At most *num_concurrent_runs* of this instance are at work at once; more wait. A run in process keeps its
        place while it is paused, a durable one gives it back.

        *verbose* tells of every step, on the logger ``engine.verbose`` if that is on and else on stdout.
        *serializer* is for snapshots of runs in process; durable ones hold what the engine itself can
        store. There is no *runtime* to choose: `run` works in the event loop it is called from, and
        `engine.runner.Runner` makes runs durable.

        Raises:
            WorkflowConfigurationError: no step begins or ends the workflow, or several kinds of event do; or a
                *runtime* is given.
            WorkflowValidationError: an option does not make sense.
        """
        if num_concurrent_runs is not None and (type(num_concurrent_runs) is not int or num_concurrent_runs < 1):
            raise WorkflowValidationError("num_concurrent_runs must be an integer greater than 0 or None")
        if runtime is not None:
            raise WorkflowConfigurationError(
                f"runtime must be None, found {type(runtime).__name__}: run() works in the event loop it is called "
                "from; give the workflow to an engine.runner.Runner to make its runs durable"
            )
        self._skips = frozenset(skip_graph_checks or ())
        check_skips(self._skips)
        self._timeout = _limit(timeout)
        self._disable_validation = disable_validation
        self._verbose = verbose
        self._serializer = serializer
        self._resource_manager = ResourceManager() if resource_manager is None else resource_manager
        self._name = workflow_name or f"{type(self).__module__}.{type(self).__qualname__}"
        self._slots = None if num_concurrent_runs is None else asyncio.Semaphore(num_concurrent_runs)
        self._compiled: tuple[int, Definition, dict[str, Step]] | None = None
        self._validated: Definition | None = None
        _, definition, _ = self._compile()
        only_start_event(type(self).__name__, definition.steps.values())
        only_stop_event(type(self).__name__, definition.steps.values())

    # --- what was declared ------------------------------------------------------------------

    @property
    def definition(self) -> Definition:
        """The workflow without its code."""
        return self._compile()[1]

    @property
    def workflow_name(self) -> str:
        """The name it was given, by default that of its class with the module."""
        return self._name

    @property
    def serializer(self) -> BaseSerializer | None:
        """The serializer of its snapshots, if one was given."""
        return self._serializer

    @property
    def runtime(self) -> None:
        """Always None: where a run works is for whoever starts it to say."""

    @property
    def start_event_class(self) -> type[StartEvent]:
        """The class of event that begins a run."""
        return only_start_event(type(self).__name__, self.definition.steps.values())

    @property
    def stop_event_class(self) -> type[StopEvent]:
        """The class of event that ends a run."""
        return only_stop_event(type(self).__name__, self.definition.steps.values())

    @property
    def events(self) -> list[type[Event]]:
        """Every event class that its steps take or make."""
        specs = self.definition.steps.values()
        return list(dict.fromkeys(event for spec in specs for event in (*spec.accepts, *spec.returns)))

    @classmethod
    def add_step(cls, func: Callable[..., Any]) -> None:
        """Add a free function that was marked with `step`.

        Raises:
            WorkflowValidationError: it is no step, or its name is taken.
        """
        if not hasattr(func, "__step__"):
            raise WorkflowValidationError(f"Step function {func.__name__} is missing the `@step` decorator.")
        if func.__name__ in {*cls._free_steps, *_methods(cls)}:
            raise WorkflowValidationError(
                f"A step {func.__name__} is already part of this workflow, please choose another name."
            )
        cls._free_steps[func.__name__] = func
        Workflow._steps_added += 1

    def validate(self, *, validate_resource_configs: bool = True, validate_resources: bool = False) -> bool:
        """Check the whole graph; return whether it has a person in the loop.

        Config files are read unless told otherwise. With *validate_resources* every resource is
        also made once, in an event loop and a thread of its own, and dropped.

        Raises:
            WorkflowValidationError, WorkflowConfigurationError: the message says what is wrong.
        """
        has_person = validate(self.definition, self._skips)
        needs = {name: found.needs for name, found in self._compile()[2].items() if found.needs}
        if validate_resource_configs:
            check_configs(needs)
        if validate_resources:
            check_resources(needs, self._resource_manager)
        return has_person

    # --- running -----------------------------------------------------------------------------

    def run(
        self, ctx: Context[Any] | None = None, start_event: StartEvent | None = None, **kwargs: Any
    ) -> WorkflowHandler:
        """Start a run, or go on with the one in *ctx*, in this process and event loop.

        *kwargs* make the start event, unless it is given whole; ``run_id`` names the run. One that is gone
        on with has begun already: both are ignored then. After the end of its run, a context begins another
        on the same store.

        A step that awaits a run of another workflow pauses with it: its questions are asked by the
        step's own run, in its snapshot and wherever it is stored, and their answers find it. When the
        step is run again so is this, and it goes on with the run where it stood. A step that streams
        the run's events, or runs it in a *ctx*, sees to its questions itself.

        Raises:
            WorkflowRuntimeError: the keywords do not fit the start event.
            TypeError: *ctx* is no Context.
            ValueError: *start_event* is no StartEvent.
            RuntimeError: a run of this *run_id* is going on.
            ContextStateError: the context's run is going on already.
            WorkflowValidationError: the graph does not make sense.
        """
        definition = self.definition
        if not self._disable_validation and self._validated is not definition:
            Workflow.validate(self)  # a step may be called so, as in LlamaIndex's own examples
            self._validated = definition
        run_id = kwargs.pop("run_id", None)
        place = place_for(type(self).__name__) if ctx is None else None
        if run_id is not None and is_alive(run_id):
            raise RuntimeError(f"Workflow run with run_id '{run_id}' already exists.")
        ctx = Context(self) if ctx is None else ctx
        if not isinstance(ctx, Context):
            raise TypeError(
                f"ctx must be a Context, found {type(ctx).__name__}: give an event as start_event=, "
                "and a snapshot as ctx=Context.from_dict(workflow, snapshot)"
            )
        if isinstance(ctx, StepContext):
            raise ContextStateError("Cannot start workflow from a step function context")
        if ctx._live is not None and ctx._live.working and not ctx._live.state.finished:
            raise ContextStateError(
                "Cannot start a new run while context is already running. Wait for completion or use a new Context."
            )
        state = ctx._run_state() if place is None else place.take_up(definition)
        if state is None or (state.finished and place is None):
            start, store = self._start_event(start_event, kwargs), ctx._root()
            name, clock = (os.urandom(5).hex(), time.time) if place is None else (place.run_id, place.clock)
            state = begin(definition, run_id or name, start, clock(), store)
        elif run_id is not None:
            state.run_id = run_id
        return WorkflowHandler(self, ctx, state, self.run_slot(), place, verbose=self._verbose)

    def _start_event(self, given: StartEvent | None, kwargs: dict[str, Any]) -> StartEvent:
        if given is not None:
            if not isinstance(given, StartEvent):
                raise ValueError("The 'start_event' argument must be an instance of 'StartEvent'.")
            if kwargs:
                warnings.warn(
                    "Keyword arguments are not supported when 'run()' is invoked with the 'start_event' parameter. "
                    f"These keyword arguments will be ignored: {kwargs}",
                    stacklevel=3,
                )
            return given
        cls = self.start_event_class
        try:
            return cls(**kwargs)
        except ValidationError as error:
            raise WorkflowRuntimeError(
                f"Failed creating a start event of type '{cls.__name__}' with the keyword arguments: {kwargs}"
            ) from error

    def run_slot(self) -> AbstractAsyncContextManager[Any]:
        """Hold one of the `num_concurrent_runs` that may be at work at once in this process."""
        return _UNLIMITED if self._slots is None else self._slots

    def call_step(self, step: str, ctx: StepContext[Any], event: Event) -> Awaitable[Any]:
        """Run one step's code with the resources it needs; a plain function runs in a thread of its own."""
        assert self._compiled is not None
        found = self._compiled[2][step]
        return found.invoke(self, ctx, event) if found.direct else self._provide(found, ctx, event)

    async def _provide(self, found: Step, ctx: StepContext[Any], event: Event) -> Any:
        invoke = found.invoke
        if found.needs:
            invoke = partial(invoke, **await self._resource_manager.fill(found.needs))
        if found.is_async:
            return await invoke(self, ctx, event)
        inside = copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, inside.run, invoke, self, ctx, event)

    def _compile(self) -> tuple[int, Definition, dict[str, Step]]:
        """Return the definition and the steps, read once and again only when a step was added.

        Raises:
            WorkflowConfigurationError: there is no name and no timeout, as no `__init__` of ours was called.
        """
        try:
            compiled = self._compiled
        except AttributeError:
            name = type(self).__name__
            raise WorkflowConfigurationError(f"{name}.__init__() does not call super().__init__(); let it") from None
        if compiled is None or compiled[0] != Workflow._steps_added:
            count, plan, steps = _plan(type(self))
            compiled = (count, dataclasses.replace(plan, name=self._name, timeout=self._timeout), steps)
            self._compiled = compiled
        return compiled


def _limit(timeout: float | None) -> float | None:
    """Return a number of seconds, or None for no end.

    Raises:
        WorkflowValidationError: *timeout* is neither.
    """
    try:
        seconds = math.inf if timeout is None else float(timeout)
    except (TypeError, ValueError):
        seconds = math.nan
    if math.isnan(seconds):
        raise WorkflowValidationError(f"timeout must be a number of seconds or None, found {timeout!r}")
    return None if seconds == math.inf else seconds


def steps_of(cls: type[Workflow]) -> dict[str, Step]:
    """Return the steps of a workflow class by name, in order of declaration."""
    codes = dict(_methods(cls))
    for kind in reversed(cls.__mro__):
        codes.update(kind.__dict__.get("_free_steps", {}))
    return {name: cast(Step, vars(code)["__step__"]) for name, code in codes.items()}


def _plan(cls: type[Workflow]) -> tuple[int, Definition, dict[str, Step]]:
    """Return what instances of a class have in common; annotations are read once for all of them."""
    known = cls.__dict__.get("_plan")
    if known is None or known[0] != Workflow._steps_added:
        steps = steps_of(cls)
        known = cls._plan = (Workflow._steps_added, define(cls, steps), steps)
    return cast(tuple[int, Definition, dict[str, Step]], known)


def define(cls: type[Workflow], steps: Mapping[str, Step]) -> Definition:
    """Return what the reducer needs of a workflow class.

    Raises:
        WorkflowValidationError: a step hides what the engine needs, state types do not fit together, or two classes
            share a name.
    """
    if hidden := sorted(_methods(cls).keys() & vars(Workflow).keys() - {Workflow.validate.__name__}):
        raise WorkflowValidationError(f"{cls.__name__}: step {hidden[0]} hides Workflow.{hidden[0]}; call it otherwise")
    specs = {step_name: found.spec for step_name, found in steps.items()}
    state_type = _state_type([found.state_type for found in steps.values() if found.state_type is not None])
    return Definition(
        name=cls.__qualname__,
        steps=specs,
        types=_registered(
            cls, [*(t for s in specs.values() for t in (*s.accepts, *s.returns)), state_type, *cls.types]
        ),
        state_type=state_type,
        revision=_revision(specs),
        stored_name=stored_name(cls),
        collectors=collectors(specs),
        only_collected=_only_collected(specs.values()),
    )


def _methods(cls: type) -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {}
    for kind in reversed(cls.__mro__):
        for name, value in vars(kind).items():
            if inspect.isfunction(value) and hasattr(value, "__step__"):
                found[name] = value
            else:
                found.pop(name, None)
    return found


def _state_type(declared: list[type[BaseModel]]) -> type[BaseModel]:
    """Return the most derived state type; all must stand in one line of inheritance."""
    if not declared:
        return DictState
    most = max(declared, key=lambda kind: len(kind.__mro__))
    if not all(issubclass(most, kind) for kind in declared):
        names = ", ".join(sorted({kind.__name__ for kind in declared}))
        raise ValueError(
            "Multiple state types are not in a compatible inheritance hierarchy. "
            f"All state types must share a common inheritance chain. Found: {names}"
        )
    return most


def _registered(cls: type[Workflow], roots: Iterable[type]) -> dict[str, type]:
    """Return every class that stored data may name: declared, nested in those, or known beside the workflow."""
    try:
        found = registered(kind for kind in roots if not issubclass(kind, Workflow))
    except ValueError as error:
        raise WorkflowValidationError(f"{cls.__name__}: {error}") from None
    declared = set(found.values())
    for value in dict.fromkeys(_beside(cls)):
        if value in declared:
            continue
        for kind in (value, *held_by(value)):
            for name in stored_names(kind):
                found.setdefault(name, kind)
    return found


def _beside(cls: type[Workflow]) -> list[type]:
    """Return what the workflow's module can store: events it sees, and storable classes it defines.

    And the same of each workflow that it sees or names in its `types`: a step may run it, and ask its questions.
    """
    found: list[type] = []
    workflows = [cls]
    for workflow in workflows:
        module = sys.modules.get(workflow.__module__)
        seen = [value for value in vars(module).values() if isinstance(value, type)] if module else []
        found += [
            kind
            for kind in seen
            if issubclass(kind, Event) or (kind.__module__ == workflow.__module__ and storable_parts(kind))
        ]
        if workflow is not cls:
            found += [kind for made in steps_of(workflow).values() for kind in (*made.spec.accepts, *made.spec.returns)]
            found += [kind for kind in workflow.types if not issubclass(kind, Workflow)]
        for kind in (*seen, *workflow.types):
            if issubclass(kind, Workflow) and kind is not Workflow and kind not in workflows:
                workflows.append(kind)
    return found


def _revision(specs: Mapping[str, StepSpec]) -> str:
    """Hash the graph: step names and event names, not code."""
    lines = [f"{spec.name}:{_taken(spec)}>{_named(spec.singles)}{_listed(spec.lists)}" for spec in specs.values()]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:12]


def _only_collected(specs: Iterable[StepSpec]) -> frozenset[type[Event]]:
    collected = {kind for spec in specs if spec.collects is not None for kind in spec.accepts}
    return frozenset(collected.difference(*(spec.accepts for spec in specs if spec.collects is None)))


def _taken(spec: StepSpec) -> str:
    if spec.collects is not None:
        return f"{_listed(spec.accepts)}{spec.collects}"
    return _named(spec.slots or spec.accepts)


def _named(kinds: Iterable[type]) -> str:
    return ",".join(stored_name(kind) for kind in kinds)


def _listed(kinds: tuple[type, ...]) -> str:
    return f"[{_named(kinds)}]" if kinds else ""
