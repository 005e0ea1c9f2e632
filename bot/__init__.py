"""What a workflow file imports to speak with people in Slack."""

from bot.asking.choices import Choice
from bot.asking.forms import SlackUser
from bot.asking.prompts import Escalation, Prompt, literal
from bot.asking.triggers import CommandReceived, shortcut, slash_command
from bot.writing import Brief, Writer, configured_writer, written

__all__ = [
    "Brief",
    "Choice",
    "CommandReceived",
    "Escalation",
    "Prompt",
    "SlackUser",
    "Writer",
    "configured_writer",
    "literal",
    "shortcut",
    "slash_command",
    "written",
]
