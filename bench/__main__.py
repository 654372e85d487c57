"""``python -m bench [BENCHMARK|all] [--json FILE] [--plot FILE]``, at the project's root.

``python -m bench tables FIGURES`` writes tables and plot from the JSON of an earlier run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import (
    assume_peer,
    compose,
    distributed,
    embedded,
    figures,
    growth,
    machine,
    orders,
    page,
    profile,
    readers,
    settling,
)
from bench.plot import growth_svg
from bench.report import FORMAT, BenchFailed, Result, as_json, table

BENCHMARKS: dict[str, Callable[[], Result]] = {
    "embedded": embedded.run,
    "settle": settling.run,
    "distributed": distributed.run,
    "orders": orders.run,
    "growth": growth.run,
    "profile": profile.run,
    "compose": compose.run,
    "readers": readers.run,
    "page": page.run,
}

TABLES = "tables"

_NARROWEST_FILE = 120
_PAGE = Path("docs/performance.md")


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what was asked for; 1 when a benchmark failed, 0 also when one had to be skipped."""
    asked = _parser().parse_args(arguments)
    console = Console() if sys.stdout.isatty() else Console(width=_NARROWEST_FILE)
    try:
        if asked.benchmark == TABLES:
            _write_tables(console, asked)
            return 0
        if asked.peers:
            _get_peers(console)
        measured, failed = _measured(console, asked.benchmark)
        if asked.json:
            asked.json.write_text(json.dumps(measured, indent=2) + "\n")
        if asked.plot:
            _draw(console, asked.plot, measured)
    except BenchFailed as error:
        console.print(str(error), style="red", markup=False)
        return 1
    return failed


def _get_peers(console: Console) -> None:
    """Where they cannot be had, what is measured without them says so."""
    try:
        assume_peer.install()
    except BenchFailed as error:
        console.print(str(error), style="red", markup=False)


def _measured(console: Console, benchmark: str) -> tuple[dict[str, Any], int]:
    """Runs ``benchmark``, or all, and shows the tables; the figures, and 1 when one failed."""
    described = machine.described()
    for name, value in described.items():
        console.print(f"{name}: {value}", style="dim", highlight=False)
    results = {}
    failed = 0
    for name in BENCHMARKS if benchmark == "all" else [benchmark]:
        console.rule(name)
        try:
            results[name] = result = BENCHMARKS[name]()
        except BenchFailed as error:
            console.print(f"{name} failed: {error}", style="red", markup=False)
            failed = 1
            continue
        _show(console, name, result)
    described["load_average_at_the_end"] = machine.load_average()
    console.print(f"load average at the end: {described['load_average_at_the_end']}", style="dim")
    return as_json(described, results), failed


def _draw(console: Console, file: Path, measured: Mapping[str, Any]) -> None:
    """Where the growth could not be measured, says so."""
    try:
        file.write_text(growth_svg(measured))
    except BenchFailed as error:
        console.print(f"{file}: {error}", style="red", markup=False)


def _write_tables(console: Console, asked: argparse.Namespace) -> None:
    """Raises ``BenchFailed`` where there is nothing to write."""
    if asked.figures is None:
        raise BenchFailed("tables of what? python -m bench tables FIGURES, the JSON of a run")
    try:
        found = json.loads(asked.figures.read_text())
    except (OSError, ValueError) as error:
        raise BenchFailed(f"{asked.figures} cannot be read: {error}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise BenchFailed(f"{asked.figures} is not the JSON of this version's benchmarks")
    if asked.plot:
        _draw(console, asked.plot, found)
    written = figures.rewrite(asked.page, found)
    console.print(f"{asked.page}: tables of {', '.join(written)}", highlight=False)


def _show(console: Console, name: str, result: Result) -> None:
    if result.skipped:
        console.print(f"{name} skipped: {result.skipped}", markup=False)
    for comparison in result.comparisons:
        console.print(table(comparison))
    for what, version in result.versions.items():
        console.print(f"{what}: {version}", style="dim", highlight=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures the market, each figure beside a floor or a peer of the same run.",
        epilog="Example: python -m bench all --peers --json figures.json --plot docs/growth.svg; "
        "python -m bench tables figures.json",
    )
    parser.add_argument(
        "benchmark",
        nargs="?",
        choices=[*BENCHMARKS, "all", TABLES],
        default="all",
        help="embedded: one process, beside ASSUME; settle: what an order costs the market; "
        "distributed: 20 homes over RabbitMQ and Redis; "
        "orders: 2,000 homes over RabbitMQ, one order in a message, and 100,000; "
        "growth: up to a million homes, and up to 200 processes; profile: where a tick goes; "
        "compose: the containers; readers: of the stream; page: the page in a browser; "
        f"{TABLES}: nothing is measured, "
        "the figures of an earlier run are written into the page (default: all)",
    )
    parser.add_argument(
        "figures", nargs="?", type=Path, metavar="FIGURES", help=f"for {TABLES}: the JSON of a run"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes the figures there too")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draws the growth there, as an SVG"
    )
    parser.add_argument(
        "--peers",
        action="store_true",
        help=f"first installs the peer {assume_peer.REQUIREMENT} into an environment of its own "
        f"({assume_peer.environment_folder()})",
    )
    parser.add_argument(
        "--page",
        type=Path,
        metavar="FILE",
        default=_PAGE,
        help=f"for {TABLES}: the page (default: {_PAGE})",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
