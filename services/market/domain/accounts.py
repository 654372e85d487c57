"""Stock and money of every home that was ever seen, at hand."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from energymarket.columns import is_long, long_zeros


@dataclass(slots=True)
class Accounts:
    """Stock and money by home id; row 0 is home 1. Homes never seen have zeros."""

    stock_wh: array[int] = field(default_factory=lambda: long_zeros(0))
    balance_neur: array[int] = field(default_factory=lambda: long_zeros(0))

    def grow_to(self, home: int) -> None:
        """Makes room for home ids up to ``home``."""
        missing = home - len(self.stock_wh)
        if missing > 0:
            self.stock_wh.extend(long_zeros(missing))
            self.balance_neur.extend(long_zeros(missing))

    def of(self, homes: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
        """(stocks, balances) of ascending homes for which there is room, as columns."""
        if not is_long(homes):
            stock_wh, balance_neur = self.stock_wh, self.balance_neur
            return [stock_wh[home - 1] for home in homes], [
                balance_neur[home - 1] for home in homes
            ]
        if (stretch := stretch_of(homes)) is not None:
            return self.stock_wh[stretch], self.balance_neur[stretch]
        from services.market.domain import account_arrays  # noqa: PLC0415 - see columns

        return account_arrays.held(self.stock_wh, homes), account_arrays.held(
            self.balance_neur, homes
        )

    def held_by(self, home: int) -> tuple[int, int]:
        """(stock, balance) of a home; nothing if it was never seen."""
        row = home - 1
        return (self.stock_wh[row], self.balance_neur[row]) if row < len(self.stock_wh) else (0, 0)

    def put(
        self, homes: Sequence[int], stock_wh: Sequence[int], balance_neur: Sequence[int]
    ) -> None:
        """Gives ascending homes new stocks and balances."""
        if not (is_long(homes) and is_long(stock_wh) and is_long(balance_neur)):
            for home, stock, balance in zip(homes, stock_wh, balance_neur, strict=True):
                self.stock_wh[home - 1] = stock
                self.balance_neur[home - 1] = balance
        elif (stretch := stretch_of(homes)) is not None:
            self.stock_wh[stretch] = stock_wh
            self.balance_neur[stretch] = balance_neur
        else:
            from services.market.domain import account_arrays  # noqa: PLC0415 - see columns

            account_arrays.put(self.stock_wh, homes, stock_wh)
            account_arrays.put(self.balance_neur, homes, balance_neur)


def first_difference(one: Accounts, other: Accounts) -> int | None:
    """The lowest home that has not the same in both; None where all have. An account of nothing may
    be left out."""
    homes = max(len(one.stock_wh), len(other.stock_wh))
    for each in (one, other):
        each.grow_to(homes)
    if (one.stock_wh, one.balance_neur) == (other.stock_wh, other.balance_neur):
        return None
    return next(home for home in range(1, homes + 1) if one.held_by(home) != other.held_by(home))


def stretch_of(homes: Sequence[int]) -> slice | None:
    """Where ascending homes stand in the accounts, if none is missing between them."""
    if not homes:
        return slice(0, 0)
    dense = homes[-1] - homes[0] + 1 == len(homes)
    return slice(homes[0] - 1, homes[-1]) if dense else None
