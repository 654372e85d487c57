"""Lists of home ids: as ranges (``1-20,25``), and held against each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from energymarket.columns import Rows, greatest, least, many


def to_ranges(homes: Sequence[int]) -> str:
    """Ascending home ids as text."""
    if len(homes) > 1 and Rows(homes).dense:
        return f"{homes[0]}-{homes[-1]}"
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


def within_stretch(homes: Sequence[int], own: Sequence[int]) -> bool:
    """Whether ``own``, which ascends, is many ids without a gap, and all ``homes`` are among them:
    quickly told, and true of most large messages."""
    dense = many(len(own)) and Rows(own).dense
    return bool(dense and homes and own[0] <= least(homes) and greatest(homes) <= own[-1])


_MOST_NAMED: Final = 1_000


def foreign_homes(homes: Sequence[int], own: Sequence[int]) -> tuple[int, ...]:
    """The ids among ``homes`` that are not in ``own``, which ascends; the lowest ones if many."""
    if within_stretch(homes, own):
        return ()
    strangers = set(homes).difference(own)
    return tuple(sorted(strangers))[:_MOST_NAMED] if strangers else ()
