"""What is added up over the ticks of a ledger, by home and from home to home: exact, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from energymarket.errors import EnergyMarketError
from lab.export.columns import GIFT, MARKET, PURCHASE, SALE, SUMMED, Cells
from services.market.domain.gifts import Gifts
from services.market.domain.record import SettledTick

Numbers = npt.NDArray[np.int64]

MOST_LINKED: Final = 500
"""Homes that are told apart as givers and takers; more of them are put together in groups."""

_FIRST_NEED_POLICY: Final = 4


class BeyondExact(EnergyMarketError):
    """A sum that 64 bits do not hold."""


class HomeSums:
    """One row per home that ever was, row 0 being home 1."""

    def __init__(self) -> None:
        self.columns: dict[str, Numbers] = {
            name: np.zeros(0, dtype=np.int64)
            for name in (
                *("ticks_present", "ticks_absent", "surplus", "need", *SUMMED),
                *("capacity_wh", "earned_neur", "paid_neur"),
            )
        }

    def add(self, settled: SettledTick) -> None:
        """Takes in a tick; raises ``BeyondExact`` before anything wraps around."""
        rows = _numbers(settled.home) - 1
        if not rows.size:
            return
        self._grow_to(int(rows[-1]) + 1)
        orders, out = settled.orders, settled.outcome
        policy = _numbers(orders.policy)
        present = policy != 0
        self._add("ticks_present", rows, present.astype(np.int64))
        self._add("ticks_absent", rows, (~present).astype(np.int64))
        for name in SUMMED:
            part = orders if name in {"produced_wh", "consumed_wh"} else out
            self._add(name, rows, _numbers(getattr(part, name)))
        price = settled.opening.price_neur_per_wh
        sold, bought = _amounts(out.sold_wh, price), _amounts(out.bought_wh, price)
        # At a price below zero who sells pays.
        self._add("earned_neur", rows, np.maximum(sold, 0) + np.maximum(-bought, 0))
        self._add("paid_neur", rows, np.maximum(bought, 0) + np.maximum(-sold, 0))
        self.columns["capacity_wh"][rows[present]] = _numbers(orders.capacity_wh)[present]
        for name, shown in (
            ("surplus", present & (policy < _FIRST_NEED_POLICY)),
            ("need", policy >= _FIRST_NEED_POLICY),
        ):
            self.columns[name][rows[shown]] = policy[shown]

    def _grow_to(self, homes: int) -> None:
        for name, column in self.columns.items():
            if homes > column.size:
                self.columns[name] = np.pad(column, (0, homes - column.size))

    def _add(self, name: str, rows: Numbers, values: Numbers) -> None:
        column = self.columns[name]
        column[rows] += values
        if (column[rows] < 0).any():  # nothing that is added is below zero
            raise BeyondExact(f"the sum of {name} is beyond 64 bits: export fewer ticks.")


class GiftLinks:
    """Energy from giver to taker in Wh, among at most ``MOST_LINKED`` homes or groups of them."""

    def __init__(self, homes: int) -> None:
        self.group = -(-homes // MOST_LINKED) if homes > MOST_LINKED else 1
        """Homes in a group, which have neighbouring ids; 1: each home is told apart."""
        size = -(-homes // self.group)
        self.energy_wh: Numbers = np.zeros((size, size), dtype=np.int64)

    def add(self, gifts: Gifts) -> None:
        if gifts.giver:
            places = tuple(
                (_numbers(each) - 1) // self.group for each in (gifts.giver, gifts.taker)
            )
            np.add.at(self.energy_wh, places, _numbers(gifts.energy_wh))

    def strongest(self, most: int) -> list[tuple[int, int, int]]:
        """(giver, taker, Wh), the strongest first; homes, or the numbers of groups, from 1."""
        flat = self.energy_wh.ravel()
        chosen = np.argsort(-flat, kind="stable")[:most]
        size = self.energy_wh.shape[0]
        return [
            (int(each) // size + 1, int(each) % size + 1, int(flat[each]))
            for each in chosen
            if flat[each]
        ]


def trades(settled: SettledTick, gifts: Gifts) -> list[Cells]:
    """The rows of a tick in the table of trades, as columns: gifts, then sales, then purchases."""
    price = settled.opening.price_neur_per_wh
    homes = _numbers(settled.home)
    sold, bought = _numbers(settled.outcome.sold_wh), _numbers(settled.outcome.bought_wh)
    sellers, buyers = np.flatnonzero(sold), np.flatnonzero(bought)
    counts = len(gifts.giver), sellers.size, buyers.size
    energy = np.concatenate((_numbers(gifts.energy_wh), sold[sellers], bought[buyers]))
    prices = np.repeat(np.array((0, price, price), dtype=np.int64), counts)
    to_market = np.full(sellers.size, MARKET, dtype=np.int64)
    from_market = np.full(buyers.size, MARKET, dtype=np.int64)
    kinds = [kind for kind, n in zip((GIFT, SALE, PURCHASE), counts, strict=True) for _ in range(n)]
    columns: list[Any] = [
        [settled.tick] * len(kinds),
        kinds,
        np.concatenate((_numbers(gifts.giver), homes[sellers], from_market)).tolist(),
        np.concatenate((_numbers(gifts.taker), to_market, homes[buyers])).tolist(),
        energy.tolist(),
        prices.tolist(),
        # Not beyond 64 bits: each moved a balance, which the ledger keeps in as many.
        (energy * prices).tolist(),
    ]
    return columns


def _amounts(energy_wh: Sequence[int], price_neur_per_wh: int) -> Numbers:
    return _numbers(energy_wh) * price_neur_per_wh


def _numbers(column: Sequence[int]) -> Numbers:
    return np.asarray(column, dtype=np.int64)
