"""Home ids as ranges: ``1-20,25`` for what would be a long list."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby


def to_ranges(homes: Sequence[int]) -> str:
    """Ascending home ids as text."""
    parts = []
    for _, run in groupby(enumerate(homes), key=lambda pair: pair[1] - pair[0]):
        ids = [home for _, home in run]
        parts.append(f"{ids[0]}-{ids[-1]}" if len(ids) > 1 else f"{ids[0]}")
    return ",".join(parts)


def from_ranges(text: str) -> tuple[int, ...]:
    """The home ids in the text of ``to_ranges``."""
    homes: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        homes.extend(range(int(first), int(last or first) + 1))
    return tuple(homes)
