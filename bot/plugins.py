"""Finds workflows: a folder's Python files, loaded by path and never by import name.

The folder must not become a package: LlamaIndex ships a package called ``workflows``, and
the two would shadow or merge with each other.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from bot.asking.triggers import BUILT_IN, CommandReceived, MessageShortcut, SlashCommand, command_of, shortcut_of
from engine.core.model import Definition
from engine.core.questions import answer_classes
from engine.events import HumanResponseEvent, InputRequiredEvent
from engine.workflow import Workflow

NAMESPACE = "_signoff_workflows"


class PluginError(Exception):
    """Workflow files cannot be used; the message has a line for each, with file, line and reason."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A slash command and the workflow it starts."""

    command: SlashCommand
    workflow: Workflow
    path: Path
    shortcut: MessageShortcut | None = None
    """What starts it from the menu of a message, too."""


def discover(folder: Path) -> dict[str, Plugin]:
    """Return the plug-in behind each slash command found in *folder*; files named ``_...`` are left out.

    Raises:
        PluginError: files fail to load, declare no command, or claim what another one has.
    """
    if not folder.is_dir():
        raise PluginError(f"{folder}: no such folder; SIGNOFF_WORKFLOWS names the one with your workflow files")
    found: dict[str, Plugin] = {}
    problems: list[str] = []
    for path in sorted(folder.glob("[!_]*.py")):
        try:
            for plugin in _plugins_in(path):
                _claim(found, plugin)
        except PluginError as error:
            problems.append(str(error))
    if problems:
        raise PluginError("\n".join(problems))
    return found


def load(path: Path) -> ModuleType:
    """Run one workflow file under a private module name and return the module, as tests do.

    Raises:
        PluginError: it cannot be read or compiled, or its code raises.
    """
    folder = hashlib.sha256(str(path.parent.resolve()).encode()).hexdigest()[:8]
    name = f"{NAMESPACE}.{folder}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # annotations are resolved through sys.modules
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _refused(path, error) from error
    return module


def _plugins_in(path: Path) -> list[Plugin]:
    module = load(path)
    plugins = []
    for kind in vars(module).values():
        if isinstance(kind, type) and kind.__module__ == module.__name__ and (command := command_of(kind)) is not None:
            if not issubclass(kind, Workflow):
                raise PluginError(f"{_at(path, kind)}: {kind.__name__} has {command.command} but is no Workflow")
            plugins.append(Plugin(command, _checked(path, kind), path, shortcut_of(kind)))
    if not plugins:
        raise PluginError(f"{path}: no class with @slash_command; put one on a Workflow, or name the file _{path.name}")
    return plugins


def _checked(path: Path, kind: type[Workflow]) -> Workflow:
    """Return an instance whose graph makes sense and begins with what a command sends."""
    try:
        workflow = kind()
        Workflow.validate(workflow)
        start = workflow.start_event_class
    except Exception as error:
        raise _refused(path, error, kind) from error
    if start is not CommandReceived:
        raise PluginError(
            f"{_at(path, kind)}: {kind.__name__} begins with {start.__name__}; a slash command sends CommandReceived, "
            "so annotate its first step ev: CommandReceived"
        )
    if asking := _unheard(workflow.definition):
        raise PluginError(
            f"{_at(path, kind, repr(asking))}: {kind.__name__}.{asking} asks a question, but no step takes the answer; "
            "write one that does, ev: HumanResponseEvent"
        )
    return workflow


def _unheard(definition: Definition) -> str:
    """Return a step that asks what people would answer in vain; "" if there is none."""
    if definition.accepting(HumanResponseEvent) or answer_classes(definition):
        return ""
    steps = [step for step in definition.steps.values() if "dead_end" not in step.skip_checks]
    return next((s.name for s in steps if any(issubclass(made, InputRequiredEvent) for made in s.returns)), "")


def _claim(found: dict[str, Plugin], plugin: Plugin) -> None:
    command, kind = plugin.command.command, type(plugin.workflow).__name__
    if command in [built_in.command for built_in in BUILT_IN]:
        raise PluginError(f"{plugin.path}: {command} is built in; choose another command")
    for other in found.values():
        if other.command.command == command:
            raise PluginError(f"{plugin.path}: {command} is taken by {other.path}; choose another command")
        if (taken := plugin.shortcut) and other.shortcut and taken.callback_id == other.shortcut.callback_id:
            raise PluginError(f"{plugin.path}: the shortcut {taken.name!r} is taken by {other.path}; rename it")
        if type(other.workflow).__name__ == kind:
            raise PluginError(f"{plugin.path}: a class {kind} is in {other.path} too; stored runs go by it, rename one")
    found[command] = plugin


def _refused(path: Path, error: BaseException, workflow: type[Workflow] | None = None) -> PluginError:
    said = " ".join((error.msg if isinstance(error, SyntaxError) else str(error)).split())
    line, kind = _line_of(path, error), type(error).__name__
    where = f"{path}:{line}" if line else f"{path}" if workflow is None else _at(path, workflow, said)
    subject = "" if workflow is None else workflow.__name__
    return PluginError(": ".join(filter(None, [where, subject, f"{kind}: {said}" if said else kind])))


def _at(path: Path, kind: type, said: str = "") -> str:
    """Return where the step stands that an error names, or the class; the file alone where neither can be found."""
    steps = [step for name, step in vars(kind).items() if f"'{name}'" in said and inspect.isfunction(step)]
    try:
        return f"{path}:{inspect.getsourcelines(steps[0] if steps else kind)[1]}"
    except OSError:
        return f"{path}"


def _line_of(path: Path, error: BaseException) -> int | None:
    """Return the line of *path* that is to blame: of its syntax, or the last one that ran."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] if lines else None
