"""The HTTP side: Slack's requests behind their signature check, and two questions an operator asks."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_bolt.async_app import AsyncApp

from bot.deadline import heard
from bot.transport.verify import LIMIT_BYTES, SAID, Verifier, guard

DRAIN_S = 5.0
"""How long requests that are being answered may still take when the process stops."""

Check = Callable[[], Awaitable[str | None]]


def application(bolt: AsyncApp, verifier: Verifier | None, path: str, not_ready: Check) -> web.Application:
    """Return the web application; without a *verifier* Slack is reached through a socket and *path* is closed.

    *not_ready* returns why this process cannot do its work, or None.
    """

    async def slack(request: web.Request) -> web.StreamResponse:
        said = await bolt.async_dispatch(heard(request[SAID]))
        return await to_aiohttp_response(said) if said.body else web.Response(status=said.status)

    async def healthz(request: web.Request) -> web.StreamResponse:
        return web.json_response({"ok": True})

    async def readyz(request: web.Request) -> web.StreamResponse:
        reason = await not_ready()
        return web.json_response({"ok": reason is None, "reason": reason}, status=200 if reason is None else 503)

    middlewares = [] if verifier is None else [guard(verifier, path, time.time)]
    app = web.Application(middlewares=middlewares, client_max_size=LIMIT_BYTES)
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz)])
    if verifier is not None:
        app.add_routes([web.post(path, slack)])
    return app


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve *app* while the block runs and yield the port it got.

    Raises:
        OSError: the address is taken.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=DRAIN_S, handle_signals=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
