"""The market's clear line per tick (R22)."""

from __future__ import annotations

import logging

from energymarket.telemetry import Log
from energymarket.units import degrees, eur_per_kwh, kwh
from services.market.domain.record import DEGRADED, SettledTick


def report_tick(log: Log, settled: SettledTick) -> None:
    """Price and its change, temperature, homes, what was traded, the events alive."""
    if not log.is_enabled_for(logging.INFO):
        return
    opening, sums = settled.opening, settled.totals
    price, coming = opening.price_neur_per_wh, settled.next_price_neur_per_wh
    log.info(
        f"tick {settled.tick} settled",
        price_eur_per_kwh=eur_per_kwh(price),
        next_eur_per_kwh=eur_per_kwh(coming),
        change_eur_per_kwh=eur_per_kwh(coming - price),
        temperature_c=degrees(opening.temperature_mdeg),
        homes=len(settled.home),
        absent=settled.absent,
        given_kwh=kwh(sums.given_wh),
        sold_kwh=kwh(sums.sold_wh),
        bought_kwh=kwh(sums.bought_wh),
        unserved_kwh=kwh(sums.unserved_wh),
        spilled_kwh=kwh(sums.spilled_wh),
        events=",".join(f"{e.name}({e.remaining_ticks})" for e in opening.events) or "none",
        **({"degraded": degraded(opening.degraded)} if opening.degraded else {}),
    )


def degraded(bits: int) -> str:
    """The names of the inputs that a degraded tick went without."""
    return ",".join(name for name, bit in DEGRADED.items() if bits & bit)
