"""Who has given to whom, over several ticks."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nsmallest
from typing import Final, NamedTuple

from energymarket.columns import is_long
from services.market.domain.gifts import Gifts

_ENERGY, _TICKS = 0, 1
_NONE: Final = (0, 0)


class Link(NamedTuple):
    """``giver`` gave ``energy_wh`` to ``taker``, in ``ticks`` of the ticks that were looked at."""

    giver: int
    taker: int
    energy_wh: int
    ticks: int


def strongest(gifts: Sequence[Gifts], limit: int) -> list[Link]:
    """The links with the most energy, at most ``limit``; equal ones by giver, then by taker.

    ``gifts`` are those of one tick each.
    """
    if any(is_long(each.giver) for each in gifts):
        from services.market.domain import flow_arrays  # noqa: PLC0415 - see energymarket.columns

        found = flow_arrays.strongest(gifts, limit)
        if found is not None:
            return [Link(*row) for row in found]
    sums: dict[tuple[int, int], tuple[int, int]] = {}
    for each in gifts:
        for giver, taker, energy_wh in each.rows():
            so_far = sums.get((giver, taker), _NONE)
            sums[giver, taker] = so_far[_ENERGY] + energy_wh, so_far[_TICKS] + 1
    links = (Link(*pair, *found) for pair, found in sums.items())
    return nsmallest(limit, links, key=lambda link: (-link.energy_wh, link.giver, link.taker))
