"""The demo as people start it, a process of its own with a folder of its own, and a Chromium to look at it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, ViewportSize, expect, sync_playwright

from bot.playground.processes import free_port

ROOT = Path(__file__).parents[2]
LIMIT_S = 30.0
"""Far more than anything here takes; who waits that long has failed."""
POLL_S = 0.05
VIEWPORT: ViewportSize = {"width": 1280, "height": 800}
CHROMIUM_ARGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run"
    " --disable-background-networking --disable-component-update --disable-sync"
).split()


class Demo:
    """``signoff demo`` on one port and one folder, which it comes back to after each start."""

    def __init__(self, folder: Path, workflows: Path = ROOT / "workflows") -> None:
        self.url = ""
        self._folder = folder
        self._workflows = workflows
        self._port = free_port()
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait for the address it prints."""
        command = [sys.executable, "-m", "bot", "demo", "--folder", str(self._folder), "--port", str(self._port)]
        command += ["--workflows", str(self._workflows)]
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("SLACK_", "SIGNOFF_", "REDIS_"))
        }
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**clean, "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said.startswith("Signoff is ready: http://"), said
        self.url = said.split()[-1]

    def stop(self) -> None:
        """Ask it to end, as Ctrl-C does; neither it nor anything it started may be left."""
        if self._process is None:
            return
        process, self._process = self._process, None
        family = [process.pid, *descendants(process.pid)]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0
        until(lambda: not set(family) & set(processes()))

    def kill_bot(self) -> None:
        """SIGKILL the bot, as a crash does, and wait until the demo has brought it back."""
        assert self._process is not None
        before = self._times_ready()
        os.kill(self._bot(), signal.SIGKILL)
        until(lambda: self._times_ready() > before)

    def log(self) -> str:
        """What the bot has logged so far."""
        return (self._folder / "bot.log").read_text()

    def _bot(self) -> int:
        assert self._process is not None
        found = processes()
        return next(pid for pid in descendants(self._process.pid) if found[pid][1].endswith("-m bot serve"))

    def _times_ready(self) -> int:
        return self.log().count("signoff ready")


@contextmanager
def running(folder: Path, workflows: Path = ROOT / "workflows") -> Iterator[Demo]:
    """A demo that runs while the block does, and of whose bot no traceback is left behind."""
    found = Demo(folder, workflows)
    try:
        found.start()
        yield found
    finally:
        found.stop()
    assert "Traceback" not in found.log()


def processes() -> dict[int, tuple[int, str]]:
    """Each process there is: its parent and its command line. The dead do not count."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat=,args="], check=True, capture_output=True, text=True)
    rows = [line.split(None, 3) for line in listed.stdout.splitlines()]
    return {int(row[0]): (int(row[1]), row[-1]) for row in rows if not row[2].startswith("Z")}


def descendants(pid: int) -> list[int]:
    """The children of a process, theirs, and so on."""
    found = processes()
    family = [pid]
    for parent in family:  # grows as it goes
        family += [child for child, (its_parent, _) in found.items() if its_parent == parent]
    return family[1:]


def until(claim: Callable[[], bool]) -> None:
    """Look at other processes again and again until *claim* holds."""
    deadline = time.monotonic() + LIMIT_S
    while not claim():
        assert time.monotonic() < deadline, "it did not become so"
        time.sleep(POLL_S)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser that is patient while the block runs: $CHROMIUM, or one by its usual names."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = next((found for name in names if name and (found := shutil.which(name))), None)
    assert program, "no Chromium found: install one, or say where it is in $CHROMIUM"
    expect.set_options(timeout=LIMIT_S * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGS)
        yield browser
        browser.close()
