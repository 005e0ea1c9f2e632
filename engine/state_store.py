"""``ctx.store``: a run's own memory, as a step, a handler or a seeding caller sees it; and one without a run."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from engine.core.codec import rebuild
from engine.core.model import DictState as DictState
from engine.core.paths import read_path, split_path, write_path
from engine.core.registered import registered
from engine.core.snapshot import dump_store, load_store
from engine.core.versions import stored_name, version_of
from engine.events import DictLikeModel
from engine.serializers import BaseSerializer, JsonSerializer, codec_for

S = TypeVar("S", bound=BaseModel)

_MISSING: Any = object()


class EditLock(asyncio.Lock):
    """Lets one ``edit_state`` of a run through at a time and knows who is inside."""

    _holder: asyncio.Task[Any] | None = None

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Hold the lock; whoever holds it already is told that it cannot wait for itself."""
        self.refuse_inside()
        async with self:
            self._holder = asyncio.current_task()
            try:
                yield
            finally:
                self._holder = None

    async def pass_through(self) -> None:
        """Wait until nobody edits."""
        if self.locked():
            async with self.hold():
                pass

    def refuse_inside(self) -> None:
        if self._holder is not None and self._holder is asyncio.current_task():
            raise RuntimeError("writer called inside edit_state: mutate the yielded state instead")


class StateStore(Generic[S]):
    """Reads and writes a run's state; writes show at once to everybody.

    A value read is the live object: change it through `set` or `edit_state`, so that the
    change is recorded.
    """

    __slots__ = ("_lock", "_root", "_types", "_write")

    def __init__(
        self, root: Callable[[], S], write: Callable[[str, Any], None], lock: EditLock, types: Mapping[str, type]
    ) -> None:
        self._root = root
        self._write = write
        self._lock = lock
        self._types = types

    async def get(self, path: str, default: Any = _MISSING) -> Any:
        """Return what stands at the dotted *path*; the whole state if it is empty.

        Raises:
            ValueError: nothing stands there and no *default* is given.
        """
        try:
            return read_path(self._root(), path)
        except ValueError:
            if default is _MISSING:
                raise
            return default

    async def set(self, path: str, value: Any) -> None:
        """Put *value* at the dotted *path*, making dictionaries on the way.

        Raises:
            ValueError: the path is empty or too deep, or a typed state refuses the value.
        """
        split_path(path)
        self._lock.refuse_inside()
        await self._lock.pass_through()
        self._write(path, value)

    async def get_state(self) -> S:
        """Return the whole state, live."""
        return self._root()

    async def set_state(self, state: S) -> None:
        """Replace the whole state. A state of a parent type changes the fields that it has.

        Raises:
            ValueError: it is of an unrelated type, or one of its fields has a value that its type refuses.
        """
        self._lock.refuse_inside()
        await self._lock.pass_through()
        self._write("", _validated(_merged(self._root(), state)))

    @asynccontextmanager
    async def edit_state(self) -> AsyncIterator[S]:
        """Edit a copy of the state that is put in place when the block ends well.

        Raises:
            RuntimeError: a writer is called inside the block.
            ValueError: a typed state refuses what a field has come to; it stays as it was.
        """
        async with self._lock.hold():
            edited = _isolated(self._root())
            yield edited
            self._write("", _validated(edited))

    async def clear(self) -> None:
        """Set every key and field back to where it began.

        Raises:
            ValueError: a typed state has fields without a default.
        """
        cls = type(self._root())
        try:
            fresh = cls()
        except ValueError as error:
            raise ValueError(f"State must have defaults for all fields to be cleared: {error}") from error
        await self.set_state(fresh)

    def to_dict(self, serializer: BaseSerializer | None = None) -> dict[str, Any]:
        """Return the state as plain JSON; see `InMemoryStateStore.from_dict`.

        Raises:
            ValueError: something in it cannot be stored; the message names the key.
        """
        state = self._root()
        values = dump_store(codec_for(serializer, self._types), state)
        version = version_of(type(state))
        told = {} if version == 1 else {"version": version}
        return {"state_type": stored_name(type(state)), **told, "values": values}


class InMemoryStateStore(StateStore[S]):
    """A store of its own, beside any run."""

    __slots__ = ("_state",)

    def __init__(self, initial_state: S) -> None:
        self._state = initial_state
        super().__init__(lambda: self._state, self._put, EditLock(), registered([type(initial_state)]))

    @classmethod
    def from_dict(
        cls, serialized_state: Mapping[str, Any], serializer: BaseSerializer | None = None
    ) -> InMemoryStateStore[Any]:
        """Return the store that `to_dict` wrote; an empty one of nothing.

        The class of a typed state must be known: ``JsonSerializer(allowed_types=[...])`` tells it.

        Raises:
            ValueError: it cannot be read; the message says what is wrong.
        """
        if not serialized_state:
            return InMemoryStateStore(DictState())
        known = serializer if isinstance(serializer, JsonSerializer) else JsonSerializer()
        name, values = serialized_state.get("state_type"), serialized_state.get("values")
        if not isinstance(name, str) or not isinstance(values, dict):
            raise ValueError("not a stored state: it needs a state_type, a name, and values, a dict")
        kind = known.with_types(DictState).resolve_class(name)
        if not issubclass(kind, BaseModel):
            raise ValueError(f"not a stored state: {name} is no model")
        return InMemoryStateStore(
            load_store(codec_for(serializer, registered([kind])), kind, values, serialized_state.get("version", 1))
        )

    def _put(self, path: str, value: Any) -> None:
        if path:
            write_path(self._state, path, value)
        else:
            self._state = value


def _validated(state: S) -> S:
    """Return *state* with each declared field as its type makes it: assignments to a model are not checked."""
    cls = type(state)
    if cls.model_fields:
        made = rebuild(cls, {name: getattr(state, name) for name in cls.model_fields}, state.model_extra or {})
        state.__dict__.update({name: getattr(made, name) for name in cls.model_fields})
    return state


def _isolated(state: S) -> S:
    """Copy *state* deeply; of what has no copy, like a lock or an open connection, share the original."""
    copied = state.model_copy()
    memo: dict[int, Any] = {}
    for name, value in state.__dict__.items():
        copied.__dict__[name] = _copied(value, memo)
    if isinstance(state, DictLikeModel) and isinstance(copied, DictLikeModel):
        copied._data = {key: _copied(value, memo) for key, value in state._data.items()}
    return copied


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    try:
        return copy.deepcopy(value, memo)
    except Exception:  # noqa: BLE001 - whatever an author's object answers to being copied
        return value


def _merged(current: S, state: BaseModel) -> S:
    """Return *state* as the new whole, or *current* with the fields of a parent type."""
    cls = type(current)
    if isinstance(state, cls):
        return state
    if isinstance(current, type(state)) and not isinstance(state, DictLikeModel):
        return current.model_copy(update=dict(state))
    raise ValueError(f"State must be of type {cls.__name__} or a parent type, got {type(state).__name__}")
