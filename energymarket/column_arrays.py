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

from energymarket.columns import BITS_64, long_column

Numbers: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

_FITS: Final = 2**63
_INT64: Final = np.dtype(np.int64)
_BYTE: Final = np.dtype(np.uint8)


def view(column: Sequence[int]) -> Numbers:
    """The numbers of a column: a long one in place (writing to it changes the column), a list
    copied. A long column cannot grow while there is a view of it. Raises ``OverflowError``."""
    # Looked at here, for this is called a hundred times in a tick.
    return np.frombuffer(column if isinstance(column, array) else long_column(column), _INT64)


def column(numbers: Numbers) -> array[int]:
    """A long column of these numbers; a copy."""
    made = array(BITS_64)
    made.frombytes(np.ascontiguousarray(numbers, _INT64).view(_BYTE).data)
    return made


def bits_of(numbers: Numbers) -> int:
    """One number with the bits of all: as large as the largest at least and below twice that; below
    zero if one of them is; 0 if there is none. Quicker than to look for least and greatest."""
    return int(np.bitwise_or.reduce(numbers))


def largest(numbers: Numbers) -> int:
    """The largest absolute value; 0 if there is none."""
    if not numbers.size:
        return 0
    return max(abs(int(numbers.min())), abs(int(numbers.max())))


def total(values: Sequence[int]) -> int:
    """The sum of a column, exact."""
    numbers = view(values)
    bits = bits_of(numbers)
    most = bits if bits >= 0 else largest(numbers)
    if most * len(numbers) < _FITS:
        return int(np.add.reduce(numbers))
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
    empty = texts.count(b"[]")
    if empty:
        return np.zeros((empty, 0), dtype=np.int64) if empty == len(texts) else None
    if not all(text.startswith(b"[") for text in texts):
        return None
    joined = b",".join([text[1:-1] for text in texts])
    letters = np.frombuffer(joined, dtype=np.uint8)
    if not _only_numbers(joined, letters):
        return None
    length = _equal_length(letters == ord(","), texts)
    numbers = np.fromstring(joined, dtype=np.int64, sep=",") if length else None
    if numbers is None or len(numbers) != length * len(texts):
        return None
    return numbers.reshape(len(texts), length)


def _only_numbers(text: bytes, letters: NDArray[np.uint8]) -> bool:
    """Whether JSON text holds nothing but integers and commas.

    Of all letters from the comma to the nine, only the point could be part of another value.
    """
    least, greatest = int(np.minimum.reduce(letters)), int(np.maximum.reduce(letters))
    return ord(",") <= least and greatest <= ord("9") and b"." not in text


def _equal_length(commas: Flags, texts: Sequence[bytes]) -> int:
    """How many values each of the arrays has whose insides stand in a row, a comma between them;
    0 if not all have equally many."""
    begin, lengths = 0, set()
    for text in texts:
        end = begin + len(text) - 2
        lengths.add(int(np.count_nonzero(commas[begin:end])) + 1)
        begin = end + 1
    return lengths.pop() if len(lengths) == 1 else 0
