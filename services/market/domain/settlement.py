"""Settlement of one tick: a pure function of the accounts and the orders.

It does not depend on the order in which the orders came (R14, I4): rows stand in order of home id.
Energy is conserved home by home (I1)::

    stock' = stock + produced + received + bought + unserved - consumed - given - sold - spilled
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from energymarket.columns import is_long
from energymarket.policies import Policy
from services.market.domain.gifts import Gifts
from services.market.domain.matching import Gift, share, split_by_priority

ABSENT = 0
"""In the policy column: this home of the roster sent no order in time."""

# As plain integers: comparing an enum member costs several times as much, once per home and tick.
_GIVE_ONLY, _SELL_IF_NONE = int(Policy.GIVE_ONLY), int(Policy.SELL_IF_NONE)
_ASK_ONLY, _BUY_ONLY, _BUY_IF_NONE = (
    int(Policy.ASK_ONLY),
    int(Policy.BUY_ONLY),
    int(Policy.BUY_IF_NONE),
)


@dataclass(frozen=True, slots=True)
class Roster:
    """The homes of a tick with their accounts before it. Columns in ascending home id."""

    home: Sequence[int]
    stock_wh: Sequence[int]
    balance_neur: Sequence[int]


@dataclass(frozen=True, slots=True)
class OrderColumns:
    """One order per home of the roster, in its order; ``policy`` 0 marks an absent home."""

    policy: Sequence[int]
    amount_wh: Sequence[int]
    produced_wh: Sequence[int]
    consumed_wh: Sequence[int]
    capacity_wh: Sequence[int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the tick did to each home of the roster, in its order."""

    given_wh: Sequence[int]
    received_wh: Sequence[int]
    sold_wh: Sequence[int]
    bought_wh: Sequence[int]
    spilled_wh: Sequence[int]
    unserved_wh: Sequence[int]
    stock_wh: Sequence[int]
    balance_neur: Sequence[int]

    def gifts(self, homes: Sequence[int]) -> list[Gift]:
        """Who gave how much to whom."""
        return Gifts.paired(homes, self.given_wh, self.received_wh).rows()


@dataclass(frozen=True, slots=True)
class CreditRule:
    """Money that can run low: a home that owes more than ``limit_neur`` may not buy.

    Such a home is served like ``ask_only``: gifts still reach it. None: credit without end.
    The rule looks at the balance before the tick only, so that it cannot depend on who is served
    first.
    """

    limit_neur: int | None = None

    def may_buy(self, balance_neur: int) -> bool:
        return self.limit_neur is None or balance_neur >= -self.limit_neur


UNLIMITED = CreditRule()


def settle(
    roster: Roster,
    orders: OrderColumns,
    *,
    price_neur_per_wh: int,
    seed: int,
    tick: int,
    credit: CreditRule = UNLIMITED,
) -> Outcome:
    """The outcome of a tick for every home of the roster.

    Gifts come first (R9, R12), then ``sell_if_none`` sells and ``buy_if_none`` buys what found no
    partner (R11), all at the tick's price. What a ``give_only`` home could not give returns to its
    stock, and what the stock cannot hold is spilled (R10). The orders must be valid: an offer at
    most what the home has, a request exactly what it lacks (``order_book`` sees to that).

    A roster in long columns is settled on whole columns where 64 bits will do for it; the outcome
    is the same, in long columns.
    """
    if not is_long(roster.home):
        return settle_one_by_one(
            roster,
            orders,
            price_neur_per_wh=price_neur_per_wh,
            seed=seed,
            tick=tick,
            credit=credit,
        )
    from services.market.domain import settlement_arrays  # noqa: PLC0415 - see columns

    return settlement_arrays.settle(
        roster, orders, price_neur_per_wh=price_neur_per_wh, seed=seed, tick=tick, credit=credit
    )


def settle_one_by_one(
    roster: Roster,
    orders: OrderColumns,
    *,
    price_neur_per_wh: int,
    seed: int,
    tick: int,
    credit: CreditRule = UNLIMITED,
) -> Outcome:
    """``settle``, home by home, in integers without a bound: the reference."""
    policies = _effective_policies(roster, orders, credit)
    given_wh, received_wh = _gifts(roster, orders, policies, seed=seed, tick=tick)
    size = len(policies)
    sold_wh, bought_wh = [0] * size, [0] * size
    spilled_wh, unserved_wh = [0] * size, [0] * size
    stock_wh = list(roster.stock_wh)
    balance_neur = list(roster.balance_neur)
    for row, policy in enumerate(policies):
        if policy == ABSENT:
            continue
        amount = orders.amount_wh[row]
        if policy <= _SELL_IF_NONE:
            sold = 0 if policy == _GIVE_ONLY else amount - given_wh[row]
            has = stock_wh[row] + orders.produced_wh[row] - orders.consumed_wh[row]
            kept = has - given_wh[row] - sold
            stock_wh[row] = min(kept, orders.capacity_wh[row])
            spilled_wh[row] = kept - stock_wh[row]
            sold_wh[row] = sold
            balance_neur[row] += sold * price_neur_per_wh
        else:
            lacking = amount - received_wh[row]
            stock_wh[row] = 0
            if policy == _ASK_ONLY:
                unserved_wh[row] = lacking
            else:
                bought_wh[row] = lacking
                balance_neur[row] -= lacking * price_neur_per_wh
    return Outcome(
        given_wh=given_wh,
        received_wh=received_wh,
        sold_wh=sold_wh,
        bought_wh=bought_wh,
        spilled_wh=spilled_wh,
        unserved_wh=unserved_wh,
        stock_wh=stock_wh,
        balance_neur=balance_neur,
    )


def _effective_policies(roster: Roster, orders: OrderColumns, credit: CreditRule) -> Sequence[int]:
    """The policies, with ``ask_only`` in place of those of buyers whose credit is used up."""
    if credit.limit_neur is None:
        return orders.policy
    return [
        policy if policy < _BUY_ONLY or credit.may_buy(balance) else _ASK_ONLY
        for policy, balance in zip(orders.policy, roster.balance_neur, strict=True)
    ]


def _gifts(
    roster: Roster, orders: OrderColumns, policies: Sequence[int], *, seed: int, tick: int
) -> tuple[list[int], list[int]]:
    """Energy given and received by each row."""
    rows: dict[int, list[int]] = {}
    for row, policy in enumerate(policies):
        rows.setdefault(policy, []).append(row)
    amounts = orders.amount_wh

    def total(policy: int) -> int:
        return sum(amounts[row] for row in rows.get(policy, ()))

    offered = total(_GIVE_ONLY), total(_SELL_IF_NONE)
    asked = total(_ASK_ONLY), total(_BUY_IF_NONE)
    matched_wh = min(sum(offered), sum(asked))

    def spread(column: list[int], policy: int, part_wh: int) -> None:
        members = rows.get(policy, [])
        if part_wh:
            shares = share(
                part_wh,
                [roster.home[row] for row in members],
                [amounts[row] for row in members],
                seed=seed,
                tick=tick,
            )
            for row, wh in zip(members, shares, strict=True):
                column[row] = wh

    given_wh, received_wh = [0] * len(policies), [0] * len(policies)
    given_first, given_second = split_by_priority(matched_wh, *offered)
    taken_first, taken_second = split_by_priority(matched_wh, *asked)
    spread(given_wh, _GIVE_ONLY, given_first)
    spread(given_wh, _SELL_IF_NONE, given_second)
    spread(received_wh, _ASK_ONLY, taken_first)
    spread(received_wh, _BUY_IF_NONE, taken_second)
    return given_wh, received_wh
