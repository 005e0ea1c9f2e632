"""What a workflow file imports to speak with people in Slack."""

from bot.prompts import Choice, Escalation, Prompt, literal
from bot.triggers import CommandReceived, slash_command

__all__ = ["Choice", "CommandReceived", "Escalation", "Prompt", "literal", "slash_command"]
