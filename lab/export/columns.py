"""The columns of the exported tables: names with their units, and what they hold.

docs/run-folder.md is the dictionary for readers; a test holds it against these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Cells = Sequence[int] | Sequence[int | None] | Sequence[str] | Sequence[str | None]
"""One column of a batch of rows."""

Kind = Literal["integer", "text"]

MARKET: Final = 0
"""Stands for the market where a home's id would."""

GIFT, SALE, PURCHASE = "gift", "sale", "purchase"


@dataclass(frozen=True, slots=True)
class Column:
    """``empty``: a row may have none."""

    name: str
    kind: Kind = "integer"
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the run folder; its files are ``name.csv`` and ``name.parquet``."""

    name: str
    columns: tuple[Column, ...]

    @property
    def header(self) -> list[str]:
        return [column.name for column in self.columns]


PRICES: Final = Table(
    "prices",
    tuple(
        Column(name)
        for name in (
            *("tick", "price_neur_per_wh", "next_price_neur_per_wh", "temperature_mdeg"),
            *("without_weather", "without_external", "homes", "absent_homes"),
            *("given_wh", "sold_wh", "bought_wh", "spilled_wh", "unserved_wh"),
        )
    ),
)

SUMMED: Final = (
    *("produced_wh", "consumed_wh", "given_wh", "received_wh", "sold_wh", "bought_wh"),
    *("spilled_wh", "unserved_wh"),
)
"""What is added up over the ticks, home by home."""

HOMES: Final = Table(
    "homes",
    (
        Column("home"),
        Column("surplus_policy", "text", empty=True),
        Column("need_policy", "text", empty=True),
        Column("ticks_present"),
        Column("ticks_absent"),
        Column("stock_before_wh"),
        *(Column(name) for name in SUMMED),
        Column("stock_wh"),
        Column("capacity_wh"),
        Column("balance_before_neur"),
        Column("earned_neur"),
        Column("paid_neur"),
        Column("balance_neur"),
        Column("bill_neur"),
    ),
)

TRADES: Final = Table(
    "trades",
    (
        Column("tick"),
        Column("kind", "text"),
        Column("giver"),
        Column("taker"),
        Column("energy_wh"),
        Column("price_neur_per_wh"),
        Column("amount_neur"),
    ),
)

TABLES: Final = (PRICES, HOMES, TRADES)
