"""``/ledger``."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from services.market.api.auth import TOKEN_REQUIRED
from services.market.api.context import Context
from services.market.api.download import Download
from services.market.api.openapi import problems
from services.market.api.problems import unavailable

router = APIRouter(tags=["run"])

_MEDIA_TYPE: Final = "application/vnd.sqlite3"


@router.get(
    "/ledger",
    summary="The ledger as a file",
    dependencies=[TOKEN_REQUIRED],
    status_code=200,
    response_class=Download,
    responses=problems(401, 503)
    | {
        200: {
            "description": "an SQLite database",
            "content": {_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def ledger(request: Request, context: Context) -> Download:
    """The whole ledger as of now, as one SQLite file: `energymarket verify` audits it, any program
    that reads SQLite reads it.

    The key that homes' secrets are made from is another one in the file, so that whoever has it
    cannot speak for a home. One copy is made at a time; meanwhile others are answered with 503, as
    they are when the disk has no room for one.
    """
    turn = context.copying
    if turn.locked():
        raise unavailable("another copy of the ledger is being made", retry_after_s=5)
    async with turn:
        file = await run_in_threadpool(context.history.copied, context.stopping.is_set)
    return Download(
        file,
        media_type=_MEDIA_TYPE,
        filename="ledger.db",
        stalled_s=request.app.state.stalled_s,
    )
