"""The draws of ``randomness`` for many homes at once: the same numbers, as arrays.

Unsigned integers of 64 bits wrap around in NumPy as the masks of ``randomness`` make them.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from energymarket.column_arrays import Numbers
from energymarket.randomness import ENTITY_GAMMA, GOLDEN_GAMMA, MASK, stream_key

Draws: TypeAlias = NDArray[np.uint64]


def _mix(word: Draws) -> Draws:
    """In place: the arrays are long, and a new one for each step would cost more than the step."""
    word ^= word >> np.uint64(30)
    word *= np.uint64(0xBF58476D1CE4E5B9)
    word ^= word >> np.uint64(27)
    word *= np.uint64(0x94D049BB133111EB)
    word ^= word >> np.uint64(31)
    return word


def draws(seed: int, stream: str, entities: Numbers, tick: int) -> Draws:
    """``randomness.draw`` for each of the entities."""
    word = entities.astype(np.uint64)
    word *= np.uint64(ENTITY_GAMMA)
    word += np.uint64(stream_key(seed, stream))
    word = _mix(word)
    word += np.uint64(tick * GOLDEN_GAMMA & MASK)
    return _mix(word)


def draws_between(
    seed: int, stream: str, entities: Numbers, tick: int, low: int | Numbers, high: int | Numbers
) -> Numbers:
    """``randomness.draw_between`` for each of the entities; bounds for all, or for each."""
    span = np.asarray(high - low + 1, dtype=np.uint64)
    word = draws(seed, stream, entities, tick)
    word >>= np.uint64(32)
    word *= span
    word >>= np.uint64(32)
    return low + word.astype(np.int64)
