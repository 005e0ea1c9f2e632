"""Reads a step's annotations: which events it takes and makes, and how to call it."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from engine.annotations import event_types, listed_types, read_taken
from engine.context import Context
from engine.core.model import StepSpec
from engine.errors import WorkflowValidationError
from engine.facts import fact
from engine.resource import Need, Resource, ResourceConfig, need_of

CALLER_FRAMES = 4
"""How far up local names are looked for, so that workflows can be written inside functions."""


@fact
class Step:
    """One step with its code. *invoke* takes the workflow instance, a context, an event and what it *needs* by name."""

    spec: StepSpec
    code: Callable[..., Any]
    invoke: Callable[..., Any]
    is_async: bool
    needs: tuple[Need, ...]
    direct: bool
    """It is async and needs nothing: calling it is all there is to do."""
    state_type: type[BaseModel] | None


def caller_names() -> dict[str, Any]:
    """Return the local names of whoever is writing a step right now."""
    found: dict[str, Any] = {}
    frame = sys._getframe(2)
    for _ in range(CALLER_FRAMES):
        found = {**frame.f_locals, **found}
        if frame.f_back is None:
            break
        frame = frame.f_back
    return found


def _resolve_hints(code: Callable[..., Any], local_names: dict[str, Any]) -> dict[str, Any]:
    """Return the annotations of *code* as objects.

    Raises:
        WorkflowValidationError: one names something that is not there.
    """
    try:
        return typing.get_type_hints(code, localns=local_names, include_extras=True)
    except NameError as error:
        raise WorkflowValidationError(
            f"Failed to resolve type annotations for {code.__qualname__}. Missing name: {error.name}. If you are using "
            "'from __future__ import annotations', define the name at module level or before the step."
        ) from error


def read_step(code: Callable[..., Any], options: dict[str, Any], local_names: dict[str, Any]) -> Step:
    """Return the step that *code* declares.

    Raises:
        WorkflowValidationError: its signature does not make sense; the message says what to add.
    """
    if inspect.isasyncgenfunction(code):
        raise WorkflowValidationError(
            "Async-iterator fan-out (AsyncIterator[E] / AsyncGenerator[E, None] / async generator steps) is not "
            "supported. Return list[E] for a static collection, or emit incrementally with ctx.send_event. "
            f"({code.__qualname__})"
        )
    hints = _resolve_hints(code, local_names)
    parameters = inspect.signature(code).parameters
    names = list(parameters)
    bound = bool(names) and names[0] not in hints and names[0] != "ctx"
    context = [name for name in names if _is_context(name, hints.get(name))]
    where = code.__qualname__
    taken = read_taken({name: hints[name] for name in names if name in hints}, where)
    if "return" not in hints:
        raise WorkflowValidationError(
            f"Return types of workflows step functions must be annotated with their type. ({where})"
        )
    needs = _needs(names, hints, local_names)
    filled = {*taken.parameters, *context, *(need.parameter for need in needs)}
    for name in names:
        if name not in filled and isinstance(parameters[name].default, Resource | ResourceConfig):
            raise WorkflowValidationError(f"{where}: write {name}: Annotated[..., Resource(...)], not as its default")
    rest = [name for name in names[bound:] if name not in filled and _needed(parameters[name])]
    if rest or len(context) > 1:
        rest = rest or context[1:]
        raise WorkflowValidationError(f"{where}: cannot fill parameter {', '.join(sorted(rest))}")
    lists, singles = listed_types(hints["return"]), event_types(hints["return"])
    spec = StepSpec(
        name=code.__name__,
        accepts=taken.accepts,
        returns=tuple(dict.fromkeys((*lists, *singles))),
        lists=lists,
        singles=singles,
        parameters=taken.parameters,
        collects=taken.collects,
        slots=taken.slots,
        **options,
    )
    is_async = inspect.iscoroutinefunction(code)
    invoke = _invoker_by_name if needs or taken.slots or taken.collects else _invoker
    return Step(
        spec=spec,
        code=code,
        invoke=invoke(code, bound, context[0] if context else None, spec, parameters),
        is_async=is_async,
        needs=needs,
        direct=is_async and not needs,
        state_type=_state_type(hints.get(context[0])) if context else None,
    )


def _is_context(name: str, hint: Any) -> bool:
    if hint is None:
        return name == "ctx"
    origin = typing.get_origin(hint) or hint
    return isinstance(origin, type) and issubclass(origin, Context)


def _state_type(hint: Any) -> type[BaseModel] | None:
    for part in typing.get_args(hint):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def _needs(names: list[str], hints: dict[str, Any], local_names: dict[str, Any]) -> tuple[Need, ...]:
    """Return the parameters that ask for a resource."""
    found = [need for name in names if (need := need_of(name, hints.get(name))) is not None]
    for need in found:
        need.resource.learn(local_names)
    return tuple(found)


def _needed(parameter: inspect.Parameter) -> bool:
    """Tell whether a call must fill *parameter*: it has no default and is no ``*args``."""
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return parameter.default is inspect.Parameter.empty and parameter.kind not in variable


def _invoker(
    code: Callable[..., Any],
    bound: bool,
    context: str | None,
    spec: StepSpec,
    parameters: Mapping[str, inspect.Parameter],
) -> Callable[[Any, Any, Any], Any]:
    """Return a call of *code* with its parameters in their order, or else by name."""
    event = spec.parameters[0]
    order = [name for name, parameter in parameters.items() if parameter.kind is not inspect.Parameter.KEYWORD_ONLY]
    order = order[bound:]
    if order == [event] and context is None:
        return (lambda self, ctx, ev: code(self, ev)) if bound else (lambda self, ctx, ev: code(ev))
    if order[:2] == [context, event]:
        return (lambda self, ctx, ev: code(self, ctx, ev)) if bound else (lambda self, ctx, ev: code(ctx, ev))
    if order[:2] == [event, context]:
        return (lambda self, ctx, ev: code(self, ev, ctx)) if bound else (lambda self, ctx, ev: code(ev, ctx))

    return _invoker_by_name(code, bound, context, spec, parameters)


def _invoker_by_name(
    code: Callable[..., Any],
    bound: bool,
    context: str | None,
    spec: StepSpec,
    parameters: Mapping[str, inspect.Parameter],
) -> Callable[..., Any]:
    """Return a call of *code* by name that also takes its resources by name."""

    def by_name(self: Any, ctx: Any, ev: Any, /, **given: Any) -> Any:
        if spec.collects is not None:
            given[spec.parameters[0]] = list(ev.events)
        elif spec.slots:
            given.update(zip(spec.parameters, ev.events, strict=True))
        else:
            given[spec.parameters[0]] = ev
        if context is not None:
            given[context] = ctx
        return code(self, **given) if bound else code(**given)

    return by_name
