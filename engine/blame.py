"""Where an author's code went wrong: what the log and the journal say of an error."""

from __future__ import annotations

import os
import traceback

TOLD_CHARS = 200
"""How much of an error's own words is told."""


def told(error: BaseException, step: str) -> str:
    """Return what an error says and, if an author's code can be blamed for it, which line."""
    said = f"{type(error).__name__}: {error}"[:TOLD_CHARS]
    line = line_of(error, step)
    return f"{said} (step {step}, {line})" if line else said


def line_of(error: BaseException, step: str) -> str:
    """Return the line of a step's file, or of one beside it, that led to *error*, as "deploy.py:12"; "" if none did.

    It is the innermost of them, so that a library which a step calls is not blamed. No value can be read from it.
    """
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    folder = next((os.path.dirname(code.co_filename) for code, _ in frames if code.co_name == step), None)
    lines = [(code, line) for code, line in frames if os.path.dirname(code.co_filename) == folder]
    return f"{os.path.basename(lines[-1][0].co_filename)}:{lines[-1][1]}" if lines else ""
