"""A process that has imported everything, to fork others from: they are at work in a tenth of a second, not in two.

It starts when the first is wanted, with what this module names, and ends with the tests.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

forks = multiprocessing.get_context("forkserver")
forks.set_forkserver_preload(["bot.__main__", "bot.app", "tests.chaos.test_kills"])


def run_bot(arguments: Sequence[str], environment: Mapping[str, str], folder: Path, out: Path, err: Path) -> None:
    """Be ``python -m bot`` with these arguments in *folder*; what it prints is added to *out* and *err*."""
    from bot.__main__ import main  # noqa: PLC0415 - whoever only imports us need not wait for the bot

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: with the process we are forked from
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in ((1, out), (2, err)):
        printed = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(printed, number)
        os.close(printed)
    sys.exit(main(arguments))
