"""The orders of a tick with many homes, looked at together: see ``replay``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from energymarket.column_arrays import largest, view
from energymarket.policies import Policy
from services.market.domain.settlement import ABSENT, OrderColumns

_FITS: Final = 2**61


def all_possible(orders: OrderColumns, stock_wh: Sequence[int]) -> bool:
    """True when every order can have been taken; False also where 64 bits might not do."""
    policy, amount = view(orders.policy), view(orders.amount_wh)
    produced, consumed, stock = view(orders.produced_wh), view(orders.consumed_wh), view(stock_wh)
    if max(map(largest, (amount, produced, consumed, stock))) >= _FITS:
        return False
    has = stock + produced - consumed
    nothing = (amount == 0) & (produced == 0) & (consumed == 0)
    offer = (amount >= 0) & (amount <= has)
    request = (amount == -has) & (amount > 0)
    last_surplus, last = int(Policy.SELL_IF_NONE), int(Policy.BUY_IF_NONE)
    right = np.where(policy <= last_surplus, offer, request & (policy <= last))
    return bool(np.where(policy == ABSENT, nothing, right & (policy > 0)).all())
