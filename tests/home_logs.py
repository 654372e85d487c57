"""What homes have logged of their receipts, beside what the ledger holds of the same ticks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from services.market.domain.record import SettledTick
from services.market.ledger import History

_RECEIPT = re.compile(
    r"tick (?P<tick>\d+) home (?P<home>\d+) .* net_kwh=(?P<net>\S+) .* stock_kwh=(?P<stock>\S+)"
)
_CONNECTED = "connected to the broker"

Receipt = tuple[int, int, float, float]
"""Tick, home, net amount and stock in kWh, as a single home logs them."""


def receipts_of(text: str) -> list[Receipt]:
    """Every receipt in a home's log, in the order in which they came."""
    return [
        (int(match["tick"]), int(match["home"]), float(match["net"]), float(match["stock"]))
        for match in _RECEIPT.finditer(text)
    ]


def recorded(ledger: Path, ticks: range) -> dict[int, SettledTick]:
    """The ledger's records of ``ticks``, as many as there are."""
    history = History.of_file(str(ledger))
    try:
        found = history.settled_between(ticks.start, ticks.stop, len(ticks))
    finally:
        history.close()
    return {settled.tick: settled for settled in found}


def agreeing(receipts: Iterable[Receipt], stored: dict[int, SettledTick]) -> int:
    """How many of the receipts are of stored ticks; what these say is what the ledger says."""
    agreed = 0
    for tick, home, net_kwh, stock_kwh in receipts:
        if tick in stored:
            settled, out = stored[tick], stored[tick].outcome
            row = settled.home.index(home)
            net_wh = (
                out.received_wh[row] + out.bought_wh[row] - out.given_wh[row] - out.sold_wh[row]
            )
            assert (net_kwh, stock_kwh) == (net_wh / 1_000, out.stock_wh[row] / 1_000), tick
            agreed += 1
    return agreed


def missing_receipts(text: str) -> list[tuple[int, int]]:
    """The (tick before, tick after) of every gap, and of every receipt that came twice, while
    a home's connection stood: only with a connection may a receipt be lost."""
    return [
        (before[0], after[0])
        for connection in text.split(_CONNECTED)
        for before, after in pairwise(receipts_of(connection))
        if after[0] != before[0] + 1
    ]
