"""The gifts of a tick with many homes, on whole columns: see ``gifts``."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np

from energymarket.column_arrays import Numbers, column, view


def paired(
    homes: Sequence[int], given_wh: Sequence[int], received_wh: Sequence[int]
) -> tuple[array[int], array[int], array[int]]:
    """``matching.pair_gifts`` as columns: (givers, takers, energies in Wh).

    Laid end to end, what givers give and what takers get are two ways to cut one length; each piece
    between neighbouring cuts is a gift.
    """
    home, given, received = view(homes), view(given_wh), view(received_wh)
    (givers,), (takers,) = given.nonzero(), received.nonzero()
    given_to, taken_to = given[givers].cumsum(), received[takers].cumsum()
    cuts = np.concatenate((given_to, taken_to))
    cuts.sort(kind="stable")  # merges the two ascending runs
    last_of_its_kind = np.ones(len(cuts), dtype=np.bool_)
    np.not_equal(cuts[1:], cuts[:-1], out=last_of_its_kind[:-1])
    cuts = cuts[last_of_its_kind]
    pieces = cuts.copy()
    pieces[1:] -= cuts[:-1]
    return (
        column(home[givers[given_to.searchsorted(cuts)]]),
        column(home[takers[taken_to.searchsorted(cuts)]]),
        column(pieces),
    )


def touching(givers: Sequence[int], takers: Sequence[int], homes: Sequence[int]) -> Numbers | None:
    """The positions of the gifts of which one of these ascending homes is giver or taker; None if
    these are all there are."""
    dense = homes[-1] - homes[0] + 1 == len(homes)
    # Both columns ascend, so that the gifts of neighbouring homes lie together.
    if dense and homes[0] <= givers[0] and givers[-1] <= homes[-1]:
        return None
    ours, giver, taker = view(homes), view(givers), view(takers)
    ends = np.array((homes[0], homes[-1] + 1))
    chosen = np.zeros(len(giver), dtype=np.bool_)
    for party in (giver, taker):
        first, last = np.searchsorted(party, ends)
        chosen[first:last] |= True if dense else np.isin(party[first:last], ours)
    return None if chosen.all() else np.flatnonzero(chosen)


def taken(numbers: Sequence[int], positions: Numbers) -> array[int]:
    """The numbers at these positions."""
    return column(view(numbers)[positions])
