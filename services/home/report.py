"""The home's clear line per tick (R22)."""

from __future__ import annotations

from collections.abc import Sequence

from energymarket.columns import count_of_zeros, total
from energymarket.messages import Receipts
from energymarket.telemetry import Log
from energymarket.units import eur, kwh
from services.home.domain.profile import Profile


def report_receipts(log: Log, parts: Sequence[Receipts], only: Profile | None) -> None:
    """One line for all the receipts of a tick: the home's own for one that is alone (its profile
    given), the sums for a fleet."""
    if not log.is_enabled_for(20):
        return

    def sum_of(column: str) -> int:
        return sum(total(getattr(part, column)) for part in parts)

    receipts = parts[0]
    absent = sum(count_of_zeros(part.present) for part in parts)
    line = {
        **{
            f"{name}_kwh": kwh(sum_of(f"{name}_wh"))
            for name in ("given", "received", "sold", "bought", "unserved", "spilled", "stock")
        },
        "balance_eur": eur(sum_of("balance_neur")),
    }
    if only is None:
        homes = sum(len(part.home) for part in parts)
        log.info(f"tick {receipts.tick}", homes=homes, absent=absent, **line)
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
