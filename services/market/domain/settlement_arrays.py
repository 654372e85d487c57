"""Settlement of a tick with many homes: the outcome of ``settlement``, computed on whole columns.

``settlement.settle_one_by_one`` is the reference; a property test holds both against each other.
Where something could leave 64 bits on the way, the reference is asked, whose integers have no end.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Final

import numpy as np

from energymarket.column_arrays import Flags, Numbers, bits_of, column, largest, view
from energymarket.columns import long_column
from energymarket.policies import Policy
from energymarket.randomness_arrays import draws
from services.market.domain.matching import split_by_priority
from services.market.domain.settlement import (
    ABSENT,
    CreditRule,
    OrderColumns,
    Outcome,
    Roster,
    settle_one_by_one,
)

_FITS: Final = 2**63
_LARGEST_ENERGY_WH: Final = 2**40
"""Sums of a few of these are far within 64 bits."""


def settle(
    roster: Roster,
    orders: OrderColumns,
    *,
    price_neur_per_wh: int,
    seed: int,
    tick: int,
    credit: CreditRule,
) -> Outcome:
    """The outcome of a tick as long columns."""
    outcome = _settled(roster, orders, price_neur_per_wh, seed, tick, credit)
    if outcome is not None:
        return outcome
    return _long(
        settle_one_by_one(
            roster,
            orders,
            price_neur_per_wh=price_neur_per_wh,
            seed=seed,
            tick=tick,
            credit=credit,
        )
    )


def _long(outcome: Outcome) -> Outcome:
    try:
        return Outcome(*(long_column(getattr(outcome, each.name)) for each in fields(Outcome)))
    except OverflowError:
        return outcome  # no ledger can hold it, and no record equals it


def _settled(
    roster: Roster,
    orders: OrderColumns,
    price_neur_per_wh: int,
    seed: int,
    tick: int,
    credit: CreditRule,
) -> Outcome | None:
    """None where 64 bits might not do."""
    try:
        stock_wh, balance_neur = view(roster.stock_wh), view(roster.balance_neur)
        policy, amount_wh = view(orders.policy), view(orders.amount_wh)
        produced_wh, consumed_wh = view(orders.produced_wh), view(orders.consumed_wh)
        capacity_wh = view(orders.capacity_wh)
    except OverflowError:
        return None
    energies = stock_wh | amount_wh | produced_wh | consumed_wh | capacity_wh
    if not _within_bounds(energies, balance_neur, price_neur_per_wh):
        return None
    policy = _effective(policy, balance_neur, credit)
    gifts = _gifts(view(roster.home), policy, amount_wh, seed=seed, tick=tick)
    if gifts is None:
        return None
    given_wh, received_wh = gifts
    need = policy > int(Policy.SELL_IF_NONE)
    surplus = policy > ABSENT
    surplus ^= need
    # A factor of 0 or 1 is quicker than a choice: nothing here is so large that it could matter.
    sold_wh = (amount_wh - given_wh) * (surplus & (policy != int(Policy.GIVE_ONLY)))
    lacking_wh = (amount_wh - received_wh) * need
    bought_wh = lacking_wh * (policy >= int(Policy.BUY_ONLY))
    kept_wh = stock_wh + produced_wh - consumed_wh - given_wh - sold_wh
    held_wh = np.minimum(kept_wh, capacity_wh)
    return Outcome(
        given_wh=column(given_wh),
        received_wh=column(received_wh),
        sold_wh=column(sold_wh),
        bought_wh=column(bought_wh),
        spilled_wh=column((kept_wh - held_wh) * surplus),
        unserved_wh=column(lacking_wh - bought_wh),
        stock_wh=column(np.where(surplus, held_wh, stock_wh * ~need)),
        balance_neur=column(balance_neur + (sold_wh - bought_wh) * price_neur_per_wh),
    )


def _within_bounds(energies_wh: Numbers, balance_neur: Numbers, price_neur_per_wh: int) -> bool:
    """Whether no sum and no product of a settlement with these numbers can leave 64 bits.

    ``energies_wh`` are all energies of a row as one number, with the bits of each: it is at least
    as large as the largest of them, below twice that, and below zero if one of them is.
    """
    bits = bits_of(energies_wh)
    return (
        0 <= bits <= _LARGEST_ENERGY_WH
        and len(energies_wh) * bits < _FITS
        and largest(balance_neur) + bits * abs(price_neur_per_wh) < _FITS
    )


def _effective(policy: Numbers, balance_neur: Numbers, credit: CreditRule) -> Numbers:
    """The policies, with ``ask_only`` in place of those of buyers whose credit is used up."""
    if credit.limit_neur is None or -credit.limit_neur <= -_FITS:
        return policy
    may_not = (policy >= int(Policy.BUY_ONLY)) & (balance_neur < -credit.limit_neur)
    return np.where(may_not, int(Policy.ASK_ONLY), policy)


def _gifts(
    home: Numbers, policy: Numbers, amount_wh: Numbers, *, seed: int, tick: int
) -> tuple[Numbers, Numbers] | None:
    """Energy given and received by each row."""
    classes = Policy.GIVE_ONLY, Policy.SELL_IF_NONE, Policy.ASK_ONLY, Policy.BUY_IF_NONE
    members = [(policy == int(each)).nonzero()[0] for each in classes]
    amounts = [amount_wh[rows] for rows in members]
    claims = [int(np.add.reduce(each)) for each in amounts]
    matched_wh = min(claims[0] + claims[1], claims[2] + claims[3])
    given_wh, received_wh = (np.zeros(len(policy), dtype=np.int64) for _ in range(2))
    parts = zip(
        (given_wh, given_wh, received_wh, received_wh),
        members,
        amounts,
        split_by_priority(matched_wh, *claims[:2]) + split_by_priority(matched_wh, *claims[2:]),
        strict=True,
    )
    for into_wh, rows, amount, part_wh in parts:
        if part_wh:
            shares = share(part_wh, home[rows], amount, seed=seed, tick=tick)
            if shares is None:
                return None
            into_wh[rows] = shares
    return given_wh, received_wh


def share(
    total_wh: int, homes: Numbers, claims_wh: Numbers, *, seed: int, tick: int
) -> Numbers | None:
    """``matching.share`` on columns; None where a product might leave 64 bits."""
    claimed_wh = int(np.add.reduce(claims_wh))
    if total_wh == claimed_wh:
        return claims_wh
    if total_wh * largest(claims_wh) >= _FITS:
        return None
    products = claims_wh * total_wh
    shares: Numbers = products // claimed_wh
    remainders = products - shares * claimed_wh
    left_over = total_wh - int(np.add.reduce(shares))
    if left_over:
        shares[_largest_remainders(left_over, homes, claims_wh, remainders, seed, tick)] += 1
    return shares


def _largest_remainders(
    count: int, homes: Numbers, claims_wh: Numbers, remainders: Numbers, seed: int, tick: int
) -> Numbers:
    """The rows with the ``count`` largest remainders, equal ones in the order of their draws.

    Only which rows they are matters, not their order; so draws are needed for those alone whose
    remainder equals the last that is served. Draws of different homes are never equal.
    """
    rows = np.flatnonzero(claims_wh)
    left = remainders[rows]
    last = np.partition(left, len(left) - count)[len(left) - count]
    above: Flags = left > last
    tied = rows[left == last]
    wanted = count - int(np.count_nonzero(above))
    if wanted < len(tied):
        by_draw = draws(seed, "gift_remainder", homes[tied], tick)
        tied = tied[np.argpartition(by_draw, wanted - 1)[:wanted]]
    chosen: Numbers = np.concatenate((rows[above], tied))
    return chosen
