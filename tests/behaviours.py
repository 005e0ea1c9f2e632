"""Which test pins which promise: keeps the tables in ``behaviours.md`` and ``acceptance.md``.

A test names what it pins in its docstring, as in ``Behaviour 8, 17.`` or ``Acceptance 13; Security 4.``; the
claims are written by hand in the tables. ``make docs`` fills in their columns of tests anew.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
BEHAVIOURS, ACCEPTANCE = HERE / "behaviours.md", HERE / "acceptance.md"
KINDS = ("Behaviour", "Acceptance", "Security", "Adversarial")
NAMED = re.compile(rf"\b({'|'.join(KINDS)}) (\d+(?:, \d+)*)")
ROW = re.compile(r"^\| (?:(\w+) )?(\d+) \| (.+?) \| .*\|$", re.MULTILINE)


def pins() -> dict[str, list[str]]:
    """Return the tests that name each promise, as ``unit/test_readme.py::test_...``, in order of file and line."""
    found: dict[str, list[str]] = {}
    for path in sorted(HERE.rglob("test_*.py")):
        for test, docstring in _tests(path):
            named = (f"{kind} {number}" for kind, numbers in NAMED.findall(docstring) for number in numbers.split(", "))
            for name in dict.fromkeys(named):
                found.setdefault(name, []).append(f"{path.relative_to(HERE).as_posix()}::{test}")
    return found


def claims(table: str) -> dict[str, str]:
    """Return what a table promises, by name; a number alone is a behaviour's."""
    return {_name(row): row[3] for row in ROW.finditer(table)}


def written_anew(table: str) -> str:
    """Return the table with its column of tests as the docstrings have it."""
    found = pins()
    return ROW.sub(lambda row: f"{_kept(row)} {_cell(found.get(_name(row), []))} |", table)


def _tests(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name, ast.get_docstring(node) or ""


def _name(row: re.Match[str]) -> str:
    return f"{row[1] or KINDS[0]} {row[2]}"


def _kept(row: re.Match[str]) -> str:
    return f"| {row[1] + ' ' if row[1] else ''}{row[2]} | {row[3]} |"


def _cell(tests: list[str]) -> str:
    return "<br>".join(f"`{test}`" for test in tests)


if __name__ == "__main__":
    for page in (BEHAVIOURS, ACCEPTANCE):
        page.write_text(written_anew(page.read_text("utf-8")), "utf-8")
