"""``/stream``: server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from energymarket.units import eur_per_kwh
from services.market.api.context import Context
from services.market.api.feed import Feed
from services.market.api.openapi import problems
from services.market.api.problems import Problem
from services.market.api.routes.prices import price_row
from services.market.api.wanted import MAX_TICK

router = APIRouter(tags=["prices"])


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
    response_class=EventSourceResponse,
    responses=problems(),
)
async def stream(
    context: Context,
    feed: Annotated[Feed, Depends(_feed)],
    heard: Annotated[int | None, Depends(_heard)],
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events without end: `tick` for each settled tick, `event` for external events.

    An `event` comes just before the tick in which it begins. The id of a `tick` is its number: a
    browser that lost the connection sends it as `Last-Event-ID` and misses nothing. The data of a
    tick is a row of `/prices`, with the price that follows.
    """
    settled = context.view.last.tick if context.view.last else 0
    # A reader may have heard of later ticks from another market at this address.
    newest = settled if heard is None else min(heard, settled)
    with feed.reader():
        while news := await feed.after(newest):
            for tick in news:
                for event in tick.begun:
                    yield ServerSentEvent(
                        event="event",
                        data={
                            "name": event.start.name,
                            "coefficient_eur_per_kwh": eur_per_kwh(
                                event.start.coefficient_neur_per_wh
                            ),
                            "start_tick": event.start_tick,
                            "ttl_ticks": event.start.ttl_ticks,
                            "source": event.source,
                        },
                    )
                following = tick.row.next_price_neur_per_wh
                data = price_row(tick.row).model_dump(mode="json")
                data["next_price_eur_per_kwh"] = eur_per_kwh(following)
                yield ServerSentEvent(event="tick", id=str(tick.row.tick), data=data)
                newest = tick.row.tick
