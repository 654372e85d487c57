"""The home's clear line per tick (R22)."""

from __future__ import annotations

from collections.abc import Sequence

from energymarket.messages import Receipts
from energymarket.telemetry import Log
from energymarket.units import eur, kwh
from services.home.domain.profile import Profile


def report_receipts(log: Log, parts: Sequence[Receipts], profiles: Sequence[Profile]) -> None:
    """One line for all the receipts of a tick: the home's own for a single one, the sums for a
    fleet."""
    if not log.is_enabled_for(20):
        return

    def total(column: str) -> int:
        return sum(sum(getattr(part, column)) for part in parts)

    tick = parts[0].tick
    homes = sum(len(part.home) for part in parts)
    absent = homes - total("present")
    line = {
        **{
            f"{name}_kwh": kwh(total(f"{name}_wh"))
            for name in ("given", "received", "sold", "bought", "unserved", "spilled", "stock")
        },
        "balance_eur": eur(total("balance_neur")),
    }
    if len(profiles) != 1:
        log.info(f"tick {tick}", homes=homes, absent=absent, **line)
        return
    profile, receipts = profiles[0], parts[0]
    log.info(
        f"tick {tick} home {profile.home}",
        policy=f"{profile.surplus_policy.label}/{profile.need_policy.label}",
        net_kwh=kwh(total("net_wh")),
        **line,
        **({"gifts": _partners(receipts)} if receipts.gift_wh else {}),
        **({"absent": True} if absent else {}),
    )


def _partners(receipts: Receipts) -> str:
    """``3->7:0.25kWh`` for each gift that a home of ours was part of."""
    gifts = zip(receipts.gift_giver, receipts.gift_taker, receipts.gift_wh, strict=True)
    return ",".join(f"{giver}->{taker}:{kwh(wh)}kWh" for giver, taker, wh in gifts)
