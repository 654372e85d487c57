"""A settled tick as people read it: a row of the history of prices."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from energymarket.units import degrees, eur_per_kwh, kwh
from services.market.api.schemas.prices import PriceRow
from services.market.domain.record import DEGRADED_EXTERNAL, DEGRADED_WEATHER
from services.market.ledger import PriceRow as StoredRow


def price_row(row: StoredRow) -> PriceRow:
    """A tick of the history as people read it."""
    return PriceRow(
        tick=row.tick,
        price_eur_per_kwh=eur_per_kwh(row.price_neur_per_wh),
        price_neur_per_wh=row.price_neur_per_wh,
        temperature_c=degrees(row.temperature_mdeg),
        homes=row.homes,
        absent=row.absent,
        given_kwh=kwh(row.given_wh),
        sold_kwh=kwh(row.sold_wh),
        bought_kwh=kwh(row.bought_wh),
        spilled_kwh=kwh(row.spilled_wh),
        unserved_kwh=kwh(row.unserved_wh),
        degraded=_degraded(row.degraded),
        at=datetime.fromtimestamp(row.at, UTC),
        next_price_eur_per_kwh=eur_per_kwh(row.next_price_neur_per_wh),
    )


def _degraded(bits: int) -> list[Literal["weather", "external"]]:
    names: list[Literal["weather", "external"]] = []
    if bits & DEGRADED_WEATHER:
        names.append("weather")
    if bits & DEGRADED_EXTERNAL:
        names.append("external")
    return names
