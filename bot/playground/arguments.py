"""Reading a Web API call: its arguments however they were sent, its token, and Slack's ways to say no.

`methods.json` beside this file lists each method's arguments and error codes.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from bot.playground.workspace import Json

METHOD_TABLE: Mapping[str, Any] = json.loads(Path(__file__).with_name("methods.json").read_text("utf-8"))["methods"]


class Failure(Exception):
    """A call that ends with `{"ok": false, "error": code}`, which Slack sends with status 200."""

    def __init__(self, code: str, *messages: str, **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.messages = messages
        self.extra = extra

    def to_json(self) -> Json:
        body: Json = {"ok": False, "error": self.code, **self.extra}
        if self.messages:
            body["errors"] = list(self.messages)
            body["response_metadata"] = {"messages": [f"[ERROR] {message}" for message in self.messages]}
        return body


class Arguments:
    """The arguments of one call. Everything may come as text; these look-ups make the types."""

    def __init__(self, values: Json) -> None:
        self.values = {name: value for name, value in values.items() if value is not None}

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str, default: str = "") -> str:
        value = self.values.get(name, default)
        return value if isinstance(value, str) else json.dumps(value)

    def flag(self, name: str) -> bool:
        value = self.values.get(name, False)
        return value if isinstance(value, bool) else str(value).lower() in ("1", "true", "yes")

    def number(self, name: str, default: int) -> int:
        try:
            return int(self.values.get(name, default))
        except (TypeError, ValueError) as error:
            raise Failure("invalid_arguments", f"must be an integer [json-pointer:/{name}]") from error

    def data(self, name: str, code: str) -> Any:
        """The JSON value of *name*, or None if it was not given; *code* is the failure if it cannot be read."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        if not value.strip():
            return None
        try:
            return json.loads(value)
        except ValueError as error:
            raise Failure(code) from error


async def read_arguments(request: web.Request) -> Json:
    """What was sent, from the query and from a form or JSON body. Slack lets a body win over the query.

    Raises:
        Failure: the body is JSON but no object, or of a type Slack does not read.
    """
    values: Json = dict(request.query)
    if request.method != "POST" or not request.can_read_body:
        return values
    if request.content_type == "application/json":
        return values | _json_object(await request.text())
    if request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return values | dict(await request.post())
    if await request.read():
        raise Failure("invalid_post_type" if "Content-Type" in request.headers else "missing_post_type")
    return values


def _json_object(text: str) -> Json:
    try:
        body = json.loads(text or "{}")
    except ValueError as error:
        raise Failure("invalid_json") from error
    if not isinstance(body, dict):
        raise Failure("json_not_object")
    return cast(Json, body)


def token_of(request: web.Request, values: Json) -> str:
    """The token of a call, from the header or the arguments; empty if there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return str(values.get("token") or "")


def check_required(method: str, values: Json) -> None:
    """Complain about arguments that *method* needs and did not get, in Slack's words."""
    known = METHOD_TABLE.get(method, {"args": {}})["args"]
    missing = [name for name, rule in known.items() if rule["required"] and values.get(name) in (None, "")]
    if missing:
        raise Failure("invalid_arguments", *(f"missing required field: {name}" for name in missing))
