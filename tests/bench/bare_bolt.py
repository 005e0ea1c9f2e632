"""The ceiling: a Bolt app that acknowledges commands and clicks and does nothing else. A program of its own."""

from __future__ import annotations

import os
import re
import sys

from aiohttp import web
from slack_bolt.app.async_server import AsyncSlackAppServer
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

ANYTHING = re.compile(".*")


async def acknowledge(ack: AsyncAck) -> None:
    """All that it does."""
    await ack()


def main(port: int, mode: str) -> None:
    """Serve on *port*; *mode* is ``first`` where listeners end before the response, as ours do, else ``default``."""
    app = AsyncApp(
        client=AsyncWebClient(token=os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_BASE_URL"]),
        signing_secret=os.environ["SLACK_SIGNING_SECRET"],
        process_before_response=mode == "first",
    )
    app.command(ANYTHING)(acknowledge)
    app.action(ANYTHING)(acknowledge)
    site = AsyncSlackAppServer(port, "/slack/events", app).web_app
    web.run_app(site, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
