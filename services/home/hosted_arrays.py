"""Many homes of one process, as arrays: see ``hosted``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from energymarket.column_arrays import Flags, column, view
from energymarket.columns import long_column
from energymarket.messages import Welcome
from services.home.domain.profile import PolicyChoice, Profile
from services.home.domain.profile_arrays import profiles_of
from services.home.domain.trading_arrays import intents
from services.home.hosted import Opened
from services.home.orders import OrderRows


class ManyHomes:
    """``Hosted``, all homes at once; no object per home."""

    only_profile: Profile | None = None

    def __init__(self, kind: str, welcome: Welcome, choice: PolicyChoice) -> None:
        self.home_ids: Sequence[int] = long_column(welcome.home)
        self._homes = view(self.home_ids)
        self._profiles = profiles_of(kind, welcome.seed, self.home_ids, choice)
        self._stock_wh = view(welcome.stock_wh).copy()

    def set_stocks(self, homes: Sequence[int], stock_wh: Sequence[int]) -> None:
        ids, stocks = view(homes), view(stock_wh)
        if np.array_equal(ids, self._homes):
            self._stock_wh[:] = stocks
        else:
            ours = np.isin(ids, self._homes)
            self._stock_wh[np.searchsorted(self._homes, ids[ours])] = stocks[ours]

    def orders(self, opened: Opened) -> tuple[OrderRows, OrderRows]:
        profiles = self._profiles
        tick = intents(
            profiles,
            seed=opened.seed,
            tick=opened.tick,
            temperature_mdeg=opened.temperature_mdeg,
            stock_wh=self._stock_wh,
        )

        def rows(chosen: Flags) -> OrderRows:
            return OrderRows(
                home=column(self._homes[chosen]),
                policy=column(tick.policy[chosen]),
                amount_wh=column(tick.amount_wh[chosen]),
                produced_wh=column(profiles.production_wh[chosen]),
                consumed_wh=column(tick.consumed_wh[chosen]),
                stock_wh=column(self._stock_wh[chosen]),
                capacity_wh=column(profiles.capacity_wh[chosen]),
            )

        return rows(tick.is_offer), rows(~tick.is_offer)
