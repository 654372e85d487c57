"""The orders of the open tick: taken once each, checked against the accounts, whatever their order.

An order's identity is (run, home, tick). A second copy with the same content changes nothing; one
with another content is refused, as is anything that cannot be true.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import compress
from typing import Final

from energymarket.columns import Rows, is_long, long_zeros, many
from energymarket.messages import Offers, Orders
from energymarket.policies import Policy
from energymarket.refusals import RefusalReason
from services.market.domain.settlement import ABSENT, OrderColumns, Roster

MAX_BALANCE_NEUR = 4 * 10**18
"""Beyond this, owed or owned, a home's orders are refused: one more tick at the greatest price and
the greatest amount (10**18 nEUR) must still fit into the ledger's 64 bits."""

(
    NOT_IN_ROSTER,
    DIFFERENT_COPY,
    STOCK_MISMATCH,
    ACCOUNT_FULL,
    WRONG_POLICY,
    IMPOSSIBLE_OFFER,
    IMPOSSIBLE_REQUEST,
) = range(7)
"""What can be wrong with a row, in the order in which it is looked for."""

_LAST_SURPLUS_POLICY = int(Policy.SELL_IF_NONE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason, and the homes that it struck."""

    reason: RefusalReason
    detail: str
    homes: tuple[int, ...]


@dataclass(slots=True)
class Taken:
    """What became of the rows of one message."""

    new: int = 0
    copies: int = 0
    refusals: list[Refusal] = field(default_factory=list)


class OrderBook:
    """Collects the orders of one tick into columns along the roster."""

    def __init__(self, roster: Roster, awaited: Collection[int]) -> None:
        """``awaited`` are the homes without whose orders the tick is not complete."""
        size = len(roster.home)
        make = long_zeros if is_long(roster.home) else _zeros
        self.roster = roster
        self._rows = Rows(roster.home)
        self._awaited = bytearray(size)
        """1 in the rows of homes whose orders are still awaited."""
        self._awaited_homes = 0
        self._policy, self._amount_wh = make(size), make(size)
        self._produced_wh, self._consumed_wh = make(size), make(size)
        self._capacity_wh = make(size)
        self._await(awaited)

    def _await(self, homes: Collection[int]) -> None:
        if homes is self.roster.home:
            self._awaited = bytearray(b"\1" * len(homes))
        else:
            for home in homes:
                row = self._rows.of(home)
                if row is not None:
                    self._awaited[row] = 1
        self._awaited_homes = self._awaited.count(1)

    @property
    def complete(self) -> bool:
        """True when every awaited home is in."""
        return not self._awaited_homes

    @property
    def awaited(self) -> set[int]:
        """The homes whose orders are still awaited."""
        return set(compress(self.roster.home, self._awaited))

    def give_up_on(self, homes: Iterable[int]) -> None:
        """Waits no longer for these homes; without an order they will be recorded absent."""
        for home in homes:
            row = self._rows.of(home)
            if row is not None:
                self._no_longer_awaited(row)

    def _no_longer_awaited(self, row: int) -> None:
        self._awaited_homes -= self._awaited[row]
        self._awaited[row] = 0

    def has(self, home: int) -> bool:
        """True when the home's order is in."""
        row = self._rows.of(home)
        return row is not None and self._policy[row] != ABSENT

    def columns(self) -> OrderColumns:
        """The orders so far; absent homes have policy 0 and zeros."""
        return OrderColumns(
            policy=self._policy,
            amount_wh=self._amount_wh,
            produced_wh=self._produced_wh,
            consumed_wh=self._consumed_wh,
            capacity_wh=self._capacity_wh,
        )

    def take(self, orders: Orders) -> Taken:
        """Takes the rows of a message that are right; the sender must be known to hold the homes.

        Rows stand or fall one by one: a wrong one does not cost its fleet the others.
        """
        roster = self.roster.home
        judged = None
        if roster and is_long(roster) and many(len(orders.home)):
            from services.market.domain import order_arrays  # noqa: PLC0415 - see columns

            book, awaited = self.columns(), self._awaited
            judged = order_arrays.take(orders, self.roster, self._rows, book, awaited)
        if judged:
            self._awaited_homes -= judged.no_longer_awaited
            refusals = [_refusal(fault, homes) for fault, homes in judged.faults]
            return Taken(judged.new, judged.copies, refusals)
        return self._take_one_by_one(orders)

    def _take_one_by_one(self, orders: Orders) -> Taken:
        taken = Taken()
        wrong: dict[int, list[int]] = {}
        surplus = isinstance(orders, Offers)
        rows = zip(
            orders.home,
            orders.policy,
            orders.amount_wh,
            orders.produced_wh,
            orders.consumed_wh,
            orders.stock_wh,
            orders.capacity_wh,
            strict=True,
        )
        for home, policy, amount, produced, consumed, stock, capacity in rows:
            row = self._rows.of(home)
            if row is None:
                wrong.setdefault(NOT_IN_ROSTER, []).append(home)
                continue
            right_stock = stock == self.roster.stock_wh[row]
            fault: int | None
            if self._policy[row] != ABSENT:
                if right_stock and self._same(row, policy, amount, produced, consumed, capacity):
                    taken.copies += 1
                    continue
                fault = DIFFERENT_COPY
            elif not right_stock:
                fault = STOCK_MISMATCH
            elif abs(self.roster.balance_neur[row]) > MAX_BALANCE_NEUR:
                fault = ACCOUNT_FULL
            else:
                fault = _fault(surplus, policy, amount, stock + produced - consumed)
            if fault is not None:
                wrong.setdefault(fault, []).append(home)
                continue
            self._policy[row] = policy
            self._amount_wh[row] = amount
            self._produced_wh[row] = produced
            self._consumed_wh[row] = consumed
            self._capacity_wh[row] = capacity
            self._no_longer_awaited(row)
            taken.new += 1
        taken.refusals = [_refusal(fault, tuple(homes)) for fault, homes in wrong.items()]
        return taken

    def _same(
        self, row: int, policy: int, amount: int, produced: int, consumed: int, capacity: int
    ) -> bool:
        return (
            self._policy[row] == policy
            and self._amount_wh[row] == amount
            and self._produced_wh[row] == produced
            and self._consumed_wh[row] == consumed
            and self._capacity_wh[row] == capacity
        )


_IN_WORDS: Final[tuple[tuple[RefusalReason, str], ...]] = (
    ("not_in_roster", "this home does not take part in this tick"),
    ("different_copy", "another order of this home for this tick was taken already"),
    ("stock_mismatch", "the stock is not that of the home's last receipt"),
    ("account_full", "this home's money is beyond what the ledger can count"),
    ("wrong_policy", "offers need a policy from 1 to 3, requests one from 4 to 6"),
    ("impossible_amount", "an offer may not exceed stock + produced - consumed"),
    ("impossible_amount", "a request must be what the home lacks: consumed - stock - produced"),
)
"""By the number of the fault."""


def _refusal(fault: int, homes: tuple[int, ...]) -> Refusal:
    reason, detail = _IN_WORDS[fault]
    return Refusal(reason, detail, homes)


def _zeros(count: int) -> list[int]:
    return [0] * count


def _fault(surplus: bool, policy: int, amount: int, has_wh: int) -> int | None:
    """What is wrong with a row, given what the home has (below zero: lacks)."""
    if (policy <= _LAST_SURPLUS_POLICY) != surplus:
        return WRONG_POLICY
    if surplus:
        return IMPOSSIBLE_OFFER if amount > has_wh else None
    return IMPOSSIBLE_REQUEST if amount != -has_wh or amount == 0 else None
