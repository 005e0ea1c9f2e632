"""Processes that the playground starts: how they end, and where they listen."""

import asyncio
import os
import socket
import sys

# Run by a bare interpreter that becomes the process: unlike preexec_fn this is safe beside threads.
_DIE_WITH_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 15)  # PR_SET_PDEATHSIG, SIGTERM
if os.getppid() != int(sys.argv[1]):
    sys.exit("the process that wanted this one is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


def die_with_parent() -> list[str]:
    """What to put before a command so that, on Linux, the kernel ends it when the thread that starts it dies."""
    if sys.platform != "linux":
        return []
    return [sys.executable, "-ISc", _DIE_WITH_PARENT, str(os.getpid())]


async def end_process(process: asyncio.subprocess.Process, limit_s: float) -> None:
    """End a process with SIGTERM, and after *limit_s* seconds by force. One that has ended is left alone."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(limit_s):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
