"""The policies of many homes, learnt at once: see ``books``."""

from __future__ import annotations

import numpy as np

from energymarket.column_arrays import view
from energymarket.policies import Policy
from services.market.domain.accounts import stretch_of
from services.market.domain.record import SettledTick


def learn(surplus: bytearray, need: bytearray, settled: SettledTick) -> None:
    """Notes the policies of a tick's orders; row 0 is home 1, and there is room for every home."""
    policy = view(settled.orders.policy).astype(np.uint8)
    stretch = stretch_of(settled.home)
    rows = view(settled.home) - 1 if stretch is None else stretch
    needs = policy >= int(Policy.ASK_ONLY)
    offers = (policy > 0) & ~needs
    for known, shown in ((surplus, offers), (need, needs)):
        of_all = np.frombuffer(known, dtype=np.uint8)
        of_all[rows] = np.where(shown, policy, of_all[rows])
