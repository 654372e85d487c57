"""Prices."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from services.market.api.schemas.base import (
    Answer,
    DegreesC,
    EurPerKwh,
    Kwh,
    NeurPerWh,
    NextCursor,
    Tick,
    like,
)

Degraded = Literal["weather", "external"]


class Price(Answer):
    """The price of the tick that is open, or of the newest while none is."""

    model_config = like(
        tick=17,
        price_eur_per_kwh=0.213456,
        price_neur_per_wh=213456,
        change_eur_per_kwh=-0.00121,
        temperature_c=12.5,
        homes=20,
        at="2026-01-05T12:00:00.250Z",
    )

    tick: Tick
    price_eur_per_kwh: EurPerKwh
    price_neur_per_wh: NeurPerWh
    change_eur_per_kwh: float = Field(
        description="against the tick before; 0 in the first, EUR/kWh"
    )
    temperature_c: DegreesC
    homes: int = Field(ge=0, description="homes that take part in this tick")
    at: datetime = Field(description="when the tick opened, UTC")


class PriceRow(Answer):
    """A settled tick: its price, and what its homes did together."""

    model_config = like(
        tick=16,
        price_eur_per_kwh=0.214666,
        price_neur_per_wh=214666,
        temperature_c=12.25,
        homes=20,
        absent=0,
        given_kwh=3.2,
        sold_kwh=10.75,
        bought_kwh=14.5,
        spilled_kwh=0.4,
        unserved_kwh=0.0,
        degraded=[],
        at="2026-01-05T11:59:59.250Z",
        next_price_eur_per_kwh=0.213456,
    )

    tick: Tick
    price_eur_per_kwh: EurPerKwh
    price_neur_per_wh: NeurPerWh
    temperature_c: DegreesC
    homes: int = Field(ge=0, description="homes of the roster")
    absent: int = Field(ge=0, description="those of them that sent no order in time")
    given_kwh: Kwh
    sold_kwh: Kwh = Field(description="sold by homes to the market, kWh")
    bought_kwh: Kwh = Field(description="bought by homes from the market, kWh")
    spilled_kwh: Kwh = Field(description="that no stock could hold, kWh")
    unserved_kwh: Kwh = Field(description="needed and not got, kWh")
    degraded: list[Degraded] = Field(description="inputs that were not there in time")
    at: datetime = Field(description="when the tick was settled, UTC")
    next_price_eur_per_kwh: float = Field(description="the price that it made, EUR/kWh")


class Prices(Answer):
    """Settled ticks of the half-open interval [from_tick, to_tick), oldest first."""

    from_tick: Tick = Field(description="first tick of the window")
    to_tick: Tick = Field(description="tick after the last of the window")
    limit: int = Field(ge=1, description="most ticks on a page")
    prices: list[PriceRow]
    next_cursor: NextCursor


class Term(Answer):
    """A part of a price."""

    name: str = Field(description="`start`, or what the price model calls it")
    eur_per_kwh: EurPerKwh
    neur_per_wh: NeurPerWh


class PriceTerms(Answer):
    """A price with the terms that made it; they add up to it exactly."""

    model_config = like(
        tick=2,
        status="settled",
        model="normalised",
        price_eur_per_kwh=0.21825,
        price_neur_per_wh=218250,
        terms=[
            {"name": "decay", "eur_per_kwh": 0.15, "neur_per_wh": 150000},
            {"name": "base", "eur_per_kwh": 0.05, "neur_per_wh": 50000},
            {"name": "heating", "eur_per_kwh": 0.01825, "neur_per_wh": 18250},
        ],
    )

    tick: Tick
    status: Literal["settled", "open", "coming"] = Field(
        description="`coming`: fixed by the tick before, and not open yet"
    )
    model: str = Field(description="name of the price model")
    price_eur_per_kwh: EurPerKwh
    price_neur_per_wh: NeurPerWh
    terms: list[Term] = Field(description="they add up to the price exactly")
