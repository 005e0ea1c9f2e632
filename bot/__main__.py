"""The command line: ``signoff demo | serve | worker | runs | audit | installs | doctor | manifest | key``."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from bot import logs, manifest, settings
from bot.plugins import PluginError, discover
from engine.errors import StoreUnavailable
from engine.run_store import RunStatus

logger = logging.getLogger("signoff")

STEPS = "step"
"""What the names of threads begin with in which steps work that are plain functions."""
THREADS_S = 1.0
"""How long such a thread may take to end once nobody waits for its step."""
UNREAD = 141
"""Exit code for what nobody read to its end, as of any program in a pipe."""
FAULT = 2
"""Exit code for what whoever called us can mend; the message on stderr says how."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    args = _parser().parse_args(argv)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever reads what we print, as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries once more as it ends
        return UNREAD
    except Exception as error:
        fault = _innermost(error)
        if not isinstance(fault, _faults()):
            raise
        print(f"signoff: {fault}", file=sys.stderr)
        return FAULT
    return code


def _innermost(error: BaseException) -> BaseException:
    """Return what a task group has wrapped, if that is one error."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _faults() -> tuple[type[Exception], ...]:
    """Return the errors that are for people to read, importing no more than has been."""
    known: list[type[Exception]] = [settings.SettingsError, PluginError, StoreUnavailable]
    for module, name in (
        ("bot.identity", "SlackRefused"),
        ("bot.demo", "DemoError"),
        ("bot.playground.valkey", "ValkeyUnavailable"),
        ("bot.playground.server", "StateFileError"),
    ):
        if module in sys.modules:
            known.append(getattr(sys.modules[module], name))
    return (*known, OSError)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="signoff",
        description="Workflows that stop and wait for a person, in Slack.",
        epilog="Settings are read from the environment and from .env here.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="command")

    def command(name: str, told: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=told, description=told)

    demo = command("demo", "try the bot with a private Redis and a fake Slack in your browser")
    demo.add_argument("--port", type=int, default=8765, help="where the page is served (default: %(default)s)")
    demo.add_argument(
        "--folder", type=Path, default=Path(".signoff"), help="where it keeps its data (default: %(default)s)"
    )
    _add_folder(demo)
    demo.set_defaults(run=_demo)

    serve = command("serve", "connect to Slack and work on runs")
    serve.add_argument("--no-worker", action="store_true", help="take requests only; `signoff worker` does the work")
    serve.set_defaults(run=_serve)

    command("worker", "work on runs only").set_defaults(run=_worker)
    _add_runs(command("runs", "look at runs, cancel them, try them again, remove them"))
    _add_audit(command("audit", "print every decision: who, on what exactly, when, which way"))
    _add_installs(command("installs", "see where the app is installed, if many workspaces may install it"))
    doctor = command("doctor", "check settings, workflows, Redis and Slack, and say what to repair")
    doctor.add_argument("--thorough", action="store_true", help="read every key in Redis, too")
    doctor.add_argument("--json", action="store_true", help="print JSON, for machines")
    doctor.set_defaults(run=_doctor)

    command("key", "print a new key for SIGNOFF_ENCRYPTION_KEYS").set_defaults(run=_key)

    told = command("manifest", "print the manifest of the Slack app")
    told.add_argument("--request-url", help="public https address of this bot; without it the app uses Socket Mode")
    told.add_argument(
        "--redirect-url",
        help="for an app that many workspaces install: this bot's address with /slack/oauth_redirect behind it",
    )
    _add_folder(told)
    told.set_defaults(run=_manifest)
    return parser


def _add_folder(parser: argparse.ArgumentParser) -> None:
    default = "SIGNOFF_WORKFLOWS, else workflows/ here, else what comes with Signoff"
    parser.add_argument("--workflows", type=Path, help=f"folder with workflow files (default: {default})")


def _add_runs(parser: argparse.ArgumentParser) -> None:
    """Add ``signoff runs list | show | cancel | retry | fork | redraw | export | purge``."""
    actions = parser.add_subparsers(title="actions", required=True, metavar="action", dest="action")

    def action(name: str, told: str, runs: int | str = 0, *, by: bool = False) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=told, description=told)
        if runs:
            added.add_argument("ids", nargs=runs, metavar="RUN", help="an id, as `signoff runs list` tells it")
        if by:
            added.add_argument("--by", default=_operator(), help="who does it, for the journal (default: %(default)s)")
        added.add_argument("--json", action="store_true", help="print JSON, an object a line")
        added.set_defaults(run=_runs, parser=added)
        return added

    listed = action("list", "list runs, newest first")
    listed.add_argument("--status", action="append", default=[], choices=get_args(RunStatus), help="may be repeated")
    listed.add_argument("--limit", type=_count, default=50, help="how many at most (default: %(default)s)")
    listed.add_argument("--before", metavar="RUN", help="go on below this one")
    _add_filters(listed)
    shown = action("show", "show how a run stands, and why", 1)
    shown.add_argument(
        "--journal", type=_count, default=10, metavar="N", help="last lines of it (default: %(default)s)"
    )
    shown.add_argument("--mermaid", action="store_true", help="draw its path through the workflow instead")
    action("cancel", "ask runs to stop; their questions close at once", "+", by=True)
    action("retry", "let runs that failed, were cancelled or parked go on where they stood", "+", by=True)
    action(
        "fork", "start a copy that goes on from where a run stands; of one that is done, from its start", "+", by=True
    )
    action("redraw", "show the open questions of runs as they are stored, as after a restore", "+", by=True)
    action("export", "print everything that is stored of a run, as JSON", 1)
    purged = action("purge", "remove runs that are over, and all that is stored of them", "*")
    purged.add_argument("--force", action="store_true", help="remove runs that are not over, too")
    _add_filters(purged)


def _add_audit(parser: argparse.ArgumentParser) -> None:
    """Add ``signoff audit``."""
    parser.add_argument("--since", type=_time, metavar="TIME", help="only decisions from then on, as 2026-11-01 (UTC)")
    parser.add_argument("--until", type=_time, metavar="TIME", help="only decisions before then")
    parser.add_argument("--json", action="store_true", help="print JSON, an object a line")
    _add_which(parser)
    parser.set_defaults(run=_runs, parser=parser, action="audit")


def _add_installs(parser: argparse.ArgumentParser) -> None:
    """Add ``signoff installs list | remove``."""
    actions = parser.add_subparsers(title="actions", required=True, metavar="action", dest="action")
    lists, removes = "list workspaces and organisations", "give their tokens back, and close their runs"
    listed = actions.add_parser("list", help=lists, description=lists)
    removed = actions.add_parser("remove", help=removes, description=removes)
    removed.add_argument("ids", nargs="+", metavar="ID", help="as `signoff installs list` tells it")
    for action in (listed, removed):
        action.add_argument("--json", action="store_true", help="print JSON, an object a line")
        action.set_defaults(run=_installs)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--older-than", type=_days, metavar="DAYS", help="only runs started longer ago than that")
    _add_which(parser)


def _add_which(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workflow", metavar="NAME", help="only runs of this workflow")
    parser.add_argument("--requester", metavar="USER", help="only runs that this person started")
    parser.add_argument("--tenant", metavar="TEAM", help="only runs of this Slack workspace")


def _operator() -> str:
    """Return who is at this terminal, as far as the system knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user, as in many a container
        return "operator"


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number, as 20")
    return int(text)


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days, as 30 or 0.5")
    return days


