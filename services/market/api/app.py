"""Builds the API of one market."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
import structlog
from fastapi import Depends, FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.middleware import Middleware

from energymarket import __version__
from energymarket.telemetry import Log
from services.market.api import openapi, problems
from services.market.api.context import ApiContext
from services.market.api.contract import Contract
from services.market.api.feed import STALLED_S, Feed
from services.market.api.guard import Guard
from services.market.api.refusals import refuse_unknown
from services.market.api.routes import ROUTERS, page
from services.market.shown import Shown

_READERS = 4
"""Reads of the ledger at once: few, for they share connections and processor with the market."""


def create_app(
    market: Shown,
    *,
    token: str,
    settings: Mapping[str, Any] | None = None,
    log: Log | None = None,
    command_timeout_s: float = 5.0,
    stalled_s: float = STALLED_S,
) -> FastAPI:
    """The API of ``market`` as an ASGI app.

    ``token`` is the bearer token of writes and must not be empty. ``settings`` are those that
    ``GET /run`` shows: leave out secrets, and addresses with passwords. A command that the market
    has not carried out after ``command_timeout_s`` is answered with 503. A reader of the stream
    whose connection has taken nothing for ``stalled_s`` is cut off.
    """
    if not token:
        raise ValueError("the API needs a token: an empty one would let anybody write")
    context = ApiContext(market, settings or {}, command_timeout_s)
    app = FastAPI(
        title="energymarket",
        version=__version__,
        summary="A local energy market: homes give, sell and buy energy, tick by tick.",
        description=openapi.DESCRIPTION,
        openapi_tags=openapi.TAGS,
        docs_url=None,  # the page of the docs is ours: it works without the internet
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    contract = Contract(app.openapi)
    app.state.context, app.state.token, app.state.contract = context, token, contract
    app.state.stalled_s = stalled_s
    for router in ROUTERS:
        app.include_router(router, dependencies=[Depends(refuse_unknown)])
    app.include_router(page.router, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=page.STATIC), name="static")
    openapi.complete(app)
    problems.install(app, contract)
    app.user_middleware.append(
        Middleware(
            Guard,
            log=log or structlog.get_logger(service="market"),
            metrics=context.metrics,
            template_at=contract.template_at,
        )
    )
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = _READERS
    app.state.feed = Feed(app.state.context, stalled_s=app.state.stalled_s)
    running = asyncio.create_task(app.state.feed.run())
    yield
    running.cancel()
