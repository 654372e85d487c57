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


def parsed(texts: Sequence[bytes]) -> Numbers | None:
    """The numbers in JSON arrays of integers that are equally long: a row for each array.
    Short ones are read more quickly together than one by one.

    Each text must be one JSON value of right grammar. None for what are not plainly such arrays,
    without blanks: the caller has another way to read them, and to say what is wrong. A number
    beyond 64 bits comes out as the last of these.
    """
    if all(text == b"[]" for text in texts):
        return np.zeros((len(texts), 0), dtype=np.int64)
    if any(text == b"[]" or not text.startswith(b"[") for text in texts):
        return None
    if len(texts) > 1 and len({text.count(b",") for text in texts}) > 1:
        return None
    joined = b",".join([text[1:-1] for text in texts])
    letters = np.frombuffer(joined, dtype=np.uint8)
    if not _only_numbers(joined, letters):
        return None
    numbers = np.fromstring(joined, dtype=np.int64, sep=",")
    if len(numbers) != int(np.count_nonzero(letters == ord(","))) + 1:
        return None
    return numbers.reshape(len(texts), -1)


def _only_numbers(text: bytes, letters: NDArray[np.uint8]) -> bool:
    """Whether JSON text holds nothing but integers and commas.

    Of all letters from the comma to the nine, only the point could be part of another value.
    """
    return ord(",") <= int(letters.min()) and int(letters.max()) <= ord("9") and b"." not in text
