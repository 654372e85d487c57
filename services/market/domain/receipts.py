"""The columns of receipts: what a settled tick says of all homes, and of some of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import TypeAlias

from energymarket.columns import Rows, is_long, many
from services.market.domain.record import SettledTick

Pick: TypeAlias = Callable[[Sequence[int]], Sequence[int]]
"""Takes the rows of some homes out of a column of the whole roster."""


def receipt_columns(settled: SettledTick) -> dict[str, Sequence[int]]:
    """The columns of the receipts of a tick by their names in the message; rows as in its roster.

    Of a settled tick, whose balances fit into 64 bits, no net amount and no charge can leave them.
    """
    out = settled.outcome
    return {
        "home": settled.home,
        **_derived(settled),
        "given_wh": out.given_wh,
        "received_wh": out.received_wh,
        "sold_wh": out.sold_wh,
        "bought_wh": out.bought_wh,
        "spilled_wh": out.spilled_wh,
        "unserved_wh": out.unserved_wh,
        "stock_wh": out.stock_wh,
        "balance_neur": out.balance_neur,
    }


def _derived(settled: SettledTick) -> dict[str, Sequence[int]]:
    """Who was there, what came in less what went out, and what each home pays."""
    if is_long(settled.home):
        from services.market.domain import receipt_arrays  # noqa: PLC0415 - see columns

        return receipt_arrays.derived(settled)
    out, price = settled.outcome, settled.opening.price_neur_per_wh
    moved = zip(out.received_wh, out.bought_wh, out.given_wh, out.sold_wh, strict=True)
    traded = zip(out.bought_wh, out.sold_wh, strict=True)
    return {
        "present": [1 if policy else 0 for policy in settled.orders.policy],
        "net_wh": [received + bought - given - sold for received, bought, given, sold in moved],
        "charged_neur": [price * (bought - sold) for bought, sold in traded],
    }


def pick(roster: Sequence[int], rows: Rows, homes: Sequence[int]) -> Pick:
    """Picks those of some ascending homes that are in the roster, whose rows ``rows`` knows."""
    stretch = rows.stretch(homes)
    if stretch is not None:
        if len(homes) == len(roster):
            return _all
        # A message takes few numbers more quickly as a list.
        few_of_many = is_long(roster) and not many(len(homes))
        return partial(_listed, stretch) if few_of_many else itemgetter(stretch)
    if is_long(roster) and many(len(homes)):
        from services.market.domain import receipt_arrays  # noqa: PLC0415 - see columns

        return receipt_arrays.pick(roster, homes)
    found = [row for row in map(rows.of, homes) if row is not None]
    return lambda column: [column[row] for row in found]


def _all(column: Sequence[int]) -> Sequence[int]:
    return column


def _listed(stretch: slice, column: Sequence[int]) -> Sequence[int]:
    return list(column[stretch])
