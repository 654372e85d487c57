"""The home's clear line per tick (R22)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from energymarket.columns import count_of_zeros, total
from energymarket.messages import Receipts
from energymarket.telemetry import Log
from energymarket.units import eur, kwh
from services.home.domain.profile import Profile

_ENERGIES: Final = ("given", "received", "sold", "bought", "unserved", "spilled", "stock")
_COLUMNS: Final = (*(f"{name}_wh" for name in _ENERGIES), "balance_neur")
_NAMES: Final = tuple(f"{name}_kwh" for name in _ENERGIES)


def report_receipts(log: Log, parts: Sequence[Receipts], only: Profile | None) -> None:
    """One line for all the receipts of a tick: the home's own for one that is alone (its profile
    given), the sums for a fleet."""
    if not log.is_enabled_for(20):
        return
    receipts = parts[0]
    if only is None:
        homes, absent = sum(len(part.home) for part in parts), sum(_absent(part) for part in parts)
        sums = _line([sum(total(getattr(part, column)) for part in parts) for column in _COLUMNS])
        log.info(f"tick {receipts.tick}", homes=homes, absent=absent, **sums)
        return
    log.info(
        f"tick {receipts.tick} home {only.home}",
        policy=f"{only.surplus_policy.label}/{only.need_policy.label}",
        net_kwh=kwh(sum(receipts.net_wh)),
        **_line([sum(getattr(receipts, column)) for column in _COLUMNS]),
        **({"gifts": _partners(receipts)} if receipts.gift_wh else {}),
        **({"absent": True} if _absent(receipts) else {}),
    )


def _absent(receipts: Receipts) -> int:
    return count_of_zeros(receipts.present)


def _line(sums: list[int]) -> dict[str, float]:
    """The figures of a line, from numbers in the order of ``_COLUMNS``."""
    *energies_wh, balance_neur = sums
    line = dict(zip(_NAMES, map(kwh, energies_wh), strict=True))
    line["balance_eur"] = eur(balance_neur)
    return line


def _partners(receipts: Receipts) -> str:
    """``3->7:0.25kWh`` for each gift that a home of ours was part of."""
    gifts = zip(receipts.gift_giver, receipts.gift_taker, receipts.gift_wh, strict=True)
    return ",".join(f"{giver}->{taker}:{kwh(wh)}kWh" for giver, taker, wh in gifts)
