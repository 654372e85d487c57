"""The figures of benchmark ``growth`` as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.growth import HOMES, ORDERS_PER_S, P50, P99, PROCESSES_OF_HOMES, TICKS_PER_S
from bench.report import BenchFailed
from lab.svg import Axis, Chart, Line, picture


def growth_svg(figures: Mapping[str, Any]) -> str:
    """An SVG file of ``figures``, which are those of ``report.as_json``.

    Raises ``BenchFailed`` when the growth was not measured.
    """
    comparisons = figures["benchmarks"].get("growth", {}).get("comparisons", [])
    homes, processes = _found(comparisons, HOMES), _found(comparisons, PROCESSES_OF_HOMES)
    by_homes, by_processes = Axis("homes", log=True), Axis("home processes", log=True)
    return picture(
        [
            Chart(
                "Orders settled, by homes as columns",
                [_line(homes, ORDERS_PER_S, "orders/s")],
                by_homes,
                Axis("orders/s", log=True),
            ),
            Chart(
                "Length of a tick, by homes as columns",
                [_line(homes, P50, "p50"), _line(homes, P99, "p99")],
                by_homes,
                Axis("ms", log=True),
            ),
            Chart(
                "Speed, by homes as processes",
                [_line(processes, TICKS_PER_S, "ticks/s")],
                by_processes,
                Axis("ticks/s", log=True),
            ),
        ]
    )


def _found(comparisons: list[Mapping[str, Any]], title: str) -> Mapping[str, Any]:
    for comparison in comparisons:
        if comparison["title"].startswith(title):
            return comparison
    raise BenchFailed(f"there is nothing to plot: no table {title!r} of benchmark growth")


def _line(comparison: Mapping[str, Any], row_name: str, name: str) -> Line:
    """A row over the numbers that its columns are named by."""
    (row,) = (row for row in comparison["rows"] if row["name"] == row_name)
    points = [(float(column.replace(",", "")), row["values"][column]) for column in row["values"]]
    return Line(name, points, marked=True)
