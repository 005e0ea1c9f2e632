"""Writes ``docs/api.md`` from the docstrings and signatures in the source: ``python -m docs.make_api``.

The source is read, not imported: a default stands there as its author wrote it.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias, TypeGuard

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "api.md"
MODULES: dict[str, tuple[str, ...]] = {
    "engine": (),
    "engine.context": ("RetryInfo",),
    "engine.step_context": ("StepContext",),
    "engine.core.model": ("Ask",),
    "engine.state_store": ("StateStore", "InMemoryStateStore"),
    "engine.events": (),
    "engine.errors": (),
    "engine.collect": (),
    "engine.retry": (),
    "engine.resource": ("ResourceManager",),
    "engine.serializers": (),
    "engine.testing": (),
    "engine.drawing": (),
    "engine.representation": (),
    "engine.runner": (),
    "engine.verdicts": (),
    "engine.run_store": (),
    "engine.memory_store": ("MemoryRunStore",),
    "engine.redis": (),
    "engine.sealed_store": ("SealedRunStore",),
    "engine.keyring": ("Keyring", "new_key", "PLAIN"),
    "bot": (),
    "bot.plugins": (),
}
"""What is told of, in this order, and which names of it; none: its ``__all__``, or else all that it defines.

What one module has from another is told of once, where it comes first.
"""

LINE = 100
"""Longer signatures take a line for each parameter."""

HEAD = """# What you can import

