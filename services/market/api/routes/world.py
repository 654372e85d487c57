"""``/weather`` and ``/events``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query

from energymarket.messages import LiveEvent
from energymarket.units import degrees, eur_per_kwh
from services.market.api.auth import TOKEN_REQUIRED
from services.market.api.context import Context
from services.market.api.openapi import problems
from services.market.api.problems import Problem
from services.market.api.schemas.world import (
    AliveEvent,
    EventBody,
    Events,
    StoredEvent,
    TickTemperature,
    Weather,
)
from services.market.ledger import StoredEvent as Stored

router = APIRouter(tags=["world"])


@router.get("/weather", summary="The weather, now and coming", responses=problems())
async def weather(context: Context) -> Weather:
    """The temperature of the tick that is open or was last, and of the ticks known after it."""
    view = context.view
    opening = view.opening
    tick = opening.tick if opening else 0
    return Weather(
        now=(
            TickTemperature(tick=tick, temperature_c=degrees(opening.temperature_mdeg))
            if opening
            else None
        ),
        forecast=[
            TickTemperature(tick=coming, temperature_c=degrees(temperature_mdeg))
            for coming, temperature_mdeg in sorted(view.forecast_mdeg.items())
            if coming > tick
        ],
    )


@router.get("/events", summary="External events", response_model=Events, responses=problems(503))
def events(
    context: Context,
    limit: Annotated[
        int, Query(ge=1, le=1_000, description="most events of `coming` and of `past`")
    ] = 100,
) -> Any:
    """Events that are alive, with the ticks they have left; those that are coming, those past."""
    opening = context.view.opening
    tick = opening.tick if opening else 0
    live = opening.events if opening else ()
    stored = context.history.events_alive(tick, len(live))
    past = context.history.events_past(tick, limit)
    coming = context.history.events(from_tick=tick + 1, limit=1_000)
    return Events(
        tick=tick,
        alive=_alive(live, stored, tick),
        coming=[_stored(event) for event in reversed(coming)][:limit],
        past=[_stored(event) for event in past],
    )


def _last_tick(event: Stored) -> int:
    return event.start_tick + event.start.ttl_ticks - 1


def _alive(live: Sequence[LiveEvent], known: Sequence[Stored], tick: int) -> list[AliveEvent]:
    """What is alive, each with its entry in the ledger; what began just now has none yet."""
    stored: dict[tuple[str, int, int], list[Stored]] = {}
    for event in known:
        remaining = _last_tick(event) - tick + 1
        key = event.start.name, event.start.coefficient_neur_per_wh, remaining
        stored.setdefault(key, []).append(event)
    alive = []
    for one in live:
        twins = stored.get((one.name, one.coefficient_neur_per_wh, one.remaining_ticks))
        entry = twins.pop() if twins else None
        alive.append(
            AliveEvent.model_validate(
                {
                    "id": entry.id if entry else None,
                    "name": one.name,
                    "coefficient_eur_per_kwh": eur_per_kwh(one.coefficient_neur_per_wh),
                    "coefficient_neur_per_wh": one.coefficient_neur_per_wh,
                    "start_tick": entry.start_tick if entry else tick,
                    "ttl_ticks": entry.start.ttl_ticks if entry else one.remaining_ticks,
                    "remaining_ticks": one.remaining_ticks,
                    "source": entry.source if entry else "external",
                }
            )
        )
    return alive


def _stored(event: Stored) -> StoredEvent:
    start = event.start
    return StoredEvent.model_validate(
        {
            "id": event.id,
            "name": start.name,
            "coefficient_eur_per_kwh": eur_per_kwh(start.coefficient_neur_per_wh),
            "coefficient_neur_per_wh": start.coefficient_neur_per_wh,
            "start_tick": event.start_tick,
            "ttl_ticks": start.ttl_ticks,
            "last_tick": _last_tick(event),
            "source": event.source,
        }
    )


@router.post(
    "/events",
    status_code=201,
    summary="Start an event",
    dependencies=[TOKEN_REQUIRED],
    responses=problems(401, 409, 413, 415, 503),
)
async def start_event(context: Context, body: EventBody) -> StoredEvent:
    """Has an event begin in the first tick that is not open yet; the answer says which."""
    if context.view.finished:
        raise Problem(409, "the run is over: there is no coming tick that an event could begin in")
    start = body.start()
    event_id, tick = await context.command(lambda: context.market.start_event(start))
    return _stored(Stored(event_id, start, tick, "api"))
