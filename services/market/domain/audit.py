"""The invariants of a settled tick as residuals: 0 each, or something is wrong.

I1 per home: stock' = stock + produced + received + bought + unserved - consumed - given - sold -
spilled, no term below zero, stock' within the capacity. I2: given = received, and the money of all
homes and the market sums to 0, the market holding the counterpart of every sale and purchase. I3:
every home of the roster has exactly one outcome, a receipt or a recorded absence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from energymarket.columns import is_long
from services.market.domain.record import SettledTick
from services.market.domain.settlement import ABSENT, Roster


@dataclass(frozen=True, slots=True)
class Residuals:
    """How far a tick is from each invariant; the sums of absolute deviations."""

    energy_wh: int = 0
    gifts_wh: int = 0
    money_neur: int = 0
    bounds: int = 0
    """Rows with a term below zero or a stock beyond its capacity."""
    outcomes: int = 0
    """Homes of the roster with no outcome or several, and outcomes of homes not in it."""

    @property
    def ok(self) -> bool:
        return self == Residuals()

    def plus(self, other: Residuals) -> Residuals:
        return Residuals(
            energy_wh=self.energy_wh + other.energy_wh,
            gifts_wh=self.gifts_wh + other.gifts_wh,
            money_neur=self.money_neur + other.money_neur,
            bounds=self.bounds + other.bounds,
            outcomes=self.outcomes + other.outcomes,
        )


def residuals(before: Roster, settled: SettledTick) -> Residuals:
    """The residuals of a tick, given the accounts of its roster before it.

    Where outcomes and roster are not of the same homes, only that is told.
    """
    if unmatched := _unmatched(before.home, settled.home):
        return Residuals(outcomes=unmatched)
    if is_long(settled.home):
        from services.market.domain import audit_arrays  # noqa: PLC0415 - see columns

        if found := audit_arrays.residuals(before, settled):
            return found
    return residuals_one_by_one(before, settled)


def residuals_one_by_one(before: Roster, settled: SettledTick) -> Residuals:
    """``residuals``, home by home: the reference."""
    orders, out = settled.orders, settled.outcome
    energy_wh = money_neur = bounds = 0
    price = settled.opening.price_neur_per_wh
    rows = zip(
        before.stock_wh,
        before.balance_neur,
        orders.policy,
        orders.produced_wh,
        orders.consumed_wh,
        orders.capacity_wh,
        out.given_wh,
        out.received_wh,
        out.sold_wh,
        out.bought_wh,
        out.spilled_wh,
        out.unserved_wh,
        out.stock_wh,
        out.balance_neur,
        strict=True,
    )
    for (
        stock, balance, policy, produced, consumed, capacity,
        given, received, sold, bought, spilled, unserved, new_stock, new_balance,
    ) in rows:  # fmt: skip
        energy_wh += abs(
            stock + produced + received + bought + unserved
            - consumed - given - sold - spilled - new_stock
        )  # fmt: skip
        money_neur += abs(new_balance - balance - (sold - bought) * price)
        terms = (produced, consumed, given, received, sold, bought, spilled, unserved, new_stock)
        if min(terms) < 0 or (policy != ABSENT and new_stock > capacity):
            bounds += 1
    return Residuals(
        energy_wh=energy_wh,
        gifts_wh=abs(sum(out.given_wh) - sum(out.received_wh)),
        money_neur=money_neur,
        bounds=bounds,
    )


def _unmatched(roster: Sequence[int], outcomes: Sequence[int]) -> int:
    if roster == outcomes:
        return 0
    wanted, found = Counter(roster), Counter(outcomes)
    return (wanted - found).total() + (found - wanted).total()
