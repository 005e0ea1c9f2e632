"""Which test pins which promise: keeps the table in ``behaviours.md``.

A test names what it pins at the beginning of its docstring, as in ``Behaviour 8, 17.``; the claims are
written by hand in the table. ``make docs`` fills in its column of tests anew.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
TABLE = HERE / "behaviours.md"
NAMED = re.compile(r"Behaviour (\d+(?:, \d+)*)[.:]")
ROW = re.compile(r"^\| (\d+) \| (.+?) \| .*\|$", re.MULTILINE)


def pins() -> dict[int, list[str]]:
    """Return the tests that name each number, as ``unit/test_waiting.py::test_...``, in order of file and line."""
    found: dict[int, list[str]] = {}
    for path in sorted(HERE.rglob("test_*.py")):
        for name, docstring in _tests(path):
            named = NAMED.match(docstring)
            for number in named[1].split(", ") if named else ():
                found.setdefault(int(number), []).append(f"{path.relative_to(HERE).as_posix()}::{name}")
    return found


def claims(table: str) -> dict[int, str]:
    """Return what the table promises, by number."""
    return {int(number): claim for number, claim in ROW.findall(table)}


def written_anew(table: str) -> str:
    """Return the table with its column of tests as the docstrings have it."""
    found = pins()
    return ROW.sub(lambda row: f"| {row[1]} | {row[2]} | {_cell(found.get(int(row[1]), []))} |", table)


def _tests(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name, ast.get_docstring(node) or ""


def _cell(tests: list[str]) -> str:
    return "<br>".join(f"`{test}`" for test in tests)


if __name__ == "__main__":
    TABLE.write_text(written_anew(TABLE.read_text("utf-8")), "utf-8")
