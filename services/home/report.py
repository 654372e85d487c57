"""The home's clear line per tick (R22)."""

from __future__ import annotations

from energymarket.columns import count_of_zeros, total
from energymarket.messages import Receipts
from energymarket.telemetry import Log
from energymarket.units import eur, kwh
from services.home.domain.profile import Profile


def report_receipts(log: Log, receipts: Receipts, only: Profile | None) -> None:
    """One line: the home's own for one that is alone (its profile given), the sums for a fleet."""
    if not log.is_enabled_for(20):
        return
    absent = count_of_zeros(receipts.present)
    line = {
        "given_kwh": kwh(total(receipts.given_wh)),
        "received_kwh": kwh(total(receipts.received_wh)),
        "sold_kwh": kwh(total(receipts.sold_wh)),
        "bought_kwh": kwh(total(receipts.bought_wh)),
        "unserved_kwh": kwh(total(receipts.unserved_wh)),
        "spilled_kwh": kwh(total(receipts.spilled_wh)),
        "stock_kwh": kwh(total(receipts.stock_wh)),
        "balance_eur": eur(total(receipts.balance_neur)),
    }
    if only is None:
        log.info(f"tick {receipts.tick}", homes=len(receipts.home), absent=absent, **line)
        return
    log.info(
        f"tick {receipts.tick} home {only.home}",
        policy=f"{only.surplus_policy.label}/{only.need_policy.label}",
        net_kwh=kwh(total(receipts.net_wh)),
        **line,
        **({"gifts": _partners(receipts)} if receipts.gift_wh else {}),
        **({"absent": True} if absent else {}),
    )


def _partners(receipts: Receipts) -> str:
    """``3->7:0.25kWh`` for each gift that a home of ours was part of."""
    gifts = zip(receipts.gift_giver, receipts.gift_taker, receipts.gift_wh, strict=True)
    return ",".join(f"{giver}->{taker}:{kwh(wh)}kWh" for giver, taker, wh in gifts)
