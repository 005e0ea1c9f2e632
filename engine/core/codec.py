"""Values to JSON and back, exactly: what was stored is what is read, types included.

Classes are written by registered name and looked up in the workflow's own table: nothing
read is ever imported, evaluated or unpickled. What JSON cannot say itself stands in an
object with the key "$", which names how to read it.
"""

from __future__ import annotations

import base64
import copy
import dataclasses
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from engine.core.versions import upcasted, version_of
from engine.errors import CodecError, UnreconstructedException
from engine.events import DictLikeModel, InputRequiredEvent, StopEvent

TAG = "$"

T = TypeVar("T", datetime, time)


class Codec:
    """Writes and reads values whose classes stand in *types*, a table of registered names."""

    def __init__(self, types: Mapping[str, type]) -> None:
        self._know(types)

    def beside(self, types: Mapping[str, type]) -> Codec:
        """Return a codec of the same kind that knows *types* too, before those of its own that are called the same."""
        other = copy.copy(self)
        other._know({**self._types, **types})
        return other

    def _know(self, types: Mapping[str, type]) -> None:
        self._types = types
        self._names: dict[type, str] = {}
        for name, cls in types.items():
            self._names.setdefault(cls, name)  # of several, the first is written

    def dumps(self, value: Any, where: str = "value") -> bytes:
        """Return *value* as JSON.

        Raises:
            CodecError: something in it has no exact stored form; the message says where it stands.
        """
        return write_json(self.encode(value, where))

    def loads(self, data: bytes, where: str = "value") -> Any:
        """Return the value that `dumps` wrote.

        Raises:
            CodecError: it is not JSON, or names an unknown class, or no longer fits its class.
        """
        return self.decode(read_json(data, where), where)

    # --- writing ---------------------------------------------------------------------

    def encode(self, value: Any, where: str = "value") -> Any:
        """Return *value* in terms of JSON's own types.

        Raises:
            CodecError: something in it has no exact stored form; the message says where it stands.
        """
        try:
            return self._encode(value, where)
        except RecursionError:
            raise CodecError(f"{where}: nested too deep to be stored, or holds itself") from None

    def _encode(self, value: Any, where: str) -> Any:
        kind = type(value)
        if (kind is str and value.isascii()) or value is None or kind is bool:  # most are
            return value
        if kind is str:
            return value if _is_text(value) else {TAG: "str", "v": _surrogates_to_text(value)}
        if kind is int:
            return value if -_MANY_DIGITS < value < _MANY_DIGITS else {TAG: "int", "v": hex(value)}
        if kind is float:
            return value if math.isfinite(value) else {TAG: "float", "v": repr(value)}
        if kind is list:
            return [self._encode(item, f"{where}[{n}]") for n, item in enumerate(value)] if value else []
        if kind is dict:
            return self._encode_dict(value, where)
        if isinstance(value, BaseModel):
            return self._encode_model(value, where)
        return self._encode_other(value, where)

    def _encode_other(self, value: Any, where: str) -> Any:
        match value:
            case Flag():
                return {TAG: "flag", "t": self._name(type(value), where), "v": value.value}
            case Enum():
                return {TAG: "enum", "t": self._name(type(value), where), "v": value.name}
            case type():
                return {TAG: "type", "t": self._name(value, where)}
            case UnreconstructedException():
                return {TAG: "error", "t": value.exception_type, "v": self._encode(value.exception_message, where)}
            case Exception():
                return {TAG: "error", "t": type(value).__name__, "v": self._encode(str(value), where)}
        write = _WRITERS.get(type(value))
        if write is not None:
            try:
                return {TAG: type(value).__name__, "v": write(value)}
            except ValueError as error:
                raise CodecError(f"{where}: {error}") from None
        if type(value) in (tuple, set, frozenset):
            items = [self._encode(item, f"{where}[{n}]") for n, item in enumerate(value)]
            return {TAG: type(value).__name__, "v": items if type(value) is tuple else sorted(items, key=write_json)}
        if dataclasses.is_dataclass(value):
            fields = {
                f.name: self._encode(getattr(value, f.name), f"{where}.{f.name}") for f in dataclasses.fields(value)
            }
            return self._versioned({TAG: "data", "t": self._name(type(value), where), "v": fields}, value)
        raise CodecError(f"{where}: a {_called(type(value))} cannot be stored; {_STORABLE}")

    def _encode_dict(self, value: dict[Any, Any], where: str) -> Any:
        if TAG not in value and all(type(key) is str and _is_text(key) for key in value):
            return {key: self._encode(item, f"{where}.{key}") for key, item in value.items()}
        pairs = [[self._encode(k, f"{where} key"), self._encode(v, f"{where}[{k!r}]")] for k, v in value.items()]
        return {TAG: "dict", "v": pairs}

    def _encode_model(self, value: BaseModel, where: str) -> Any:
        kind, fields = type(value), fields_of(value)
        for name, item in fields.items():
            if item is not None and item is not False and (type(item) is not str or not item.isascii()):
                fields[name] = self._encode(item, f"{where}.{name}")
        written: dict[str, Any] = {TAG: "model", "t": self._name(kind, where), "v": fields}
        extra, private = value.__pydantic_extra__, value.__pydantic_private__
        if private and isinstance(value, DictLikeModel):
            extra = private.get("_data") or extra
        if extra:
            written["d"] = self._encode_dict(extra, where)
        if private and isinstance(value, StopEvent) and private.get("_result") is not None:
            written["r"] = self._encode(private["_result"], f"{where}.result")
        if private and isinstance(value, InputRequiredEvent) and private.get("_ask_id") is not None:
            written["a"] = private["_ask_id"]
        return self._versioned(written, value)

    def _versioned(self, written: dict[str, Any], value: Any) -> dict[str, Any]:
        """Add the version of the value's class; it is 1 where none is said."""
        if (version := version_of(type(value))) != 1:
            written["n"] = version
        return written

    def name_now(self, name: str) -> str:
        """Return the name under which a class is written that was stored as *name*."""
        return self._names[self._types[name]] if name in self._types else name

    def _name(self, cls: type, where: str) -> str:
        try:
            return self._names[cls]
        except KeyError:
            raise CodecError(
                f"{where}: class {_called(cls)} is not registered; "
                "name it in a step's annotations, in the workflow's `types` or in JsonSerializer(allowed_types=[...])"
            ) from None

    def encode_state(self, key: str, value: Any) -> Any:
        """Return what stands under *key* in a run's state in terms of JSON's own types.

        Raises:
            CodecError: something in it has no exact stored form; the message names the key.
        """
        return self.encode(value, f"state.{key}")

    # --- reading ---------------------------------------------------------------------

    def decode(self, plain: Any, where: str = "value") -> Any:
        """Return the value that `encode` wrote as *plain*.

        Raises:
            CodecError: it names an unknown class, or does not fit its class; the message says where it stands.
        """
        try:
            return self._decode(plain, where)
        except RecursionError:
            raise CodecError(f"{where}: nested too deep to be read") from None

    def _decode(self, plain: Any, where: str) -> Any:
        if isinstance(plain, list):
            return [self._decode(item, f"{where}[{n}]") for n, item in enumerate(plain)]
        if not isinstance(plain, dict):
            return plain
        if TAG not in plain:
            return self._decode_fields(plain, where)
        try:
            return self._decode_tagged(plain, where)
        except (CodecError, RecursionError):
            raise
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise CodecError(
                f"{where}: stored {plain.get('t')} does not fit its class: {field}: {first['msg']}"
            ) from error
        except Exception as error:  # garbage, or an author's class that refuses it in its own way
            raise CodecError(f"{where}: stored {plain.get(TAG)} cannot be read: {error}") from error

    def _decode_tagged(self, plain: dict[str, Any], where: str) -> Any:
        tag, value = plain[TAG], plain.get("v")
        match tag:
            case "model":
                return self._decode_model(plain, where)
            case "dict":
                return {self._decode(k, where): self._decode(v, f"{where}[{k!r}]") for k, v in plain["v"]}
            case "tuple" | "set" | "frozenset":
                return _COLLECTIONS[tag](self._decode(item, f"{where}[{n}]") for n, item in enumerate(plain["v"]))
            case "enum":
                return self._class(plain, where, Enum)[plain["v"]]
            case "flag":
                return self._class(plain, where, Flag)(plain["v"])
            case "type":
                return self._class(plain, where, object)
            case "data":
                return self._decode_dataclass(plain, where)
            case "error":
                return UnreconstructedException(str(plain["t"]), str(self._decode(value, where)))
            case _ if isinstance(tag, str) and tag in _READERS:
                return _READERS[tag](value)
            case "pickle" | "serialized":  # see `engine.serializers`; what is durable holds neither
                raise CodecError(f"{where}: written by a serializer; pass the same one to read it back")
        raise CodecError(f"{where}: unknown mark {tag!r} in stored data; it was written by a newer version")

    def _decode_model(self, plain: dict[str, Any], where: str) -> BaseModel:
        cls: type[BaseModel] = self._class(plain, where, BaseModel)
        fields = self._decode_fields(plain["v"], where)
        extra: dict[str, Any] = dict(self._decode(plain["d"], where)) if "d" in plain else {}
        version = plain.get("n", 1)
        if version != version_of(cls):
            fields, extra = divided(cls, upcasted(cls, {**extra, **fields}, version, where))
        model = rebuild(cls, fields, extra)
        if isinstance(model, StopEvent):
            model._result = self._decode(plain.get("r"), f"{where}.result")
        if isinstance(model, InputRequiredEvent):
            model._ask_id = plain.get("a")
        return model

    def _decode_dataclass(self, plain: dict[str, Any], where: str) -> Any:
        cls = self._class(plain, where, object)
        values = self._decode_fields(plain["v"], where)
        version = plain.get("n", 1)
        if version != version_of(cls):
            values = upcasted(cls, values, version, where)
        later = {field.name for field in dataclasses.fields(cls) if not field.init}
        made = cls(**{name: value for name, value in values.items() if name not in later})
        for name in later & values.keys():
            object.__setattr__(made, name, values[name])  # it may be frozen
        return made

    def _decode_fields(self, fields: dict[str, Any], where: str) -> dict[str, Any]:
        return {
            name: item if type(item) in _PLAIN else self._decode(item, f"{where}.{name}")
            for name, item in fields.items()
        }

    def _class(self, plain: dict[str, Any], where: str, base: type) -> Any:
        cls = self._types.get(plain["t"])
        if cls is None or not (base is object or issubclass(cls, base)):
            raise CodecError(f"{where}: stored data names {plain['t']!r}, which this workflow does not know")
        return cls


