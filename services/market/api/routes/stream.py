"""``/stream``: server-sent events."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query, Request

from services.market.api.context import Context
from services.market.api.feed import Feed
from services.market.api.openapi import problems
from services.market.api.problems import Problem
from services.market.api.stream import NewsStream
from services.market.api.wanted import MAX_TICK

router = APIRouter(tags=["prices"])

_CONTENT: Final = {
    "schema": {"type": "string"},
    "example": 'event: tick\ndata: {"tick": 16, "price_eur_per_kwh": 0.214666, …}\nid: 16\n\n',
}


def _feed(request: Request) -> Feed:
    feed: Feed = request.app.state.feed
    return feed


def _heard(
    last_event_id: Annotated[
        str | None, Header(description="the tick of the newest event that the reader has")
    ] = None,
    from_tick: Annotated[
        int | None, Query(ge=1, le=MAX_TICK, description="the first tick wanted; default: the next")
    ] = None,
) -> int | None:
    """The newest tick that the reader has had; None for one that wants what comes."""
    if last_event_id is None:
        return None if from_tick is None else from_tick - 1
    if not last_event_id.isascii() or not last_event_id.isdigit() or len(last_event_id) > 15:
        raise Problem(422, f"Last-Event-ID is {last_event_id[:40]!r}; it must be a tick's number")
    return int(last_event_id)


@router.get(
    "/stream",
    summary="Ticks as they are settled",
    status_code=200,
    response_class=NewsStream,
    responses=problems() | {200: {"content": {"text/event-stream": _CONTENT}}},
)
async def stream(
    context: Context,
    feed: Annotated[Feed, Depends(_feed)],
    heard: Annotated[int | None, Depends(_heard)],
) -> NewsStream:
    """Server-sent events without end, by name:

    * `tick`, for each settled tick; its id is the tick's number. A browser that lost the connection
      sends it as `Last-Event-ID` and misses nothing, also when the market was started again in
      between. The data is a row of `/prices`, with `next_price_eur_per_kwh`, the `terms` of that
      next price, and the `head_hash` of the ledger.
    * `event`, just before the tick in which an external event begins.
    * `homes`, just before a tick in which more or fewer homes take part than in the one `before`.
    * `clock`, what `GET /clock` answers: at the beginning, at once when somebody changes it, and
      once a second at most while ticks go on. It has no id.

    A reader whose connection takes nothing for 10 seconds is cut off.
    """
    settled = context.view.last.tick if context.view.last else 0
    # A reader may have heard of later ticks from another market at this address.
    return NewsStream(feed, settled if heard is None else min(heard, settled))