Written by `make docs` from the docstrings. Times are in seconds, points in time POSIX seconds, unless it says
otherwise. What an author needs most stands first, in `engine`; `bot` adds what speaks with people in Slack.
"""

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Definition: TypeAlias = Function | ast.ClassDef


def page() -> str:
    """Return the whole page."""
    lines = [HEAD]
    for module, names in told().items():
        said, _, _ = (ast.get_docstring(_tree(module)) or "").partition("\n\n=====")  # a table is for its own readers
        lines += [f"## {module}", "", *_text(said)]
        for home, found in names:
            lines += _class(found) if isinstance(found, ast.ClassDef) else _function(home, found)
    return "\n".join(lines).rstrip("\n") + "\n"


def told() -> dict[str, list[tuple[str, Definition]]]:
    """Return by module what is told of it, each with the module that defines it."""
    found: dict[str, list[tuple[str, Definition]]] = {}
    seen: set[tuple[str, str]] = set()
    for module, chosen in MODULES.items():
        for name, home in _names(module, chosen):
            node = definition(home, name)
            if node is not None and (home, name) not in seen:
                seen.add((home, name))
                found.setdefault(module, []).append((home, node))
    return found


# --- What there is ------------------------------------------------------------------------------


@functools.cache
def _tree(module: str) -> ast.Module:
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text("utf-8"))


def _names(module: str, chosen: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the names that are told of a module, each with the module that defines it."""
    body = _tree(module).body
    listed = next((ast.literal_eval(one.value) for one in body if _is_list_of_names(one)), ())
    origins = {
        alias.asname or alias.name: node.module or ""
        for node in body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    defined = [one.name for one in body if isinstance(one, Definition) and not one.name.startswith("_")]
    for name in chosen or listed or dict.fromkeys(defined):
        yield name, origins.get(name, module)


def _is_list_of_names(node: ast.stmt) -> TypeGuard[ast.Assign]:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"


def definition(module: str, name: str) -> Definition | None:
    """Return the last definition of a name: those before it are overloads. None: it is another name for something."""
    return next((one for one in reversed(_tree(module).body) if isinstance(one, Definition) and one.name == name), None)


def _overloads(body: list[ast.stmt], function: Function) -> list[Function]:
    """Return the signatures a function is called by."""
    same = [one for one in body if isinstance(one, Function) and one.name == function.name]
    return [one for one in same if _is_overload(one)] or [function]


def methods(cls: ast.ClassDef) -> list[Function]:
    """Return the public methods of a class, each once."""
    found = [one for one in cls.body if isinstance(one, Function) and not one.name.startswith("_")]
    return [one for one in found if not _is_overload(one)]


def _is_overload(function: Function) -> bool:
    return "overload" in _decorators(function)


def _decorators(node: Definition) -> set[str]:
    return {ast.unparse(one).partition("(")[0] for one in node.decorator_list}


# --- How it is told ------------------------------------------------------------------------------


def _function(home: str, function: Function) -> Iterator[str]:
    yield from (f"### `{function.name}`", "")
    yield from _code(_call(one) for one in _overloads(_tree(home).body, function))
    yield from _text(ast.get_docstring(function))


def _class(cls: ast.ClassDef) -> Iterator[str]:
    made = next((one for one in cls.body if isinstance(one, Function) and one.name == "__init__"), None)
    bases = ", ".join(ast.unparse(base) for base in cls.bases)
    head = f"class {cls.name}({bases})" if bases else f"class {cls.name}"
    yield from (f"### `{cls.name}`", "")
    yield from _code([head, *_fields(cls)] if made is None else [head, _call(made, cls.name)])
    yield from _text(ast.get_docstring(cls))
    if made is not None:
        yield from _text(ast.get_docstring(made))
    for name, said in _attributes(cls):
        yield from (f"`{name}`: {' '.join(said.split())}".replace("``", "`"), "")
    for method in methods(cls):
        if ast.get_docstring(method):  # what has none is said where it was declared first
            yield from _method(cls, method)


def _method(cls: ast.ClassDef, method: Function) -> Iterator[str]:
    if "property" in _decorators(method):
        returns = "" if method.returns is None else f": {ast.unparse(method.returns)}"
        yield from _code([f"{cls.name}.{method.name}{returns}"])
    else:
        yield from _code(_call(one, f"{cls.name}.{one.name}") for one in _overloads(cls.body, method))
    yield from _text(ast.get_docstring(method))


def _fields(cls: ast.ClassDef) -> Iterator[str]:
    for node in cls.body:
        if isinstance(node, ast.AnnAssign) and not ast.unparse(node.target).startswith("_"):
            yield f"    {ast.unparse(node)}"


def _attributes(cls: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Yield each public field that is followed by a text of its own, with that text."""
    for node, after in zip(cls.body, cls.body[1:], strict=False):
        is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if is_text and isinstance(node, ast.AnnAssign) and not ast.unparse(node.target).startswith("_"):
            yield ast.unparse(node.target), str(after.value.value)  # type: ignore[attr-defined]  # is_text says so


def _call(function: Function, name: str = "") -> str:
    """Return how a function is called, on one line if it fits there."""
    parameters = list(_parameters(function))
    head = f"{'async ' if isinstance(function, ast.AsyncFunctionDef) else ''}{name or function.name}"
    returns = "" if function.returns is None or function.name == "__init__" else f" -> {ast.unparse(function.returns)}"
    line = f"{head}({', '.join(parameters)}){returns}"
    if len(line) <= LINE:
        return line
    return "\n".join([f"{head}(", *(f"    {one}," for one in parameters), f"){returns}"])


def _parameters(function: Function) -> Iterator[str]:
    args = function.args
    by_place = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [*[None] * (len(by_place) - len(args.defaults)), *args.defaults]
    for n, (one, default) in enumerate(zip(by_place, defaults, strict=True), 1):
        if n > 1 or not (one.arg == "self" or (one.arg == "cls" and one.annotation is None)):
            yield _parameter(one, default)
        if n == len(args.posonlyargs):
            yield "/"
    if args.vararg is not None or args.kwonlyargs:
        yield "*" if args.vararg is None else f"*{_parameter(args.vararg)}"
    for one, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        yield _parameter(one, default)
    if args.kwarg is not None:
        yield f"**{_parameter(args.kwarg)}"


def _parameter(one: ast.arg, default: ast.expr | None = None) -> str:
    kind = "" if one.annotation is None else f": {ast.unparse(one.annotation)}"
    equals = " = " if kind else "="
    return f"{one.arg}{kind}" + ("" if default is None else f"{equals}{ast.unparse(default)}")


def _code(lines: Iterable[str]) -> Iterator[str]:
    yield from ("```python", *lines, "```", "")


def _text(docstring: str | None) -> Iterator[str]:
    """Turn a docstring into Markdown: its ``Raises:`` block into a list."""
    if docstring is None:
        return
    text, _, raises = docstring.replace("``", "`").partition("\nRaises:\n")
    yield from (text.strip(), "")
    if raises:
        yield from ("Raises:", "")
        for entry in re.split(r"\n(?=    \S)", f"\n{raises}")[1:]:
            name, _, why = " ".join(entry.split()).partition(": ")
            yield f"* `{name}`: {why}"
        yield ""


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
