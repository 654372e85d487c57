"""Long columns as NumPy sees them: views, sums, and the way from JSON text. See ``columns``.

Only integers of 64 bits are computed with. An operation that could leave them is not done here:
who calls looks first, and takes Python's integers instead.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from energymarket.columns import BITS_64, is_long

Numbers: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

_FITS: Final = 2**63


def view(column: Sequence[int]) -> Numbers:
    """The numbers of a column: a long one in place (writing to it changes the column), a list
    copied. A long column cannot grow while there is a view of it. Raises ``OverflowError``."""
    if is_long(column):
        return np.frombuffer(column, dtype=np.int64)
    return np.array(column, dtype=np.int64)


def column(numbers: Numbers) -> array[int]:
    """A long column of these numbers; a copy."""
    made = array(BITS_64)
    made.frombytes(np.ascontiguousarray(numbers, dtype=np.int64).view(np.uint8).data)
    return made


def largest(numbers: Numbers) -> int:
    """The largest absolute value; 0 if there is none."""
    if not numbers.size:
        return 0
    return max(abs(int(numbers.min())), abs(int(numbers.max())))


def total(values: Sequence[int]) -> int:
    """The sum of a column, exact."""
    numbers = view(values)
    if largest(numbers) * len(numbers) < _FITS:
        return int(numbers.sum())
    return sum(values)


def least(values: Sequence[int]) -> int:
    """The smallest number of a column; 0 if there is none."""
    return int(view(values).min()) if values else 0


def greatest(values: Sequence[int]) -> int:
    """The greatest number of a column; 0 if there is none."""
    return int(view(values).max()) if values else 0


def ascend(values: Sequence[int]) -> bool:
    """Whether each number is greater than the one before it."""
    numbers = view(values)
    return bool((numbers[1:] > numbers[:-1]).all())


def count_of_zeros(values: Sequence[int]) -> int:
    """How many of the numbers are 0."""
    return len(values) - int(np.count_nonzero(view(values)))


def parsed(text: bytes, low: int, high: int) -> array[int] | None:
    """The column in a JSON array of integers, each within ``[low, high]``.

    ``text`` must be one JSON value of right grammar. None for anything that is not plainly such an
    array, without blanks: the caller has another way to read it, and to say what is wrong.
    """
    if text == b"[]":
        return array(BITS_64)
    if not text.startswith(b"["):
        return None
    inner = text[1:-1]
    letters = np.frombuffer(inner, dtype=np.uint8)
    if not _only_numbers(inner, letters):
        return None
    numbers = np.fromstring(inner, dtype=np.int64, sep=",")
    # Numbers beyond 64 bits come out as the last of these, which no limit of a message reaches.
    if not low <= int(numbers.min()) or not int(numbers.max()) <= high:
        return None
    separators = int(np.count_nonzero(letters == ord(",")))
    return column(numbers) if len(numbers) == separators + 1 else None


def _only_numbers(text: bytes, letters: NDArray[np.uint8]) -> bool:
    """Whether JSON text holds nothing but integers and commas.

    Of all letters from the comma to the nine, only the point could be part of another value.
    """
    return ord(",") <= int(letters.min()) and int(letters.max()) <= ord("9") and b"." not in text
