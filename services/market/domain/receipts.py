"""The columns of a receipt: some rows of a settled tick, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Chosen(Protocol):
    """Some rows of a settled tick, in ascending home id."""

    def of(self, column: Sequence[int]) -> Sequence[int]:
        """These rows of a column."""

    def present(self, policy: Sequence[int]) -> Sequence[int]:
        """1 where a home traded, 0 where it was absent; ``policy`` is that of all rows."""

    def net_wh(
        self,
        received_wh: Sequence[int],
        bought_wh: Sequence[int],
        given_wh: Sequence[int],
        sold_wh: Sequence[int],
    ) -> Sequence[int]:
        """What came in less what went out, from the columns of these rows."""

    def charged_neur(
        self, price_neur_per_wh: int, bought_wh: Sequence[int], sold_wh: Sequence[int]
    ) -> Sequence[int]:
        """What the homes pay, from the columns of these rows."""


@dataclass(frozen=True, slots=True)
class FewRows:
    """``Chosen``, row by row."""

    rows: Sequence[int]

    def of(self, column: Sequence[int]) -> Sequence[int]:
        return [column[row] for row in self.rows]

    def present(self, policy: Sequence[int]) -> Sequence[int]:
        return [1 if policy[row] else 0 for row in self.rows]

    def net_wh(
        self,
        received_wh: Sequence[int],
        bought_wh: Sequence[int],
        given_wh: Sequence[int],
        sold_wh: Sequence[int],
    ) -> Sequence[int]:
        columns = zip(received_wh, bought_wh, given_wh, sold_wh, strict=True)
        return [received + bought - given - sold for received, bought, given, sold in columns]

    def charged_neur(
        self, price_neur_per_wh: int, bought_wh: Sequence[int], sold_wh: Sequence[int]
    ) -> Sequence[int]:
        columns = zip(bought_wh, sold_wh, strict=True)
        return [price_neur_per_wh * (bought - sold) for bought, sold in columns]
