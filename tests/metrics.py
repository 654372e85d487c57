"""Metrics as Prometheus reads them, and the rules for their names.

The rules are those of https://prometheus.io/docs/practices/naming/, as far as names can be judged
by a program; ``promtool check metrics`` knows some of them too, where it is installed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry

_SCALED: Final = re.compile(
    r"_(ms|us|ns|milliseconds|minutes|hours|days|kb|mb|kib|mib|kilobytes|megabytes|percent|kwh)(_|$)"
)
_PRICE: Final = "_eur_per_kwh"  # as people say it; there is no base unit of it
_UNITS: Final = ("_seconds", "_bytes", "_celsius", "_wh")
_LABELS: Final = {"kind", "reason", "missing", "how", "phase", "route", "method", "status", "event"}
_LABELS_OF_THE_FORMAT: Final = {"le"}


def names_of(registry: CollectorRegistry) -> dict[str, str]:
    """Type by name, as Prometheus shows it."""
    return {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in registry.collect()
    }


def faults(text: str) -> list[str]:
    """What is wrong with an exposition, one line each."""
    return [f"{name}: {fault}" for name, fault in _faults(text)]


def sample(text: str, name: str) -> float:
    """A number out of an exposition, by its name with its labels; -1 where it is not in it."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else -1.0


def promtool_complaints(text: str) -> str:
    """What Prometheus's own tool says about it; nothing where the tool is not there."""
    tool = shutil.which("promtool")
    if tool is None:
        return ""
    done = subprocess.run(
        [tool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def _faults(text: str) -> Iterator[tuple[str, str]]:
    helped = set(re.findall(r"^# HELP (\S+) \S", text, re.MULTILINE))
    for name, kind in re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE):
        if name.endswith("_created"):
            continue  # the client's own, one beside each counter and histogram
        if name not in helped:
            yield name, "no help text"
        if not re.fullmatch(r"(energymarket|process)_[a-z][a-z0-9_]*", name):
            yield name, "begins with neither energymarket_ nor process_, or is not in snake case"
        if (kind == "counter") != name.endswith("_total"):
            yield (
                name,
                "_total ends counters, and it is no counter"
                if kind != "counter"
                else ("a counter that does not end in _total"),
            )
        if _SCALED.search(name.removesuffix(_PRICE)):
            yield name, "not in a base unit"
        if kind == "histogram" and not name.endswith(_UNITS):
            yield name, "a histogram without a unit"
    for name, labels in re.findall(r"^(\w+){(.*?)} ", text, re.MULTILINE):
        for label in re.findall(r'(\w+)="', labels):
            if label not in _LABELS | _LABELS_OF_THE_FORMAT:
                yield name, f"label {label} is none of ours"
