"""The kinds of external events, and which of them start in a tick: a pure function of the seed.

Each kind is drawn on its own stream of randomness, named after it, so that a kind that is added to
a catalogue or taken away leaves the others' events where they were.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from energymarket.messages import EventStart
from energymarket.randomness import draw, draw_between

CERTAIN: Final = 1 << 32
"""A probability of 1: probabilities are whole parts per 2**32."""


@dataclass(frozen=True, slots=True)
class EventKind:
    """A kind of event.

    In each tick one starts with ``probability_per_2_32``. It then adds a coefficient, uniform
    between its lowest and highest (nEUR/Wh, below zero lowers the price), to the price of each tick
    that it lives, and lives a number of ticks, uniform between its lowest and highest.
    """

    name: str
    title: str
    description: str
    probability_per_2_32: int
    lowest_coefficient_neur_per_wh: int
    highest_coefficient_neur_per_wh: int
    lowest_ttl_ticks: int
    highest_ttl_ticks: int


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All kinds of events that can happen, in the order of the file they came from."""

    name: str
    kinds: tuple[EventKind, ...]


def events_starting(catalogue: Catalogue, seed: int, tick: int) -> tuple[EventStart, ...]:
    """The events that start in ``tick``, at most one of each kind; most often none."""
    return tuple(
        _start(kind, seed, tick)
        for kind in catalogue.kinds
        if draw(seed, f"external.{kind.name}", 0, tick) >> 32 < kind.probability_per_2_32
    )


def _start(kind: EventKind, seed: int, tick: int) -> EventStart:
    return EventStart(
        name=kind.name,
        coefficient_neur_per_wh=draw_between(
            seed,
            f"external.{kind.name}.coefficient",
            0,
            tick,
            kind.lowest_coefficient_neur_per_wh,
            kind.highest_coefficient_neur_per_wh,
        ),
        ttl_ticks=draw_between(
            seed,
            f"external.{kind.name}.ttl",
            0,
            tick,
            kind.lowest_ttl_ticks,
            kind.highest_ttl_ticks,
        ),
    )
