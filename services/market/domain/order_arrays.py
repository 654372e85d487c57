"""The rows of a large message of orders, checked all at once: see ``order_book``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from energymarket.column_arrays import Numbers, view
from energymarket.columns import Rows
from energymarket.messages import Offers, Orders
from energymarket.policies import Policy
from services.market.domain.order_book import (
    ACCOUNT_FULL,
    DIFFERENT_COPY,
    IMPOSSIBLE_OFFER,
    IMPOSSIBLE_REQUEST,
    MAX_BALANCE_NEUR,
    NOT_IN_ROSTER,
    STOCK_MISMATCH,
    WRONG_POLICY,
)
from services.market.domain.settlement import ABSENT, OrderColumns, Roster

_TAKEN: Final = -1
_COPY: Final = -2
"""Beside the numbers of faults: nothing is wrong with these rows."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of the rows of a message."""

    new: int
    no_longer_awaited: int
    copies: int
    faults: list[tuple[int, tuple[int, ...]]]
    """(fault, homes), the fault that stands first in the message first."""


def take(
    orders: Orders, roster: Roster, rows: Rows, book: OrderColumns, waiting: bytearray
) -> Judged:
    """Writes the rows that are right into the book; the homes of the message must ascend."""
    homes = view(orders.home)
    row = _rows(homes, view(roster.home), rows)
    known = row >= 0
    at = np.where(known, row, 0)
    policy, amount = view(orders.policy), view(orders.amount_wh)
    produced, consumed = view(orders.produced_wh), view(orders.consumed_wh)
    stock, capacity = view(orders.stock_wh), view(orders.capacity_wh)
    right_stock = view(roster.stock_wh)[at] == stock
    balance = view(roster.balance_neur)[at]
    here_before = view(book.policy)[at] != ABSENT
    fault = np.full(len(homes), _TAKEN, dtype=np.int8)
    has = stock + produced - consumed
    _mark_impossible(fault, isinstance(orders, Offers), policy, amount, has)
    # What order_book finds first is marked last.
    fault[(balance > MAX_BALANCE_NEUR) | (balance < -MAX_BALANCE_NEUR)] = ACCOUNT_FULL
    fault[~right_stock] = STOCK_MISMATCH
    if here_before.any():
        same = (
            right_stock
            & (view(book.policy)[at] == policy)
            & (view(book.amount_wh)[at] == amount)
            & (view(book.produced_wh)[at] == produced)
            & (view(book.consumed_wh)[at] == consumed)
            & (view(book.capacity_wh)[at] == capacity)
        )
        fault[here_before] = np.where(same, _COPY, DIFFERENT_COPY)[here_before]
    fault[~known] = NOT_IN_ROSTER
    new = fault == _TAKEN
    into = at[new]
    for kept, sent in (
        (book.policy, policy),
        (book.amount_wh, amount),
        (book.produced_wh, produced),
        (book.consumed_wh, consumed),
        (book.capacity_wh, capacity),
    ):
        view(kept)[into] = sent[new]
    flags = np.frombuffer(waiting, dtype=np.uint8)
    awaited = int(np.count_nonzero(flags[into]))
    flags[into] = 0
    return Judged(
        new=len(into),
        no_longer_awaited=awaited,
        copies=int(np.count_nonzero(fault == _COPY)),
        faults=_by_fault(fault, homes),
    )


def _rows(homes: Numbers, roster: Numbers, rows: Rows) -> Numbers:
    """The row of each home in the roster; -1 where it has none."""
    if rows.dense:
        row: Numbers = homes - roster[0]
        row[(row < 0) | (row >= len(roster))] = -1
        return row
    found = np.searchsorted(roster, homes)
    found[found == len(roster)] = 0
    return np.where(roster[found] == homes, found, -1)


def _mark_impossible(
    fault: NDArray[np.int8], surplus: bool, policy: Numbers, amount_wh: Numbers, has_wh: Numbers
) -> None:
    """``order_book._fault`` for each row."""
    if surplus:
        fault[amount_wh > has_wh] = IMPOSSIBLE_OFFER
    else:
        fault[(amount_wh != -has_wh) | (amount_wh == 0)] = IMPOSSIBLE_REQUEST
    fault[(policy <= int(Policy.SELL_IF_NONE)) != surplus] = WRONG_POLICY


def _by_fault(fault: NDArray[np.int8], homes: Numbers) -> list[tuple[int, tuple[int, ...]]]:
    wrong = np.flatnonzero(fault >= 0)
    if not wrong.size:
        return []
    numbers, first = np.unique(fault[wrong], return_index=True)
    return [
        (int(number), tuple(homes[fault == number].tolist())) for number in numbers[first.argsort()]
    ]
