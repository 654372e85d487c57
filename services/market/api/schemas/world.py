"""Weather and external events."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from energymarket.messages import EventStart
from energymarket.units import NEUR_PER_WH_IN_EUR_PER_KWH
from services.market.api.schemas.base import (
    Answer,
    DegreesC,
    EurPerKwh,
    NeurPerWh,
    Tick,
    like,
    whole,
)

Source = Literal["external", "api"]
EventName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        pattern=r"^[a-z][a-z0-9_]*$",
        description="several events of one name add up to one term of the price",
        examples=["heat_wave"],
    ),
]
TtlTicks = Annotated[int, Field(ge=1, le=100_000, description="how many ticks it lives")]


class TickTemperature(Answer):
    """The temperature of a tick."""

    tick: Tick
    temperature_c: DegreesC


class Weather(Answer):
    """The temperature now, and those that are known of the coming ticks."""

    model_config = like(
        now={"tick": 17, "temperature_c": 12.5},
        forecast=[{"tick": 18, "temperature_c": 12.875}, {"tick": 19, "temperature_c": 13.25}],
    )

    now: TickTemperature | None = Field(description="null before the first tick")
    forecast: list[TickTemperature] = Field(description="by tick")


class AliveEvent(Answer):
    """An external event that is alive in the open tick."""

    id: int | None = Field(description="null until the tick that it began in is settled")
    name: EventName
    coefficient_eur_per_kwh: EurPerKwh
    coefficient_neur_per_wh: NeurPerWh
    start_tick: Tick
    ttl_ticks: TtlTicks
    remaining_ticks: int = Field(ge=1, description="this tick counts")
    source: Source


class StoredEvent(Answer):
    """An external event that is over, or still to begin."""

    id: int
    name: EventName
    coefficient_eur_per_kwh: EurPerKwh
    coefficient_neur_per_wh: NeurPerWh
    start_tick: Tick
    ttl_ticks: TtlTicks
    last_tick: Tick = Field(description="the last tick that it is alive in")
    source: Source


class Events(Answer):
    """External events, as of the tick that is open or the newest that was."""

    tick: Tick = Field(description="0 before the first")
    alive: list[AliveEvent]
    coming: list[StoredEvent] = Field(description="next first")
    past: list[StoredEvent] = Field(description="newest first")


class EventBody(BaseModel):
    """An event to start: what it adds to the price each tick, and for how long."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        json_schema_extra={
            "example": {"name": "heat_wave", "coefficient_eur_per_kwh": 0.05, "ttl_ticks": 12}
        },
    )

    name: EventName
    coefficient_eur_per_kwh: float = Field(
        ge=-1_000_000,
        le=1_000_000,
        allow_inf_nan=False,
        description="added to the price in each tick, rounded to six decimals; below zero lowers "
        "it, EUR/kWh",
    )
    ttl_ticks: Annotated[TtlTicks, BeforeValidator(whole)]

    def start(self) -> EventStart:
        """The event in the market's units; halves are rounded to even."""
        exact = Decimal(repr(self.coefficient_eur_per_kwh)) * NEUR_PER_WH_IN_EUR_PER_KWH
        return EventStart(
            name=self.name,
            coefficient_neur_per_wh=int(exact.to_integral_value(ROUND_HALF_EVEN)),
            ttl_ticks=self.ttl_ticks,
        )
