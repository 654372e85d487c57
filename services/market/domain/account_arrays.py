"""Accounts of many homes at once, with gaps between their ids: see ``accounts``."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from energymarket.column_arrays import column, view


def held(accounts: array[int], homes: Sequence[int]) -> array[int]:
    """What these homes have; row 0 of the accounts is home 1."""
    return column(view(accounts)[view(homes) - 1])


def put(accounts: array[int], homes: Sequence[int], values: Sequence[int]) -> None:
    """Gives these homes new values."""
    view(accounts)[view(homes) - 1] = view(values)
