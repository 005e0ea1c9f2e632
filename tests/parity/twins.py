"""Runs one and the same file on both engines: once as it stands, once with its imports changed."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from collections.abc import Awaitable, Callable
from importlib.abc import ExecutionLoader
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

Scenario: TypeAlias = Callable[[], Awaitable[object]]

TWIN = "_on_llama"
"""Ends the name of a module whose imports were changed."""


class _WithImportsChanged(ExecutionLoader):
    """Loads a file in which ``from engine... import`` imports from LlamaIndex, and nothing else differs."""

    def __init__(self, path: str) -> None:
        self._path = path

    def get_filename(self, fullname: str) -> str:
        return self._path

    def get_source(self, fullname: str) -> str:
        source = Path(self._path).read_text("utf-8")
        return re.sub(r"^from engine[\w.]* import", "from tests.parity.llama import", source, flags=re.M)


def twin_of(module: ModuleType) -> ModuleType:
    """Return *module* as it is on LlamaIndex."""
    assert module.__file__ is not None
    loader = _WithImportsChanged(module.__file__)
    spec = importlib.util.spec_from_loader(module.__name__ + TWIN, loader)
    assert spec is not None
    twin = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = twin  # annotations, and LlamaIndex's own snapshots, look their names up here
    loader.exec_module(twin)
    return twin


def scenarios_in(module: ModuleType) -> dict[str, Scenario]:
    """Return the scenarios of *module* by name: its public coroutine functions without parameters."""
    return {
        name: found
        for name, found in vars(module).items()
        if inspect.iscoroutinefunction(found)
        and found.__module__ == module.__name__
        and not name.startswith("_")
        and not inspect.signature(found).parameters
    }
