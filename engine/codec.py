"""Values to JSON and back, exactly: what was stored is what is read, types included.

Classes are written by registered name and looked up in the workflow's own table: nothing
read is ever imported, evaluated or unpickled. What JSON cannot say itself stands in an
object with the key "$", which names how to read it.
"""

from __future__ import annotations

import base64
import dataclasses
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from engine.errors import CodecError
from engine.events import DictLikeModel, InputRequiredEvent, StopEvent

TAG = "$"


class Codec:
    """Writes and reads values whose classes stand in *types*, a table of registered names."""

    def __init__(self, types: Mapping[str, type]) -> None:
        self._types = types
        self._names = {cls: name for name, cls in types.items()}

    def dumps(self, value: Any, where: str = "value") -> bytes:
        """Return *value* as JSON.

        Raises:
            CodecError: something in it has no exact stored form; the message says where it stands.
        """
        return to_json(self.encode(value, where))

    def loads(self, data: bytes, where: str = "value") -> Any:
        """Return the value that `dumps` wrote.

        Raises:
            CodecError: it is not JSON, or names an unknown class, or no longer fits its class.
        """
        try:
            plain = from_json(data)
        except ValueError as error:
            raise CodecError(f"{where}: not JSON: {error}") from error
        return self.decode(plain, where)

    # --- writing ---------------------------------------------------------------------

    def encode(self, value: Any, where: str = "value") -> Any:
        """Return *value* in terms of JSON's own types."""
        match value:
            case None | True | False:
                return value
            case str() if type(value) is str:
                return value if _is_text(value) else {TAG: "str", "v": _surrogates_to_text(value)}
            case int() if type(value) is int:
                return value
            case float() if type(value) is float:
                return value if math.isfinite(value) else {TAG: "float", "v": repr(value)}
            case list() if type(value) is list:
                return [self.encode(item, f"{where}[{n}]") for n, item in enumerate(value)]
            case dict() if type(value) is dict:
                return self._encode_dict(value, where)
            case BaseModel():
                return self._encode_model(value, where)
            case Enum():
                return {TAG: "enum", "t": self._name(type(value), where), "v": value.name}
            case type():
                return {TAG: "type", "t": self._name(value, where)}
            case UnreconstructedException():
                return {TAG: "error", "t": value.exception_type, "v": value.exception_message}
            case Exception():
                return {TAG: "error", "t": type(value).__name__, "v": str(value)}
        write = _WRITERS.get(type(value))
        if write is not None:
            return {TAG: type(value).__name__, "v": write(value)}
        if type(value) in (tuple, set, frozenset):
            items = [self.encode(item, f"{where}[{n}]") for n, item in enumerate(value)]
            return {TAG: type(value).__name__, "v": items if type(value) is tuple else sorted(items, key=to_json)}
        if dataclasses.is_dataclass(value):
            fields = {
                f.name: self.encode(getattr(value, f.name), f"{where}.{f.name}") for f in dataclasses.fields(value)
            }
            return {TAG: "data", "t": self._name(type(value), where), "v": fields}
        raise CodecError(f"{where}: a {_called(type(value))} cannot be stored; {_STORABLE}")

    def _encode_dict(self, value: dict[Any, Any], where: str) -> Any:
        if TAG not in value and all(type(key) is str and _is_text(key) for key in value):
            return {key: self.encode(item, f"{where}.{key}") for key, item in value.items()}
        pairs = [[self.encode(k, f"{where} key"), self.encode(v, f"{where}[{k!r}]")] for k, v in value.items()]
        return {TAG: "dict", "v": pairs}

    def _encode_model(self, value: BaseModel, where: str) -> Any:
        fields = {name: self.encode(getattr(value, name), f"{where}.{name}") for name in type(value).model_fields}
        written: dict[str, Any] = {TAG: "model", "t": self._name(type(value), where), "v": fields}
        if isinstance(value, DictLikeModel) and value._data:
            written["d"] = self._encode_dict(value._data, where)
        elif value.model_extra:
            written["d"] = self._encode_dict(value.model_extra, where)
        if isinstance(value, StopEvent) and value._result is not None:
            written["r"] = self.encode(value._result, f"{where}.result")
        if isinstance(value, InputRequiredEvent) and value._ask_id is not None:
            written["a"] = value._ask_id
        return written

    def _name(self, cls: type, where: str) -> str:
        try:
            return self._names[cls]
        except KeyError:
            raise CodecError(
                f"{where}: class {_called(cls)} is not registered; "
                "name it in a step's annotations or in the workflow's `types`"
            ) from None

    # --- reading ---------------------------------------------------------------------

    def decode(self, plain: Any, where: str = "value") -> Any:
        """Return the value that `encode` wrote as *plain*."""
        if isinstance(plain, list):
            return [self.decode(item, f"{where}[{n}]") for n, item in enumerate(plain)]
        if not isinstance(plain, dict):
            return plain
        if TAG not in plain:
            return {key: self.decode(item, f"{where}.{key}") for key, item in plain.items()}
        try:
            return self._decode_tagged(plain, where)
        except CodecError:
            raise
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise CodecError(
                f"{where}: stored {plain.get('t')} does not fit its class: {field}: {first['msg']}"
            ) from error
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise CodecError(f"{where}: stored {plain.get(TAG)} cannot be read: {error}") from error

    def _decode_tagged(self, plain: dict[str, Any], where: str) -> Any:
        tag, value = plain[TAG], plain.get("v")
        match tag:
            case "model":
                return self._decode_model(plain, where)
            case "dict":
                return {self.decode(k, where): self.decode(v, where) for k, v in plain["v"]}
            case "tuple" | "set" | "frozenset":
                return _COLLECTIONS[tag](self.decode(item, f"{where}[{n}]") for n, item in enumerate(plain["v"]))
            case "enum":
                return self._class(plain, where, Enum)[plain["v"]]
            case "type":
                return self._class(plain, where, object)
            case "data":
                cls = self._class(plain, where, object)
                return cls(**{name: self.decode(item, f"{where}.{name}") for name, item in plain["v"].items()})
            case "error":
                return UnreconstructedException(str(plain["t"]), str(plain["v"]))
            case _ if isinstance(tag, str) and tag in _READERS:
                return _READERS[tag](value)
        raise CodecError(f"{where}: unknown mark {tag!r} in stored data; it was written by a newer version")

    def _decode_model(self, plain: dict[str, Any], where: str) -> BaseModel:
        cls: type[BaseModel] = self._class(plain, where, BaseModel)
        fields = {name: self.decode(item, f"{where}.{name}") for name, item in plain["v"].items()}
        extra = {key: self.decode(item, f"{where}.{key}") for key, item in plain.get("d", {}).items()}
        if not issubclass(cls, DictLikeModel):
            return cls.model_validate({**fields, **extra}, by_alias=False, by_name=True)
        model = cls.model_validate(fields, by_alias=False, by_name=True)
        model._data.update(extra)
        if isinstance(model, StopEvent):
            model._result = self.decode(plain.get("r"), f"{where}.result")
        if isinstance(model, InputRequiredEvent):
            model._ask_id = plain.get("a")
        return model

    def _class(self, plain: dict[str, Any], where: str, base: type) -> Any:
        cls = self._types.get(plain["t"])
        if cls is None or not (base is object or issubclass(cls, base)):
            raise CodecError(f"{where}: stored data names {plain['t']!r}, which this workflow does not know")
        return cls


