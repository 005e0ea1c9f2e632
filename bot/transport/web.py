"""The HTTP side: Slack's requests behind their signature check, and what an operator asks."""

from __future__ import annotations

import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import SecretStr
from slack_bolt.adapter.aiohttp import to_aiohttp_response

from bot.transport.dispatch import Dispatch
from bot.transport.verify import LIMIT_BYTES, SAID, Verifier, guard

DRAIN_S = 5.0
"""How long requests that are being answered may still take when the process stops."""

Check = Callable[[], Awaitable[str | None]]


def application(dispatch: Dispatch, verifier: Verifier | None, path: str, not_ready: Check) -> web.Application:
    """Return the web application; without a *verifier* Slack is reached through a socket and *path* is closed.

    *not_ready* returns why this process cannot do its work, or None.
    """

    async def slack(request: web.Request) -> web.StreamResponse:
        said = await dispatch(request[SAID])
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


def bare(*routes: web.RouteDef) -> web.Application:
    """Return a web application of *routes* and nothing else."""
    app = web.Application()
    app.add_routes(routes)
    return app


def metrics(page: Callable[[], Awaitable[bytes]], token: SecretStr) -> web.RouteDef:
    """Return the way to the *page* of metrics, for whoever brings *token* as a bearer."""
    wanted = f"Bearer {token.get_secret_value()}".encode()

    async def show(request: web.Request) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode(errors="surrogateescape")
        if not hmac.compare_digest(given, wanted):
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
        return web.Response(body=await page(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return web.get("/metrics", show)


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
