"""Columns of integers as bytes: one canonical form, so that equal numbers make equal hashes.

A column is one byte that says how wide its numbers are (1, 2, 4 or 8), then the numbers, signed
and little-endian. The width is the least that holds all of them, so that a column has exactly one
form.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import MutableSequence, Sequence

from energymarket.columns import is_long, many

_TYPECODES = {1: "b", 2: "h", 4: "i", 8: "q"}
_SWAP = sys.byteorder == "big"


def pack(values: Sequence[int]) -> bytes:
    """The canonical bytes of a column; raises ``OverflowError`` beyond 64 bits."""
    if is_long(values) and many(len(values)):
        from services.market.domain import packing_arrays  # noqa: PLC0415 - energymarket.columns

        return packing_arrays.pack(values)
    width = width_of(min(values), max(values)) if values else 1
    numbers = array(_TYPECODES[width], values)
    if _SWAP:
        numbers.byteswap()
    return bytes((width,)) + numbers.tobytes()


def width_of(low: int, high: int) -> int:
    """The least width in bytes that holds all numbers from ``low`` to ``high``; 8 also when none
    does."""
    if low >= -(1 << 7) and high < 1 << 7:
        return 1
    if low >= -(1 << 15) and high < 1 << 15:
        return 2
    return 4 if low >= -(1 << 31) and high < 1 << 31 else 8


def unpack(column: bytes) -> MutableSequence[int]:
    """The numbers of a packed column, a long one if they are many; raises ``ValueError`` when it
    is not one."""
    if not column or column[0] not in _TYPECODES or (len(column) - 1) % column[0]:
        raise ValueError("not a packed column")
    if many((len(column) - 1) // column[0]):
        from services.market.domain import packing_arrays  # noqa: PLC0415 - energymarket.columns

        return packing_arrays.unpack(column)
    numbers = array(_TYPECODES[column[0]])
    numbers.frombytes(column[1:])
    if _SWAP:
        numbers.byteswap()
    return numbers.tolist()
