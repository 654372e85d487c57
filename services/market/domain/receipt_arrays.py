"""The columns of a receipt of many homes: see ``receipts``.

Of a settled tick, whose balances fit into 64 bits, no net amount and no charge can leave them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from energymarket.column_arrays import Numbers, column, view
from energymarket.columns import Rows, long_column


@dataclass(frozen=True, slots=True)
class ManyRows:
    """``receipts.Chosen``, whole columns at once."""

    rows: slice | Numbers

    def of(self, values: Sequence[int]) -> Sequence[int]:
        if isinstance(self.rows, slice):
            return long_column(values)[self.rows]
        return column(view(values)[self.rows])

    def present(self, policy: Sequence[int]) -> Sequence[int]:
        return column((view(policy)[self.rows] != 0).astype(np.int64))

    def net_wh(
        self,
        received_wh: Sequence[int],
        bought_wh: Sequence[int],
        given_wh: Sequence[int],
        sold_wh: Sequence[int],
    ) -> Sequence[int]:
        return column(view(received_wh) + view(bought_wh) - view(given_wh) - view(sold_wh))

    def charged_neur(
        self, price_neur_per_wh: int, bought_wh: Sequence[int], sold_wh: Sequence[int]
    ) -> Sequence[int]:
        return column((view(bought_wh) - view(sold_wh)) * price_neur_per_wh)


def chosen(roster: Sequence[int], rows: Rows, homes: Sequence[int]) -> ManyRows:
    """The rows of those ascending homes that are in the roster."""
    stretch = rows.stretch(homes)
    if stretch is not None:
        return ManyRows(stretch)
    return ManyRows(np.flatnonzero(np.isin(view(roster), view(homes))))
