"""Serializers: what an author may give a workflow that keeps values which have no stored form of their own.

They serve runs in process. What is durable is written and read by the codec alone: a run
store may be in many hands, and reading a pickle runs whatever code is in it.
"""

from __future__ import annotations

import base64
import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from engine.core.codec import TAG, Codec
from engine.core.registered import registered
from engine.errors import CodecError

J = TypeVar("J", bound="JsonSerializer")


class BaseSerializer(ABC):
    """Makes text of a value and the value of the text. Subclass it and pass it as ``serializer``.

    A snapshot gives it each value of the state as a whole, and of events only what the
    engine cannot write itself.
    """

    @abstractmethod
    def serialize(self, value: Any) -> str:
        """Return *value* as text; any exception means that it cannot be kept."""

    @abstractmethod
    def deserialize(self, value: str) -> Any:
        """Return the value that `serialize` was given."""


class JsonSerializer(BaseSerializer):
    """Writes JSON, and reads back exactly what was written: dates, sets, tuples, enums and models too.

    It writes and makes objects of *allowed_types*, of what their fields hold and of the engine's own
    events; a workflow adds the classes that it knows. No class is ever imported because data names it.
    """

    def __init__(self, *, allowed_types: Iterable[type] | None = None) -> None:
        """Know *allowed_types*.

        Raises:
            TypeError: one of them is no class, such as a name that would have to be imported.
            ValueError: two of them share a name.
        """
        classes = tuple(allowed_types or ())
        for kind in classes:
            if not isinstance(kind, type):
                raise TypeError(f"allowed_types takes classes, not {kind!r}: what data names is never imported")
        self._know(registered(classes))

    def with_types(self: J, *classes: type) -> J:
        """Return a serializer that also knows *classes* and what their fields hold."""
        return self.with_table(registered(classes))

    def with_table(self: J, types: Mapping[str, type]) -> J:
        """Return a serializer that also knows *types*, by name.

        Raises:
            ValueError: one has the name of another that is known.
        """
        for name, kind in types.items():
            if self._types.get(name, kind) is not kind:
                raise ValueError(
                    f"the serializer allows {self._types[name].__module__}.{name}, but the name stands for "
                    f"{kind.__module__}.{name}; rename one"
                )
        wider = copy.copy(self)
        wider._know({**self._types, **types})
        return wider

    def resolve_class(self, qualified_name: str) -> type:
        """Return the class that data names as stored data does, or by its module and name.

        Raises:
            ValueError: it is not among those allowed.
        """
        if qualified_name in self._types:
            return self._types[qualified_name]
        for kind in self._types.values():
            if f"{kind.__module__}.{kind.__qualname__}" == qualified_name:
                return kind
        raise _not_allowed(qualified_name)

    def serialize_value(self, value: Any) -> Any:
        """Return *value* in terms of JSON's own types; raises as `serialize`."""
        return self.codec.encode(value)

    def deserialize_value(self, data: Any) -> Any:
        """Return the value that `serialize_value` made *data* of; raises as `deserialize`."""
        return self.codec.decode(data)

    def serialize(self, value: Any) -> str:
        """Return *value* as JSON.

        Raises:
            ValueError: something in it has no stored form; the message says where it stands.
        """
        try:
            return self.codec.dumps(value).decode()
        except CodecError as error:
            raise CodecError(f"Failed to serialize value: {type(value)}: {error}") from error

    def deserialize(self, value: str) -> Any:
        """Return the value that `serialize` wrote.

        Raises:
            ValueError: it is not JSON, or names a class that is not allowed, or does not fit its class.
        """
        return self.codec.loads(value.encode())

    def _know(self, types: Mapping[str, type]) -> None:
        self._types = types
        self.codec = self._codec_of(types)

    def _codec_of(self, types: Mapping[str, type]) -> Codec:
        return _JsonCodec(types)


class PickleSerializer(JsonSerializer):
    """Writes JSON, and pickles what JSON cannot carry.

    Reading a pickle runs code that is in it: read only what you wrote yourself. A snapshot that
    holds one is read with a PickleSerializer alone.
    """

    def _codec_of(self, types: Mapping[str, type]) -> Codec:
        return _AssistedCodec(types, "pickle", _pickled, _unpickled)


JsonPickleSerializer = PickleSerializer


def codec_for(serializer: BaseSerializer | None, types: Mapping[str, type]) -> Codec:
    """Return the codec of a workflow that knows *types*, with the help of *serializer*.

    Raises:
        ValueError: a type the serializer allows has the name of another that the workflow knows.
    """
    if serializer is None:
        return Codec(types)
    if isinstance(serializer, JsonSerializer):
        serializer = serializer.with_table(types)
        if type(serializer) in (JsonSerializer, PickleSerializer):
            return serializer.codec
    return _AuthorsCodec(types, "serialized", serializer.serialize, serializer.deserialize)


class _JsonCodec(Codec):
    """The codec, with words for whoever allowed the types."""

    def _class(self, plain: dict[str, Any], where: str, base: type) -> Any:
        if plain["t"] not in self._types:
            raise CodecError(f"{where}: {_not_allowed(plain['t'])}")
        return super()._class(plain, where, base)


class _AssistedCodec(_JsonCodec):
    """Has what it cannot write itself written by somebody else, under a *mark*."""

    def __init__(
        self, types: Mapping[str, type], mark: str, write: Callable[[Any], str], read: Callable[[str], Any]
    ) -> None:
        super().__init__(types)
        self._mark = mark
        self._write = write
        self._read = read

    def encode(self, value: Any, where: str = "value") -> Any:
        try:
            return super().encode(value, where)
        except CodecError as refusal:  # it may hold itself, which shows only at its top
            return self._assisted(value, where, refusal)

    def _encode(self, value: Any, where: str) -> Any:
        try:
            return super()._encode(value, where)
        except CodecError as refusal:
            return self._assisted(value, where, refusal)

    def _assisted(self, value: Any, where: str, refusal: CodecError | None = None) -> dict[str, Any]:
        try:
            written = self._write(value)
        except Exception as error:  # an author's serializer, or the author's class while it is pickled
            raise refusal or CodecError(f"{where}: cannot be serialized: {error}") from error
        if not isinstance(written, str):
            raise CodecError(f"{where}: the serializer returned {type(written).__name__} instead of str")
        return {TAG: self._mark, "v": written}

    def _decode_tagged(self, plain: dict[str, Any], where: str) -> Any:
        if plain[TAG] == self._mark:
            return self._read(plain["v"])
        return super()._decode_tagged(plain, where)


class _AuthorsCodec(_AssistedCodec):
    """Leaves each value of the state to the author's serializer as a whole."""

    def encode_state(self, key: str, value: Any) -> Any:
        return self._assisted(value, f"state.{key}")


def _pickled(value: Any) -> str:
    import pickle  # noqa: PLC0415 - it takes 2 ms to import, and few have use for it

    return base64.b64encode(pickle.dumps(value)).decode("ascii")


def _unpickled(text: str) -> Any:
    import pickle  # noqa: PLC0415

    return pickle.loads(base64.b64decode(text, validate=True))  # noqa: S301 - the caller asked for pickles


def _not_allowed(name: str) -> ValueError:
    return ValueError(
        f"Class {name} is not in the serializer's allowed types. Pass JsonSerializer(allowed_types=[{name}])"
    )