def _time(text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time, as 2026-11-01 or 2026-11-01T09:30Z") from None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


def _demo(args: argparse.Namespace) -> int:
    from bot.demo import demo  # heavy: a playground is no part of serving

    logs.configure("WARNING")
    folder = args.workflows or settings.load_workflows()

    async def run() -> None:
        async with demo(args.folder, folder, args.port) as url:
            print(f"Signoff is ready: {url}", flush=True)
            await _asked_to_stop()
            print("stopping; what waits goes on the next time", flush=True)

    asyncio.run(run())
    return 0


def _serve(args: argparse.Namespace) -> int:
    return _run_app(web=True, worker=not args.no_worker)


def _worker(args: argparse.Namespace) -> int:
    return _run_app(web=False, worker=True)


def _run_app(*, web: bool, worker: bool) -> int:
    from bot.app import App

    chosen = settings.load()
    logs.configure(chosen.log_level, chosen.log_format, chosen.secrets)

    async def run() -> None:
        steps = ThreadPoolExecutor(thread_name_prefix=STEPS)
        asyncio.get_running_loop().set_default_executor(steps)
        async with App(chosen).running(web=web, worker=worker) as ready:
            logger.info("ready", extra={"port": ready.port, "commands": " ".join(ready.commands)})
            await _asked_to_stop()
            logger.info("stopping")
        steps.shutdown(wait=False, cancel_futures=True)
        _leave_threads()

    asyncio.run(run())
    return 0


def _leave_threads() -> None:
    """End the process here if a step that is a plain function is still at work: Python would wait for its thread."""
    threads = [thread for thread in threading.enumerate() if thread.name.startswith(STEPS)]
    until = time.monotonic() + THREADS_S
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        logger.warning("a step is still at work in its thread; its run was given back")
        logging.shutdown()
        os._exit(0)


def _runs(args: argparse.Namespace) -> int:
    from bot.operations.runs import operate

    if args.action == "purge" and bool(args.ids) == (args.older_than is not None):
        args.parser.error("name the runs to be removed, or give --older-than DAYS")
    logs.configure("WARNING")
    return asyncio.run(operate(settings.load_store(), args))


def _installs(args: argparse.Namespace) -> int:
    from bot.operations.installs import operate

    return asyncio.run(operate(settings.load(), args))


def _doctor(args: argparse.Namespace) -> int:
    from bot.operations.doctor import examine

    chosen = settings.load()
    findings = asyncio.run(examine(chosen, thorough=args.thorough))
    well = all(finding.well for finding in findings)
    if args.json:
        print(json.dumps({"well": well, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        print(*findings, sep="\n")
    return 0 if well else 1


def _manifest(args: argparse.Namespace) -> int:
    plugins = discover(args.workflows or settings.load_workflows()).values()
    commands = [plugin.command for plugin in plugins]
    shortcuts = [plugin.shortcut for plugin in plugins if plugin.shortcut is not None]
    built = manifest.build(commands, shortcuts, request_url=args.request_url, redirect_url=args.redirect_url)
    print(manifest.to_yaml(built), end="")
    return 0


def _key(args: argparse.Namespace) -> int:
    from engine.keyring import new_key

    print(new_key())
    return 0


async def _asked_to_stop() -> None:
    """Wait for SIGTERM or Ctrl-C."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, asked.set)
    await asked.wait()


if __name__ == "__main__":
    sys.exit(main())
