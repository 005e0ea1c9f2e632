"""What a step needs besides its event: ``Annotated[Database, Resource(open_database)]`` gets made and passed in.

Here live the two kinds of resource, how a factory's own annotations are read, and the manager that
makes each one and keeps it. Which parameters of a step want one is read in `engine.signatures`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import copy
import inspect
import sys
import typing
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any
from weakref import WeakValueDictionary

from pydantic import BaseModel

from engine.errors import WorkflowValidationError
from engine.facts import fact, record

_MISSING: Any = object()

_Spot = tuple["Resource | ResourceConfig", str, tuple[str, ...]]
"""A resource, the step's parameter it is for, and the names that lead there."""


@fact
class Need:
    """A parameter that is filled with a resource."""

    parameter: str
    resource: Resource | ResourceConfig
    kind: Any
    """What the parameter is annotated to be."""


class Resource:
    """A value that *factory* makes, plain or async; its own annotated parameters are filled first.

    With *cache* it is made once per `ResourceManager`, that is once per workflow; without, once
    per call of a step, shared by everything that this call needs.
    """

    def __init__(self, factory: Callable[..., Any], cache: bool = True) -> None:
        """Raise TypeError unless *factory* can be called."""
        if not callable(factory):
            raise TypeError(f"Resource takes what makes the resource, found {factory!r}, which cannot be called")
        self.factory = factory
        self.cache = cache
        self.name: str = getattr(factory, "__qualname__", type(factory).__name__)
        self._needs: tuple[Need, ...] | None = None

    @property
    def key(self) -> Hashable:
        """What tells it from a namesake: two lambdas, or one method of two objects, share a name."""
        try:
            hash(self.factory)
        except TypeError:
            return (self.name, id(self.factory))
        return (self.name, self.factory)

    @property
    def needs(self) -> tuple[Need, ...]:
        """What the factory takes.

        Raises:
            WorkflowValidationError: an annotation of the factory names something that is not there.
        """
        if self._needs is None:
            needs, missing = _factory_needs(self.factory, {})
            if missing:
                raise WorkflowValidationError(
                    f"Failed to resolve type annotations for {self.name}. Missing name: {missing[0]}. If you are using "
                    "'from __future__ import annotations', define the name at module level or before the step."
                )
            self._needs = needs
        return self._needs

    def learn(self, local_names: Mapping[str, Any], above: tuple[Callable[..., Any], ...] = ()) -> None:
        """Read what the factory takes while the names around the step can be seen; they are not kept."""
        if self._needs is not None or self.factory in above:
            return
        needs, missing = _factory_needs(self.factory, local_names)
        for need in needs:
            need.resource.learn(local_names, (*above, self.factory))
        if not missing:
            self._needs = needs

    async def make(self, given: dict[str, Any]) -> Any:
        """Call the factory. Only a coroutine is awaited: what merely can be may be the resource itself."""
        made = self.factory(**given)
        return await made if inspect.iscoroutine(made) else made


class ResourceConfig:
    """A pydantic model, the annotated one, read from a JSON file or from the object at ``a.b`` in it.

    The file is looked for when it is first needed, so that a module imports without it.

    Raises:
        ValueError: *config_file* is no ``.json``.
    """

    cache = True
    needs: tuple[Need, ...] = ()

    def __init__(
        self,
        config_file: str,
        path_selector: str | None = None,
        label: str | None = None,
        description: str | None = None,
    ) -> None:
        if Path(config_file).suffix != ".json":
            raise ValueError("Only JSON files can be used to load Pydantic-based resources.")
        self.path_selector = path_selector
        self.label = label
        self.description = description
        self.name = config_file if path_selector is None else f"{config_file}.{path_selector}"
        self._file = config_file
        self._model: Any = None

    @property
    def config_file(self) -> str:
        """The file's absolute path.

        Raises:
            FileNotFoundError: it is not there.
        """
        path = Path(self._file)
        if not path.is_file():
            raise FileNotFoundError(f"No such file: {self._file}")
        return str(path.resolve())

    @property
    def key(self) -> Hashable:
        """One file may be read as two models."""
        return (self.name, self._model)

    def of(self, model: Any) -> ResourceConfig:
        """Return the same file read as *model*."""
        bound = copy.copy(self)
        bound._model = model
        return bound

    def learn(self, local_names: Mapping[str, Any], above: tuple[Callable[..., Any], ...] = ()) -> None:
        """A file needs nothing."""

    def load(self) -> BaseModel:
        """Read the file now.

        Raises:
            FileNotFoundError: it is not there.
            ValueError: it is no JSON, has no object at the path, or its values do not fit the model.
        """
        found = self.read()
        if not (isinstance(self._model, type) and issubclass(self._model, BaseModel)):
            raise ValueError("Class factory should be set to a BaseModel subclass before calling")
        return self._model.model_validate(found)

    def read(self) -> Any:
        """Return what stands in the file now, at the path if there is one, without making a model of it.

        Raises:
            FileNotFoundError: it is not there.
            ValueError: it is no JSON, or has no object at the path.
        """
        import json  # noqa: PLC0415  # few workflows read files, and every import would wait for it

        file = self.config_file
        found: Any = json.loads(Path(file).read_text(encoding="utf-8"))
        keys = [] if self.path_selector is None else self.path_selector.split(".")
        for depth, key in enumerate(keys, 1):
            found = found.get(key) if isinstance(found, dict) else found
            if not isinstance(found, dict):
                raise ValueError(
                    f"Expected dictionary for configuration from {file} at path {'.'.join(keys[:depth])}, "
                    f"got: {type(found)}"
                )
        return found

    async def make(self, given: dict[str, Any]) -> BaseModel:
        """Read the file."""
        return self.load()


