"""Figures, the tables that show them, and their JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rich.markup import escape
from rich.table import Table

FORMAT: Final = 1
"""Of the JSON; raised when a reader of it would have to change."""


class BenchFailed(Exception):
    """A benchmark could not be carried out; the text says why."""


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: the least value that ``percent`` % of the values do not exceed.

    Raises ``ValueError`` without values, or for a percentage outside of (0, 100].
    """
    if not values or not 0 < percent <= 100:
        raise ValueError("a percentile needs values, and a percentage above 0 up to 100")
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be: at least ``bound``, or at most."""

    bound: float
    at_least: bool

    def met_by(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {shown(self.bound)}"


def at_least(bound: float) -> Target:
    """A target for what should be large."""
    return Target(bound, at_least=True)


def at_most(bound: float) -> Target:
    """A target for what should be small."""
    return Target(bound, at_least=False)


@dataclass(frozen=True, slots=True)
class Row:
    """One measure: its value by column, None or left out where it was not measured."""

    name: str
    unit: str
    values: Mapping[str, float | None]
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A table. The first column is ours; a target is about it. The other columns stand beside it.

    With ``floor``, the name of a column, a further one shows ours divided by that.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Row]
    floor: str | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one benchmark. ``skipped`` says why there is nothing.

    ``versions`` names what it ran on beside what ``machine`` knows, such as the broker.
    """

    comparisons: Sequence[Comparison] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    skipped: str | None = None


def ratio(row: Row, ours: str, floor: str | None) -> float | None:
    """Our value divided by the floor's; None where one is missing."""
    a, b = row.values.get(ours), row.values.get(floor or "")
    return a / b if a is not None and b else None


def shown(value: float | None) -> str:
    """A number for people: three significant digits, large ones in full."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 0 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 4)}f}"


def table(comparison: Comparison) -> Table:
    """The comparison as a table for the terminal; a target that is missed is red."""
    made = Table(title=escape(comparison.title), title_justify="left", caption_justify="left")
    if comparison.notes:
        made.caption = escape("\n".join(comparison.notes))
    made.add_column("")
    made.add_column("unit")
    for column in comparison.columns:
        made.add_column(column, justify="right")
    if comparison.floor:
        made.add_column(f"{comparison.columns[0]} / {comparison.floor}", justify="right")
    with_targets = any(row.target for row in comparison.rows)
    if with_targets:
        made.add_column("target", justify="right")
    for row in comparison.rows:
        made.add_row(
            *_cells(comparison, row), *([_target(comparison, row)] if with_targets else [])
        )
    return made


def _cells(comparison: Comparison, row: Row) -> list[str]:
    ours = comparison.columns[0]
    cells = [
        escape(row.name),
        row.unit,
        *(shown(row.values.get(name)) for name in comparison.columns),
    ]
    if comparison.floor:
        cells.append(shown(ratio(row, ours, comparison.floor)))
    return cells


def _target(comparison: Comparison, row: Row) -> str:
    value = row.values.get(comparison.columns[0])
    if row.target is None or value is None:
        return str(row.target or "")
    style = "green" if row.target.met_by(value) else "red"
    return f"[{style}]{row.target}[/]"


def as_json(machine: Mapping[str, Any], results: Mapping[str, Result]) -> dict[str, Any]:
    """Everything as plain data for ``json.dump``."""
    return {
        "format": FORMAT,
        "machine": dict(machine),
        "benchmarks": {
            name: {
                "skipped": result.skipped,
                "versions": dict(result.versions),
                "comparisons": [_comparison(each) for each in result.comparisons],
            }
            for name, result in results.items()
        },
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "title": comparison.title,
        "columns": list(comparison.columns),
        "floor": comparison.floor,
        "rows": [_row(comparison, row) for row in comparison.rows],
        "notes": list(comparison.notes),
    }


def _row(comparison: Comparison, row: Row) -> dict[str, Any]:
    ours = comparison.columns[0]
    target, value = row.target, row.values.get(ours)
    return {
        "name": row.name,
        "unit": row.unit,
        "values": {name: row.values.get(name) for name in comparison.columns},
        "ratio_to_floor": ratio(row, ours, comparison.floor),
        "target": None
        if target is None
        else {
            "bound": target.bound,
            "at_least": target.at_least,
            "met": None if value is None else target.met_by(value),
        },
    }
