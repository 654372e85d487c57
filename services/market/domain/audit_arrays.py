"""The residuals of a tick with many homes, on whole columns: see ``audit``."""

from __future__ import annotations

from typing import Final

import numpy as np

from energymarket.column_arrays import Numbers, bits_of, largest, view
from services.market.domain.audit import Residuals
from services.market.domain.record import SettledTick
from services.market.domain.settlement import ABSENT, Roster

_FITS: Final = 2**63
_LARGEST_ENERGY_WH: Final = 2**40


def residuals(before: Roster, settled: SettledTick) -> Residuals | None:
    """The residuals of a tick whose outcomes are of its roster's homes; None where 64 bits might
    not do, or where a term is below zero."""
    orders, out = settled.orders, settled.outcome
    try:
        stock, balance = view(before.stock_wh), view(before.balance_neur)
        policy, capacity = view(orders.policy), view(orders.capacity_wh)
        produced, consumed = view(orders.produced_wh), view(orders.consumed_wh)
        new_stock, new_balance = view(out.stock_wh), view(out.balance_neur)
        given, received = view(out.given_wh), view(out.received_wh)
        sold, bought = view(out.sold_wh), view(out.bought_wh)
        spilled, unserved = view(out.spilled_wh), view(out.unserved_wh)
    except OverflowError:
        return None
    price = settled.opening.price_neur_per_wh
    # One number per row with the bits of all its terms: below zero if one of them is.
    terms = produced | consumed | given | received | sold | bought | spilled | unserved | new_stock
    bits = bits_of(terms | stock)
    money = largest(balance) + largest(new_balance) + 2 * bits * abs(price)
    if not 0 <= bits <= _LARGEST_ENERGY_WH or bits * len(terms) >= _FITS or money >= _FITS:
        return None
    has = stock + produced + received + bought + unserved
    used = consumed + given + sold + spilled + new_stock
    paid = new_balance - balance - (sold - bought) * price
    out_of_bounds = (policy != ABSENT) & (new_stock > capacity)
    return Residuals(
        energy_wh=_sum_of_sizes(has - used),
        gifts_wh=abs(int(np.add.reduce(given)) - int(np.add.reduce(received))),
        money_neur=_sum_of_sizes(paid),
        bounds=int(np.count_nonzero(out_of_bounds)),
    )


def _sum_of_sizes(deviations: Numbers) -> int:
    """The sum of absolute values; as a rule all of them are 0."""
    if not deviations.any():
        return 0
    return sum(map(abs, deviations[deviations != 0].tolist()))
