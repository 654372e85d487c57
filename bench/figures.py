"""Tables of measured figures in a page of documentation, written anew from their JSON.

The tables of a benchmark stand between two lines, which stay::

    <!-- figures: growth -->
    <!-- end of figures -->
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.report import BenchFailed, shown

_MARKED: Final = re.compile(
    r"(?P<begin><!-- figures: (?P<name>\w+) -->\n).*?(?P<end><!-- end of figures -->)", re.DOTALL
)
_LIBRARIES: Final = ("python", "sqlite", "pika", "msgspec", "numpy")
_BUSY: Final = (
    "*The machine was busy with other work: figures per second are too low and latencies too high; "
    "processor time per order and memory are less affected.*"
)


def rewrite(page: Path, figures: Mapping[str, Any]) -> list[str]:
    """Writes the tables of ``figures`` (those of ``report.as_json``) into ``page``.

    What was not measured is left as it is. Returns the benchmarks whose tables were written;
    raises ``BenchFailed`` when the page has room for none of them.
    """
    measured = {
        name: benchmark
        for name, benchmark in figures["benchmarks"].items()
        if benchmark["comparisons"]
    }
    written: list[str] = []

    def tables(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in measured:
            return match[0]
        written.append(name)
        return match["begin"] + markdown(figures["machine"], measured[name]) + match["end"]

    text = _MARKED.sub(tables, page.read_text())
    if not written:
        raise BenchFailed(f"{page} has no place marked for any of: {', '.join(measured)}")
    page.write_text(text)
    return written


def markdown(machine: Mapping[str, Any], benchmark: Mapping[str, Any]) -> str:
    """The tables of one benchmark, and on what they were measured."""
    parts = [_measured_on(machine, benchmark["versions"])]
    parts += [_table(comparison) for comparison in benchmark["comparisons"]]
    return "\n\n".join(["", *parts]).lstrip("\n") + "\n\n"


def _measured_on(machine: Mapping[str, Any], versions: Mapping[str, str]) -> str:
    libraries = machine.get("versions", {})
    used = {name: libraries[name] for name in _LIBRARIES if name in libraries}
    software = ", ".join(f"{name} {version}" for name, version in {**used, **versions}.items())
    cores = machine.get("cores") or 1
    before = machine.get("load_average") or [0.0]
    after = machine.get("load_average_at_the_end") or before
    said = (
        f"Measured {str(machine.get('date', '?'))[:10]}, revision {machine.get('revision', '?')}: "
        f"{cores} cores of {machine.get('cpu', '?')}, {machine.get('memory_mib', 0) / 1024:.0f} "
        f"GiB, {software}; load average {before[0]} at the beginning and {after[0]} at the end."
    )
    return f"{said}\n\n{_BUSY}" if before[0] > cores / 2 else said


def _table(comparison: Mapping[str, Any]) -> str:
    columns, floor = comparison["columns"], comparison["floor"]
    with_targets = any(row["target"] for row in comparison["rows"])
    head = ["", "unit", *columns]
    head += [f"{columns[0]} / {floor}"] if floor else []
    head += ["wanted"] if with_targets else []
    lines = [f"**{comparison['title']}**", "", _line(head)]
    lines.append("|" + "|".join(["---", "---", *["---:"] * (len(head) - 2)]) + "|")
    lines += [_line(_cells(row, columns, floor, with_targets)) for row in comparison["rows"]]
    notes = [f"- {note}" for note in comparison["notes"]]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def _cells(
    row: Mapping[str, Any], columns: Sequence[str], floor: str | None, with_targets: bool
) -> list[str]:
    cells = [row["name"], row["unit"], *(shown(row["values"][column]) for column in columns)]
    if floor:
        cells.append(shown(row["ratio_to_floor"]))
    if with_targets:
        cells.append(_target(row["target"]) if row["target"] else "")
    return cells


def _target(target: Mapping[str, Any]) -> str:
    """The bound, and whether it is met."""
    met = {True: " (met)", False: " (**missed**)", None: ""}[target["met"]]
    return f"{'≥' if target['at_least'] else '≤'} {shown(target['bound'])}{met}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
