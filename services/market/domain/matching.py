"""Gifts: who gives how much to whom. Fair, exact to the watt-hour, blind to arrival order.

First come the homes that have no other way out: a ``give_only`` offer would go to the stock and a
``ask_only`` request would stay unserved, while ``sell_if_none`` can still sell and ``buy_if_none``
can still buy. Within each of these classes scarcity is shared in proportion to the amounts. What
each class gives or takes is therefore a function of the class totals alone, which no renumbering
of homes can change: the price depends on it (invariant I4).
"""

from __future__ import annotations

from collections.abc import Sequence

from energymarket.randomness import draw

Gift = tuple[int, int, int]
"""(giver, taker, energy_wh)"""


def split_by_priority(total_wh: int, first_wh: int, second_wh: int) -> tuple[int, int]:
    """Parts of ``total_wh`` that two classes get, the first class served before the second."""
    to_first = min(total_wh, first_wh)
    return to_first, min(total_wh - to_first, second_wh)


def share(
    total_wh: int, homes: Sequence[int], claims_wh: Sequence[int], *, seed: int, tick: int
) -> list[int]:
    """``total_wh`` divided among ``homes`` in proportion to ``claims_wh``, in whole Wh.

    The shares sum to ``total_wh``, which must not exceed the sum of the claims, and no share
    exceeds its claim. The Wh that rounding leaves over go to the largest remainders (Hamilton's
    method); equal remainders are ordered by a draw for (home, tick), so that over time no home
    number is favoured.
    """
    claimed_wh = sum(claims_wh)
    if total_wh == claimed_wh:
        return list(claims_wh)
    shares = [total_wh * claim // claimed_wh for claim in claims_wh]
    left_over = total_wh - sum(shares)
    if left_over:
        by_remainder = sorted(
            (index for index, claim in enumerate(claims_wh) if claim),
            key=lambda i: (
                -(total_wh * claims_wh[i] % claimed_wh),
                draw(seed, "gift_remainder", homes[i], tick),
            ),
        )
        for index in by_remainder[:left_over]:
            shares[index] += 1
    return shares


def pair_gifts(
    homes: Sequence[int], given_wh: Sequence[int], received_wh: Sequence[int]
) -> list[Gift]:
    """Who gave to whom: givers and takers in order of home id, each pair as large as it can be.

    A surplus larger than one need is split and the rest given on; several givers can serve one
    taker. Only the amounts matter to accounts and price, so the pairing may be as simple as this:
    at most ``givers + takers - 1`` gifts. ``given_wh`` and ``received_wh`` have equal sums.
    """
    gifts: list[Gift] = []
    takers = [(home, wh) for home, wh in zip(homes, received_wh, strict=True) if wh]
    position, open_wh = 0, takers[0][1] if takers else 0
    for giver, wh in zip(homes, given_wh, strict=True):
        left_wh = wh
        while left_wh:
            moved_wh = min(left_wh, open_wh)
            gifts.append((giver, takers[position][0], moved_wh))
            left_wh -= moved_wh
            open_wh -= moved_wh
            if not open_wh:
                position += 1
                open_wh = takers[position][1] if position < len(takers) else 0
    return gifts
