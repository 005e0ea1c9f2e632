"""A fake Slack to try the bot in and to test it against: a real server, no account needed."""

from bot.playground.delivery import DeliveryResult
from bot.playground.platform import AppConfig, CommandInfo, ShortcutInfo
from bot.playground.server import FakeSlack

__all__ = ["AppConfig", "CommandInfo", "DeliveryResult", "FakeSlack", "ShortcutInfo"]