@record
class _Graph:
    """What one call of a step has been given so far."""

    manager: ResourceManager
    made: dict[Hashable, Any] = field(default_factory=dict)


_graph: ContextVar[_Graph | None] = ContextVar("resource_graph", default=None)


class ResourceManager:
    """Makes resources and keeps the cached ones; give several workflows the same one to share them.

    Whoever comes while a cached resource is being made waits for it, within one event loop.
    """

    def __init__(self) -> None:
        self.resources: dict[str, Any] = {}
        self._made_by: dict[str, Hashable] = {}
        self._namesakes: dict[Hashable, Any] = {}
        self._sound: set[Hashable] = set()
        self._locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    async def set(self, name: str, val: Any) -> None:
        """Put *val* in place of whatever cached resource has this *name*: the factory's qualified name."""
        self.resources[name] = val
        self._made_by.pop(name, None)

    async def get(self, resource: Resource | ResourceConfig) -> Any:
        """Return what was kept of *resource*, or else make it.

        Raises:
            ValueError: factories need each other in a circle.
        """
        graph = _graph.get()
        if graph is None or graph.manager is not self:
            with self.resolution_scope() as graph:
                return await self._get(resource, graph)
        return await self._get(resource, graph)

    def get_all(self) -> dict[str, Any]:
        """Return every cached resource there is, by name."""
        return self.resources

    @contextmanager
    def resolution_scope(self) -> Iterator[_Graph]:
        """Let every `get` inside share what is not cached."""
        before, graph = _graph.get(), _Graph(self)
        _graph.set(graph)
        try:
            yield graph
        finally:
            _graph.set(before)  # no reset by token: an abandoned coroutine is closed in a context not its own

    async def fill(self, needs: tuple[Need, ...]) -> dict[str, Any]:
        """Return the values of *needs* by parameter, for one call of a step."""
        with self.resolution_scope():
            return {need.parameter: await self.get(need.resource) for need in needs}

    async def _get(self, resource: Resource | ResourceConfig, graph: _Graph) -> Any:
        found = self._kept(resource)
        if found is _MISSING:
            found = graph.made.get(resource.key, _MISSING)
        if found is not _MISSING:
            return found
        # Before anything waits: two calls entering one circle from two sides would wait for each other.
        self._refuse_circles(resource)
        if not resource.cache:
            found = await self._make(resource)
        else:
            loop = asyncio.get_running_loop()
            lock = self._locks.setdefault((id(loop), resource.key), asyncio.Lock())
            async with lock:
                found = self._kept(resource)
                if found is _MISSING:
                    found = await self._make(resource)
                    self._keep(resource, found)
        graph.made[resource.key] = found
        return found

    async def _make(self, resource: Resource | ResourceConfig) -> Any:
        given = {need.parameter: await self.get(need.resource) for need in resource.needs}
        return await resource.make(given)

    def _kept(self, resource: Resource | ResourceConfig) -> Any:
        if not resource.cache:
            return _MISSING
        name, key = resource.name, resource.key
        if name in self.resources and self._made_by.get(name, key) == key:
            return self.resources[name]
        return self._namesakes.get(key, _MISSING)

    def _keep(self, resource: Resource | ResourceConfig, value: Any) -> None:
        if resource.name in self.resources:
            self._namesakes[resource.key] = value
        else:
            self.resources[resource.name] = value
            self._made_by[resource.name] = resource.key

    def _refuse_circles(
        self, resource: Resource | ResourceConfig, above: tuple[Resource | ResourceConfig, ...] = ()
    ) -> None:
        if resource.key in self._sound:
            return
        if any(resource.key == other.key for other in above):
            chain = " -> ".join(other.name for other in (*above, resource))
            raise ValueError(f"Circular resource dependency detected: {chain}")
        if self._kept(resource) is not _MISSING:
            return
        for need in resource.needs:
            self._refuse_circles(need.resource, (*above, resource))
        self._sound.add(resource.key)

    def _on_trial(self) -> ResourceManager:
        """Return a manager that knows the same resources and keeps new ones to itself."""
        trial = copy.copy(self)
        trial.resources = dict(self.resources)
        trial._made_by = dict(self._made_by)
        trial._namesakes = dict(self._namesakes)
        trial._locks = WeakValueDictionary()
        return trial


