"""``python -m bench [NAME|all] [--json FILE]`` at the project's root: see ``BENCHMARKS``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from bench import compose, distributed, embedded, machine, page, readers
from bench.report import BenchFailed, Result, as_json, table

BENCHMARKS: dict[str, Callable[[], Result]] = {
    "embedded": embedded.run,
    "distributed": distributed.run,
    "compose": compose.run,
    "readers": readers.run,
    "page": page.run,
}

_NARROWEST_FILE = 120


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what was asked for; 1 when a benchmark failed, 0 also when one had to be skipped."""
    asked = _parser().parse_args(arguments)
    console = Console() if sys.stdout.isatty() else Console(width=_NARROWEST_FILE)
    described = machine.described()
    for name, value in described.items():
        console.print(f"{name}: {value}", style="dim", highlight=False)
    results = {}
    failed = 0
    for name in BENCHMARKS if asked.benchmark == "all" else [asked.benchmark]:
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
    if asked.json:
        asked.json.write_text(json.dumps(as_json(described, results), indent=2) + "\n")
    return failed


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
        epilog="Example: python -m bench distributed --json figures.json",
    )
    parser.add_argument(
        "benchmark",
        nargs="?",
        choices=[*BENCHMARKS, "all"],
        default="all",
        help="embedded: one process; distributed: 20 homes over RabbitMQ and Redis; "
        "compose: the containers; readers: of the stream; page: in a browser (default: all)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes the figures there too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
