"""The receipts of a tick, which may come in several messages."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from energymarket.messages import Receipts


class ReceiptParts:
    """Collects the receipts of one tick until every home of the fleet has its own.

    It counts homes, not messages: the market may divide them as it likes, and send any again. One
    without homes brings more of the gifts.
    """

    def __init__(self) -> None:
        self._parts: list[Receipts] = []
        self._homes: set[int] = set()

    def take(self, receipts: Receipts, homes: int) -> list[Receipts]:
        """All parts of the tick once ``homes`` homes have theirs, none before.

        A later tick takes the place of one that never became complete; an earlier one is ignored.
        """
        if not self._parts and len(receipts.home) >= homes:
            return [receipts]
        if self._parts and receipts.tick != self._parts[0].tick:
            if receipts.tick < self._parts[0].tick:
                return []
            self.forget()
        if not receipts.home or not self._homes.issuperset(receipts.home):
            self._homes.update(receipts.home)
            self._parts.append(receipts)
        if len(self._homes) < homes:
            return []
        complete = self._parts
        self.forget()
        return complete

    def forget(self) -> None:
        """Begins anew."""
        self._parts, self._homes = [], set()


def stocks(parts: Sequence[Receipts]) -> tuple[Sequence[int], Sequence[int]]:
    """The homes of all parts and their stocks in Wh."""
    if len(parts) == 1:
        return parts[0].home, parts[0].stock_wh
    return (
        list(chain.from_iterable(part.home for part in parts)),
        list(chain.from_iterable(part.stock_wh for part in parts)),
    )