def need_of(parameter: str, hint: Any) -> Need | None:
    """Return what an annotation asks for, if it is for a resource."""
    if typing.get_origin(hint) is not Annotated:
        return None
    kind, *notes = typing.get_args(hint)
    for note in notes:
        if isinstance(note, ResourceConfig):
            return Need(parameter, note.of(kind), kind)
        if isinstance(note, Resource):
            return Need(parameter, note, kind)
    return None


def check_configs(needs: Mapping[str, tuple[Need, ...]]) -> None:
    """Load every config file that the steps, by name, need, directly or through a factory.

    Raises:
        WorkflowValidationError: some cannot be loaded; the message lists them all.
    """
    faults: list[str] = []
    seen: set[Hashable] = set()
    for step, wanted in needs.items():
        pending: list[_Spot] = [(need.resource, need.parameter, (need.resource.name,)) for need in wanted]
        while pending:
            resource, parameter, chain = pending.pop(0)
            if resource.key in seen:
                continue
            seen.add(resource.key)
            pending += [(need.resource, parameter, (*chain, need.resource.name)) for need in resource.needs]
            if isinstance(resource, ResourceConfig):
                by_way_of = f" ({' -> '.join(chain)})" if len(chain) > 1 else ""
                try:
                    resource.load()
                except Exception as error:  # noqa: BLE001 - a model's validators are the author's code
                    faults.append(f"In step '{step}', parameter '{parameter}'{by_way_of}: {error}")
    _raise_faults("Resource config validation failed", faults)


def check_resources(needs: Mapping[str, tuple[Need, ...]], manager: ResourceManager) -> None:
    """Make every resource once, on trial: what is made is dropped, since its event loop ends here.

    Raises:
        WorkflowValidationError: some cannot be made; the message lists them all.
    """

    async def made() -> list[str]:
        trial, faults = manager._on_trial(), []
        for step, wanted in needs.items():
            for need in wanted:
                try:
                    await trial.get(need.resource)
                except Exception as error:  # noqa: BLE001 - a factory is the author's code
                    faults.append(f"In step '{step}', parameter '{need.parameter}': {error}")
        return faults

    _raise_faults("Resource validation failed", _run_apart(made))


def _run_apart(code: Callable[[], Awaitable[list[str]]]) -> list[str]:
    """Run *code* in an event loop of its own, in a thread so that one may be running here."""

    async def begin() -> list[str]:
        return await code()

    inside = copy_context()
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        return threads.submit(lambda: inside.run(asyncio.run, begin())).result()


def _raise_faults(title: str, faults: list[str]) -> None:
    if faults:
        raise WorkflowValidationError("\n".join([f"{title}:", *(f"  - {fault}" for fault in faults)]))


def _factory_needs(
    factory: Callable[..., Any], local_names: Mapping[str, Any]
) -> tuple[tuple[Need, ...], list[str | None]]:
    """Return what *factory* takes, and the names missing from annotations of what it cannot do without."""
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):  # a class written in C does not say
        return (), []
    module = _names_of(factory)
    around = {name: value for name, value in local_names.items() if name not in module}
    needs, missing = [], []
    for name, parameter in parameters.items():
        written = SimpleNamespace(__annotations__={name: parameter.annotation})
        try:  # each by itself: a return type that only type checkers know hides no resource
            hint = typing.get_type_hints(written, module, around, include_extras=True)[name]
        except NameError as error:
            if parameter.default is inspect.Parameter.empty:
                missing.append(error.name)
            continue
        if (need := need_of(name, hint)) is not None:
            needs.append(need)
    return tuple(needs), missing


def _names_of(factory: Callable[..., Any]) -> dict[str, Any]:
    """Return the module's names that the factory's annotations may use."""
    code: Any = inspect.unwrap(factory)
    while isinstance(code, partial):
        code = code.func
    module = sys.modules.get(getattr(code, "__module__", None) or "")
    found: dict[str, Any] = getattr(code, "__globals__", {} if module is None else vars(module))
    return found
