"""The external events that are alive: the market keeps the list and drops the dead (R19)."""

from __future__ import annotations

from collections.abc import Iterable

from energymarket.messages import EventStart, LiveEvent


def one_tick_on(alive: Iterable[LiveEvent]) -> list[LiveEvent]:
    """The events of one tick that are alive in the next."""
    return [
        LiveEvent(
            name=event.name,
            coefficient_neur_per_wh=event.coefficient_neur_per_wh,
            remaining_ticks=event.remaining_ticks - 1,
        )
        for event in alive
        if event.remaining_ticks > 1
    ]


def begun(start: EventStart) -> LiveEvent:
    """An event in its first tick."""
    return LiveEvent(
        name=start.name,
        coefficient_neur_per_wh=start.coefficient_neur_per_wh,
        remaining_ticks=start.ttl_ticks,
    )
