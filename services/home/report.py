"""The home's clear line per tick (R22)."""

from __future__ import annotations

from collections.abc import Sequence

from energymarket.messages import Receipts
from energymarket.telemetry import Log
from energymarket.units import eur, kwh
from services.home.domain.profile import Profile


def report_receipts(log: Log, receipts: Receipts, profiles: Sequence[Profile]) -> None:
    """One line: the home's own for a single one, the sums for a fleet."""
    if not log.is_enabled_for(20):
        return
    absent = len(receipts.present) - sum(receipts.present)
    line = {
        "given_kwh": kwh(sum(receipts.given_wh)),
        "received_kwh": kwh(sum(receipts.received_wh)),
        "sold_kwh": kwh(sum(receipts.sold_wh)),
        "bought_kwh": kwh(sum(receipts.bought_wh)),
        "unserved_kwh": kwh(sum(receipts.unserved_wh)),
        "spilled_kwh": kwh(sum(receipts.spilled_wh)),
        "stock_kwh": kwh(sum(receipts.stock_wh)),
        "balance_eur": eur(sum(receipts.balance_neur)),
    }
    if len(profiles) != 1:
        log.info(f"tick {receipts.tick}", homes=len(receipts.home), absent=absent, **line)
        return
    profile = profiles[0]
    log.info(
        f"tick {receipts.tick} home {profile.home}",
        policy=f"{profile.surplus_policy.label}/{profile.need_policy.label}",
        net_kwh=kwh(sum(receipts.net_wh)),
        **line,
        **({"gifts": _partners(receipts)} if receipts.gift_wh else {}),
        **({"absent": True} if absent else {}),
    )


def _partners(receipts: Receipts) -> str:
    """``3->7:0.25kWh`` for each gift that a home of ours was part of."""
    gifts = zip(receipts.gift_giver, receipts.gift_taker, receipts.gift_wh, strict=True)
    return ",".join(f"{giver}->{taker}:{kwh(wh)}kWh" for giver, taker, wh in gifts)
