"""The table of crashes: complete, and true of the tests that it names."""

import ast
import re

from tests.behaviours import HERE

TABLE = HERE / "chaos" / "crash_table.md"
ROW = re.compile(r"^\| (?!crash \||---)(.+?) \| .+? \| (.*) \|$", re.MULTILINE)
CRASHES = 16


def rows() -> dict[str, list[str]]:
    """Return the tests of each crash, as ``chaos/test_kills.py::test_...``."""
    return {crash: re.findall(r"`([^`]+::[^`]+)`", tests) for crash, tests in ROW.findall(TABLE.read_text("utf-8"))}


def is_there(test: str) -> bool:
    path, _, name = test.partition("::")
    nodes = ast.parse((HERE / path).read_text("utf-8")).body
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name for node in nodes)


def test_every_crash_has_a_test() -> None:
    assert len(rows()) == CRASHES
    assert all(rows().values())


def test_every_test_that_the_table_names_is_there() -> None:
    named = [test for tests in rows().values() for test in tests]

    assert [test for test in named if not is_there(test)] == []
