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

_KEPT: Final = ("policy", "amount_wh", "produced_wh", "consumed_wh", "capacity_wh")
"""The columns that a message and the book both have."""


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
) -> Judged | None:
    """Writes the rows that are right into the book; None if the homes of the message do not
    ascend, for then one may be there twice."""
    homes = view(orders.home)
    if not (homes[1:] > homes[:-1]).all():
        return None
    row = _rows(homes, view(roster.home), rows)
    known = row >= 0
    sent = [view(getattr(orders, name)) for name in _KEPT]
    kept = [view(getattr(book, name)) for name in _KEPT]
    at = row if known.all() else np.where(known, row, 0)
    fault = _faults(orders, roster, at, sent, kept)
    if fault is None and at is row:
        into, copies, faults = at, 0, []
    else:
        fault = np.full(len(homes), _TAKEN, dtype=np.int8) if fault is None else fault
        fault[~known] = NOT_IN_ROSTER
        new = fault == _TAKEN
        into, sent = at[new], [numbers[new] for numbers in sent]
        copies, faults = int(np.count_nonzero(fault == _COPY)), _by_fault(fault, homes)
    for column, numbers in zip(kept, sent, strict=True):
        column[into] = numbers
    flags = np.frombuffer(waiting, dtype=np.uint8)
    awaited = int(np.count_nonzero(flags[into]))
    flags[into] = 0
    return Judged(new=len(into), no_longer_awaited=awaited, copies=copies, faults=faults)


def _faults(
    orders: Orders, roster: Roster, at: Numbers, sent: list[Numbers], kept: list[Numbers]
) -> NDArray[np.int8] | None:
    """What is wrong with each row of a message, of which row i is about row ``at[i]`` of the
    roster; None, as a rule, when nothing is and none was here before."""
    policy, amount, produced, consumed, _ = sent
    stock = view(orders.stock_wh)
    right_stock = view(roster.stock_wh)[at] == stock
    balance = view(roster.balance_neur)[at]
    account_full = (balance > MAX_BALANCE_NEUR) | (balance < -MAX_BALANCE_NEUR)
    here_before = kept[0][at] != ABSENT
    has = stock + produced - consumed
    if isinstance(orders, Offers):
        impossible, fault_of_amount = amount > has, IMPOSSIBLE_OFFER
        wrong_policy = policy > int(Policy.SELL_IF_NONE)
    else:
        impossible, fault_of_amount = (amount != -has) | (amount == 0), IMPOSSIBLE_REQUEST
        wrong_policy = policy <= int(Policy.SELL_IF_NONE)
    wrong = impossible | wrong_policy | account_full | here_before
    if right_stock.all() and not wrong.any():
        return None
    fault = np.full(len(at), _TAKEN, dtype=np.int8)
    # What order_book finds first is marked last.
    fault[impossible] = fault_of_amount
    fault[wrong_policy] = WRONG_POLICY
    fault[account_full] = ACCOUNT_FULL
    fault[~right_stock] = STOCK_MISMATCH
    same = right_stock
    for column, numbers in zip(kept, sent, strict=True):
        same = same & (column[at] == numbers)
    fault[here_before] = np.where(same, _COPY, DIFFERENT_COPY)[here_before]
    return fault


def _rows(homes: Numbers, roster: Numbers, rows: Rows) -> Numbers:
    """The row of each home in the roster; -1 where it has none."""
    if rows.dense:
        row: Numbers = homes - roster[0]
        row[(row < 0) | (row >= len(roster))] = -1
        return row
    found = np.searchsorted(roster, homes)
    found[found == len(roster)] = 0
    return np.where(roster[found] == homes, found, -1)


def _by_fault(fault: NDArray[np.int8], homes: Numbers) -> list[tuple[int, tuple[int, ...]]]:
    wrong = np.flatnonzero(fault >= 0)
    if not wrong.size:
        return []
    numbers, first = np.unique(fault[wrong], return_index=True)
    return [
        (int(number), tuple(homes[fault == number].tolist())) for number in numbers[first.argsort()]
    ]