class UnreconstructedException(Exception):
    """Stands for an exception of a run that was stored: its class name and message."""

    def __init__(self, exception_type: str, exception_message: str) -> None:
        super().__init__(f"{exception_type}: {exception_message}")
        self.exception_type = exception_type
        self.exception_message = exception_message


_STORABLE = "use JSON values, dates, UUID, Decimal, Enum, bytes, sets, tuples, dataclasses or pydantic models"

_COLLECTIONS: dict[str, Callable[[Any], Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}

_WRITERS: dict[type, Callable[[Any], Any]] = {
    bytes: lambda v: base64.b64encode(v).decode("ascii"),
    datetime: lambda v: [v.isoformat(), v.fold],
    date: date.isoformat,
    time: lambda v: [v.isoformat(), v.fold],
    timedelta: lambda v: [v.days, v.seconds, v.microseconds],
    Decimal: str,
    UUID: str,
    complex: lambda v: [repr(v.real), repr(v.imag)],
}

_READERS: dict[str, Callable[[Any], Any]] = {
    "str": lambda v: base64.b64decode(v, validate=True).decode("utf-8", "surrogatepass"),
    "float": float,
    "bytes": lambda v: base64.b64decode(v, validate=True),
    "datetime": lambda v: datetime.fromisoformat(v[0]).replace(fold=v[1]),
    "date": date.fromisoformat,
    "time": lambda v: time.fromisoformat(v[0]).replace(fold=v[1]),
    "timedelta": lambda v: timedelta(v[0], v[1], v[2]),
    "Decimal": Decimal,
    "UUID": UUID,
    "complex": lambda v: complex(float(v[0]), float(v[1])),
}


def _is_text(value: str) -> bool:
    """Tell whether JSON can carry *value*: lone surrogates it cannot."""
    return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)


def _surrogates_to_text(value: str) -> str:
    return base64.b64encode(value.encode("utf-8", "surrogatepass")).decode("ascii")


def _called(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
