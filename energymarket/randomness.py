"""Counter-based randomness: every draw is a pure function of what it is for.

``draw(seed, stream, entity, tick)`` has no state, so a restarted or moved home draws what it would
have drawn, and homes computed one at a time or as arrays get the same numbers. Only integer
operations on 64 bits are used, which every machine computes alike.

The mixing step is the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable
pseudorandom number generators", OOPSLA 2014), applied once per word that goes in.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

MASK = (1 << 64) - 1
GOLDEN_GAMMA = 0x9E3779B97F4A7C15
ENTITY_GAMMA = 0xD1B54A32D192ED03


def _mix(word: int) -> int:
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


@lru_cache(maxsize=256)
def stream_key(seed: int, stream: str) -> int:
    """64-bit key of a named stream under a seed; the start of every draw from it."""
    name = int.from_bytes(sha256(stream.encode()).digest()[:8], "little")
    return _mix((_mix((seed + GOLDEN_GAMMA) & MASK) ^ name) & MASK)


def draw(seed: int, stream: str, entity: int, tick: int) -> int:
    """64 uniform bits for ``entity`` at ``tick`` in ``stream``."""
    word = _mix((stream_key(seed, stream) + entity * ENTITY_GAMMA) & MASK)
    return _mix((word + tick * GOLDEN_GAMMA) & MASK)


def draw_between(seed: int, stream: str, entity: int, tick: int, low: int, high: int) -> int:
    """Uniform integer in ``[low, high]``, both ends included.

    The span must be under 2**32: the upper 32 bits of the draw are scaled by it (Lemire, "Fast
    random integer generation in an interval", 2019, without the rejection step: the bias is under
    ``span / 2**32``).
    """
    span = high - low + 1
    return low + (((draw(seed, stream, entity, tick) >> 32) * span) >> 32)
