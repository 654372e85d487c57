"""Who has given to whom in ticks of many homes, on whole columns: see ``flows``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from energymarket.column_arrays import largest, view
from services.market.domain.gifts import Gifts

_FITS: Final = 2**63


def strongest(gifts: Sequence[Gifts], limit: int) -> Iterable[tuple[int, int, int, int]] | None:
    """``flows.strongest`` as (giver, taker, energy in Wh, ticks); None when a sum could be beyond
    64 bits."""
    giver, taker, energy = (
        np.concatenate([view(column) for column in columns])
        for columns in zip(*((g.giver, g.taker, g.energy_wh) for g in gifts), strict=True)
    )
    if largest(energy) * len(energy) >= _FITS:
        return None
    order = np.lexsort((taker, giver))
    giver, taker, energy = giver[order], taker[order], energy[order]
    new = np.append(True, (giver[1:] != giver[:-1]) | (taker[1:] != taker[:-1]))
    starts = np.flatnonzero(new[: len(giver)])
    sums = np.add.reduceat(energy, starts) if starts.size else energy[:0]
    ticks = np.diff(np.append(starts, len(giver)))
    # They are in the order of their pairs already, which a stable sort keeps among equal ones.
    best = starts[chosen := np.argsort(-sums, kind="stable")[:limit]]
    columns = (giver[best], taker[best], sums[chosen], ticks[chosen])
    return zip(*(column.tolist() for column in columns), strict=True)
