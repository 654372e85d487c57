"""The columns of receipts of many homes: see ``receipts``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from energymarket.column_arrays import column, view
from services.market.domain.receipts import Pick
from services.market.domain.record import SettledTick


def derived(settled: SettledTick) -> dict[str, Sequence[int]]:
    """The columns that follow from others, whole columns at once."""
    out, price = settled.outcome, settled.opening.price_neur_per_wh
    bought_less_sold = view(out.bought_wh) - view(out.sold_wh)
    return {
        "present": column((view(settled.orders.policy) != 0).astype(np.int64)),
        "net_wh": column(view(out.received_wh) - view(out.given_wh) + bought_less_sold),
        "charged_neur": column(bought_less_sold * price),
    }


def pick(roster: Sequence[int], homes: Sequence[int]) -> Pick:
    """Picks those of the homes that are in the roster."""
    rows = np.flatnonzero(np.isin(view(roster), view(homes)))
    return lambda values: column(view(values)[rows])
