"""The gifts of a tick as columns, and those of them that touch some homes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from energymarket.columns import is_long
from services.market.domain.matching import Gift, pair_gifts


@dataclass(frozen=True, slots=True)
class Gifts:
    """``giver[i]`` gave ``energy_wh[i]`` to ``taker[i]``. Givers ascend, and so do takers."""

    giver: Sequence[int]
    taker: Sequence[int]
    energy_wh: Sequence[int]

    @classmethod
    def paired(
        cls, homes: Sequence[int], given_wh: Sequence[int], received_wh: Sequence[int]
    ) -> Gifts:
        """What ``pair_gifts`` pairs."""
        if is_long(given_wh):
            from services.market.domain import gift_arrays  # noqa: PLC0415 - see columns

            return cls(*gift_arrays.paired(homes, given_wh, received_wh))
        gifts = pair_gifts(homes, given_wh, received_wh)
        return cls([g[0] for g in gifts], [g[1] for g in gifts], [g[2] for g in gifts])

    def rows(self) -> list[Gift]:
        """All gifts, one by one."""
        return list(zip(self.giver, self.taker, self.energy_wh, strict=True))

    def touching(self, homes: Sequence[int]) -> Gifts:
        """The gifts of which one of these ascending homes is giver or taker, each once."""
        if not self.giver:
            return self
        if is_long(homes) and is_long(self.giver) and homes:
            from services.market.domain import gift_arrays  # noqa: PLC0415 - see columns

            chosen = gift_arrays.touching(self.giver, self.taker, homes)
            if chosen is None:
                return self
            return Gifts(
                *(gift_arrays.taken(c, chosen) for c in (self.giver, self.taker, self.energy_wh))
            )
        if len(homes) == 1:
            given, received = _stretch(self.giver, homes[0]), _stretch(self.taker, homes[0])
            if given.start == given.stop or received.start == received.stop:
                one = received if given.start == given.stop else given
                return Gifts(self.giver[one], self.taker[one], self.energy_wh[one])
        return self._at(sorted(set(self._positions(homes))))

    def _positions(self, homes: Iterable[int]) -> Iterable[int]:
        for column in (self.giver, self.taker):
            for home in homes:
                stretch = _stretch(column, home)
                yield from range(stretch.start, stretch.stop)

    def _at(self, positions: Sequence[int]) -> Gifts:
        if len(positions) == len(self.giver):
            return self
        return Gifts(
            [self.giver[i] for i in positions],
            [self.taker[i] for i in positions],
            [self.energy_wh[i] for i in positions],
        )


def _stretch(column: Sequence[int], home: int) -> slice:
    """Where a home stands in an ascending column."""
    first = bisect_left(column, home)
    if first == len(column) or column[first] != home:
        return slice(first, first)
    return slice(first, bisect_right(column, home, first))