def write_json(plain: Any) -> bytes:
    """Return JSON's own types as bytes."""
    try:
        return to_json(plain)
    except PydanticSerializationError:  # nested deeper than it goes
        import json  # noqa: PLC0415  # hardly anybody needs it, and everybody would wait for it

        return json.dumps(plain).encode()


def read_json(data: bytes, where: str) -> Any:
    """Return what `write_json` wrote.

    Raises:
        CodecError: it is not JSON.
    """
    try:
        return from_json(data)
    except ValueError:
        pass
    import json  # noqa: PLC0415

    try:
        return json.loads(data)  # the other reads no more than 200 levels of nesting
    except (ValueError, RecursionError) as error:
        raise CodecError(f"{where}: not JSON: {error}") from error


_MANY_DIGITS = 10**4000
"""JSON readers refuse integers of more digits than about this."""

_STORABLE = "use JSON values, dates, UUID, Decimal, Enum, bytes, sets, tuples, dataclasses or pydantic models"

_PLAIN = frozenset({str, int, float, bool, type(None)})

_COLLECTIONS: dict[str, Callable[[Any], Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}

_WRITERS: dict[type, Callable[[Any], Any]] = {
    bytes: lambda v: base64.b64encode(v).decode("ascii"),
    datetime: lambda v: _written_time(v),
    date: date.isoformat,
    time: lambda v: _written_time(v),
    timedelta: lambda v: [v.days, v.seconds, v.microseconds],
    Decimal: str,
    UUID: str,
    complex: lambda v: [repr(v.real), repr(v.imag)],
}

_READERS: dict[str, Callable[[Any], Any]] = {
    "str": lambda v: base64.b64decode(v, validate=True).decode("utf-8", "surrogatepass"),
    "float": float,
    "bytes": lambda v: base64.b64decode(v, validate=True),
    "int": lambda v: int(v, 16),
    "datetime": lambda v: _read_time(datetime.fromisoformat(v[0]), *v[1:]),
    "date": date.fromisoformat,
    "time": lambda v: _read_time(time.fromisoformat(v[0]), *v[1:]),
    "timedelta": lambda v: timedelta(v[0], v[1], v[2]),
    "Decimal": Decimal,
    "UUID": UUID,
    "complex": lambda v: complex(float(v[0]), float(v[1])),
}


def _written_time(value: datetime | time) -> list[Any]:
    """A zone with a name is kept by name; any other as what it is ahead of UTC then."""
    zone = value.tzinfo
    if isinstance(zone, ZoneInfo) and zone.key is not None:
        return [value.replace(tzinfo=None).isoformat(), value.fold, zone.key]
    if zone is not None and value.utcoffset() is None:
        raise ValueError(f"the zone of {value!r} cannot be stored; use zoneinfo.ZoneInfo or datetime.timezone")
    return [value.isoformat(), value.fold]


def _read_time(value: T, fold: int, zone: str | None = None) -> T:
    return value.replace(fold=fold) if zone is None else value.replace(fold=fold, tzinfo=ZoneInfo(zone))


M = TypeVar("M", bound=BaseModel)


def divided(cls: type[BaseModel], values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields of a model, and what is beside them."""
    declared = {name: value for name, value in values.items() if name in cls.__pydantic_fields__}
    return declared, {name: value for name, value in values.items() if name not in declared}


def rebuild(cls: type[M], fields: Mapping[str, Any], extra: Mapping[str, Any]) -> M:
    """Return a model of its fields, by name, and its undeclared values.

    Fields are validated again, which tells a class that has changed; so a validator must leave what it
    once returned as it is. Private attributes are what the class makes of them: pydantic's own dump leaves
    them out too, since they are for what is no data, as a connection, a cache or the way back to a parent.
    """
    if not issubclass(cls, DictLikeModel):
        return cls.model_validate({**fields, **extra}, by_alias=False, by_name=True)
    plain = len(cls._accepted) == len(cls.__pydantic_fields__)  # no field goes by an alias
    model = cls(**(fields if plain else {_keyword(cls, name): value for name, value in fields.items()}))
    if extra:
        model._data.update(extra)
    return model


def fields_of(model: BaseModel) -> dict[str, Any]:
    """Return the fields of a model by name, in a dict of its own."""
    held, names = model.__dict__, type(model).__pydantic_fields__
    if held.keys() == names.keys():  # nothing is left out, and no `cached_property` stands beside
        return held.copy()
    return {name: held[name] if name in held else getattr(model, name) for name in names}


def _keyword(cls: type[BaseModel], name: str) -> str:
    """Return what the constructor calls the field *name*."""
    field = cls.__pydantic_fields__.get(name)
    return field.validation_alias if field is not None and isinstance(field.validation_alias, str) else name


def _is_text(value: str) -> bool:
    """Tell whether JSON can carry *value*: lone surrogates it cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _surrogates_to_text(value: str) -> str:
    return base64.b64encode(value.encode("utf-8", "surrogatepass")).decode("ascii")


def _called(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
