"""Long columns as bytes, in the canonical form of ``columns``."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final

import numpy as np

from energymarket.column_arrays import column, view

_TYPES: Final = {1: "<i1", 2: "<i2", 4: "<i4", 8: "<i8"}


def pack(values: Sequence[int]) -> bytes:
    """The canonical bytes of a long column."""
    numbers = view(values)
    low, high = (int(numbers.min()), int(numbers.max())) if values else (0, 0)
    width = next(
        (w for w in (1, 2, 4) if -(1 << (8 * w - 1)) <= low and high < 1 << (8 * w - 1)), 8
    )
    return bytes((width,)) + numbers.astype(_TYPES[width]).tobytes()


def unpack(packed: bytes) -> array[int]:
    """The numbers of a column that ``columns.unpack`` has found to be one."""
    numbers = np.frombuffer(packed, dtype=_TYPES[packed[0]], offset=1)
    return column(numbers.astype(np.int64))
