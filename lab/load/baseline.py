"""Compares a result with an earlier one, for CI: slower than a ratio is a failure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from energymarket.errors import SettingsError
from lab.load.result import FORMAT


@dataclass(frozen=True, slots=True)
class Verdict:
    """``ratio`` is now by then, the other way round for a latency: below 1 is slower."""

    figure: str
    then: float
    now: float
    ratio: float
    least: float

    @property
    def ok(self) -> bool:
        return self.ratio >= self.least

    def sentence(self) -> str:
        """What came of it, in words."""
        said = f"{self.figure}: {self.now:,.1f} now, {self.then:,.1f} in the baseline"
        word = "as fast as wanted" if self.ok else "too slow"
        return f"{said}, a ratio of {self.ratio:.2f}; at least {self.least:g} is wanted: {word}."


def read(file: Path) -> Mapping[str, Any]:
    """An earlier JSON; raises ``SettingsError`` for a file that is none."""
    try:
        found = json.loads(file.read_text())
    except OSError as error:
        raise SettingsError(f"--baseline {file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise SettingsError(f"--baseline {file} is not JSON.") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT or "plan" not in found:
        raise SettingsError(f"--baseline {file} is not the JSON of a load test of this version.")
    return found


def check_comparable(baseline: Mapping[str, Any], plan: Mapping[str, Any]) -> None:
    """Raises ``SettingsError`` unless both are of the same plan; a knee sets its own homes."""
    for name, value in plan.items():
        then = baseline["plan"].get(name)
        if then != value and not ("knee" in baseline and name == "homes"):
            raise SettingsError(
                f"the baseline has {name} {then}, and this run {value}: only equal plans can be "
                "compared."
            )


def compare(baseline: Mapping[str, Any], result: Mapping[str, Any], least: float) -> Verdict:
    """Knees by their homes; open mode, whose pace is given, by p99; closed mode by orders/s."""
    if "knee" in result:
        then = float(baseline.get("knee", {}).get("homes", 0))
        now = float(result["knee"]["homes"])
        return Verdict("homes at the knee", then, now, _ratio(now, then), least)
    if result["plan"]["mode"] == "open":
        then, now = (float(each["latency_ms"]["p99"]) for each in (baseline, result))
        return Verdict("p99, ms", then, now, _ratio(then, now), least)
    then, now = (float(each["orders_per_s"]) for each in (baseline, result))
    return Verdict("orders/s", then, now, _ratio(now, then), least)


def _ratio(better: float, worse: float) -> float:
    return better / worse if worse else 1.0
