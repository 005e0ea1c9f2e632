"""``signoff installs``: where the app is installed, as an operator sees it. Tokens are never shown."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.installs.store import Installation, InstallStore
from bot.settings import Settings
from bot.slack.calls import CALL_TIMEOUT_S, UNCLEAR, code
from bot.stores import installs_of
from engine.errors import CodecError

REFUSED = 1
"""Exit code for an installation that is unknown or cannot be read."""


async def operate(settings: Settings, args: argparse.Namespace) -> int:
    """Do what *args* ask for and return the exit code.

    Raises:
        StoreUnavailable: Redis cannot be reached.
    """
    if not settings.many_workspaces:
        return _complain("SLACK_BOT_TOKEN is set, so there is one workspace and nothing to look after here")
    installs = installs_of(settings)
    try:
        if args.action == "list":
            return _list(await installs.all(), as_json=args.json)
        return max([await _remove(installs, id_, settings.api_base_url, as_json=args.json) for id_ in args.ids])
    except CodecError as error:
        return _complain(str(error))
    finally:
        await installs.close()


def _list(found: Sequence[Installation], *, as_json: bool) -> int:
    if as_json:
        for made in found:
            print(json.dumps(_told(made)))
        return 0
    for made in found:
        since = datetime.fromtimestamp(made.installed_at, UTC).strftime("%Y-%m-%d")
        kind = "organisation" if made.org_wide else "workspace"
        print(f"{made.id:12}  {_state(made):24}  {since}  {kind} {made.name!r}, by {made.installed_by or 'somebody'}")
    if not found:
        print("nowhere")
    return 0


async def _remove(installs: InstallStore, id_: str, api_base_url: str, *, as_json: bool) -> int:
    made = await installs.find(id_)
    if made is None or made.id != id_:
        return _complain(f"no installation {id_}; `signoff installs list` tells which there are")
    problem = await _revoke(made, api_base_url)
    await installs.remove(id_, time.time())
    if as_json:
        print(json.dumps({"install": id_, "did": "remove", "revoked": problem is None}))
    else:
        print(f"{id_} is removed; a worker closes its runs")
    if problem is not None:
        _complain(f"Slack did not take the token of {id_} back: {problem}; remove the app there, too")
    return 0


async def _revoke(made: Installation, api_base_url: str) -> str | None:
    """Have Slack take a token back; return why not, or None."""
    client = AsyncWebClient(base_url=api_base_url, timeout=CALL_TIMEOUT_S)
    try:
        if made.bot_token:
            await client.auth_revoke(token=made.bot_token)
    except SlackApiError as error:
        return code(error)
    except UNCLEAR as error:
        return str(error)
    return None


def _told(made: Installation) -> dict[str, Any]:
    return {
        "install": made.id,
        "name": made.name,
        "team": made.team_id,
        "org": made.enterprise_id,
        "org_wide": made.org_wide,
        "state": _state(made),
        "installed_at": made.installed_at,
        "installed_by": made.installed_by,
        "expires_at": made.expires_at,
        "scopes": list(made.scopes),
    }


def _state(made: Installation) -> str:
    if not made.bot_token:
        return "revoked"
    return f"refused: {made.refused}" if made.refused else "ok"


def _complain(text: str) -> int:
    print(f"signoff: {text}", file=sys.stderr)
    return REFUSED
