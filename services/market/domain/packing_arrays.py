"""Long columns as bytes, in the canonical form of ``columns``."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final

import numpy as np

from energymarket.column_arrays import bits_of, column, view
from services.market.domain.columns import width_of

_TYPES: Final = {1: "<i1", 2: "<i2", 4: "<i4", 8: "<i8"}


def pack(values: Sequence[int]) -> bytes:
    """The canonical bytes of a long column."""
    numbers = view(values)
    # Of numbers not below zero the bits of all need the width that the greatest needs.
    bits = bits_of(numbers)
    low, high = (0, bits) if bits >= 0 else (int(numbers.min()), int(numbers.max()))
    width = width_of(low, high)
    return bytes((width,)) + numbers.astype(_TYPES[width]).tobytes()


def unpack(packed: bytes) -> array[int]:
    """The numbers of a column that ``columns.unpack`` has found to be one."""
    numbers = np.frombuffer(packed, dtype=_TYPES[packed[0]], offset=1)
    return column(numbers.astype(np.int64))
