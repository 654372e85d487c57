"""Columns of integers: lists where the homes are few, arrays of 64 bits where they are many.

A long column has no object per number and NumPy computes on it in place; whoever only reads it sees
a sequence of ``int`` either way. NumPy is imported when the first long column is computed on: a
process of a few homes never loads it. Modules that need it are called ``…_arrays`` and are imported
inside the function that has found its columns long.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from struct import error as StructError  # noqa: N812 - a class, whatever its name
from struct import pack
from typing import Final, TypeGuard

MANY = 96
"""From so many homes on columns are long. Measured: with fewer, the loops in Python are quicker
than the fixed cost of the array operations (docs/adr/0015-arrays.md)."""

BITS_64: Final = "q"
"""The type code of long columns: signed, 8 bytes."""


def is_long(column: Sequence[int]) -> TypeGuard[array[int]]:
    """True for a column that is held as an array."""
    return isinstance(column, array)


def many(homes: int) -> bool:
    """True when so many homes are computed as arrays."""
    return homes >= MANY


def long_zeros(count: int) -> array[int]:
    """A long column of ``count`` zeros."""
    return array(BITS_64, bytes(8 * count))


def long_column(column: Sequence[int]) -> array[int]:
    """The same numbers as a long column; raises ``OverflowError`` beyond 64 bits."""
    if is_long(column):
        return column
    try:
        # Twice as quick as to hand the array the numbers.
        return array(BITS_64, pack(f"{len(column)}{BITS_64}", *column))
    except StructError as error:
        raise OverflowError("a number beyond 64 bits") from error


def in_pieces_of(homes: int, column: Sequence[int]) -> Sequence[int]:
    """The column in the form whose slices of so many homes are to be used: a list where these are
    few, for each slice of an array is an array."""
    return column if many(homes) else list(column)


def total(column: Sequence[int]) -> int:
    """The sum of a column, exact."""
    if not is_long(column):
        return sum(column)
    from energymarket import column_arrays  # noqa: PLC0415 - see above

    return column_arrays.total(column)


def least(column: Sequence[int]) -> int:
    """The smallest number of a column; 0 if there is none."""
    if not is_long(column):
        return min(column, default=0)
    from energymarket import column_arrays  # noqa: PLC0415 - see above

    return column_arrays.least(column)


def greatest(column: Sequence[int]) -> int:
    """The greatest number of a column; 0 if there is none."""
    if not is_long(column):
        return max(column, default=0)
    from energymarket import column_arrays  # noqa: PLC0415 - see above

    return column_arrays.greatest(column)


def ascend(column: Sequence[int]) -> bool:
    """Whether each number is greater than the one before it."""
    if not is_long(column):
        return all(a < b for a, b in pairwise(column))
    from energymarket import column_arrays  # noqa: PLC0415 - see above

    return column_arrays.ascend(column)


def count_of_zeros(column: Sequence[int]) -> int:
    """How many of the numbers are 0."""
    if not is_long(column):
        return sum(1 for number in column if not number)
    from energymarket import column_arrays  # noqa: PLC0415 - see above

    return column_arrays.count_of_zeros(column)


class Rows:
    """Where each home stands in a column of ascending home ids."""

    __slots__ = ("_first", "_homes", "dense")

    def __init__(self, homes: Sequence[int]) -> None:
        self._homes = homes
        self._first = homes[0] if homes else 1
        self.dense = not homes or homes[-1] - self._first + 1 == len(homes)
        """No id is missing between the first and the last: what the lowest free ids make."""

    def of(self, home: int) -> int | None:
        """The row of a home; None when it has none."""
        homes = self._homes
        if self.dense:
            row = home - self._first
            return row if 0 <= row < len(homes) else None
        row = bisect_left(homes, home)
        return row if row < len(homes) and homes[row] == home else None

    def stretch(self, homes: Sequence[int]) -> slice | None:
        """The rows of ascending ``homes`` if they stand one after the other, without a gap."""
        if not homes:
            return slice(0, 0)
        first, last = self.of(homes[0]), self.of(homes[-1])
        if first is None or last is None or not self.dense or last - first + 1 != len(homes):
            return None
        return slice(first, last + 1)
