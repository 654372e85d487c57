"""Compares a result with an earlier one, for CI: slower than a ratio is a failure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from energymarket.errors import SettingsError
from lab.load.result import FORMAT

_P99: Final = "p99, ms"
"""The one figure of which less is better."""


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


def check_comparable(
    baseline: Mapping[str, Any], plan: Mapping[str, Any], *, find_knee: bool = False
) -> None:
    """Raises ``SettingsError`` unless both are of the same plan, and the baseline has a figure to
    compare with; two searches for the knee may begin with other homes."""
    if ("knee" in baseline) != find_knee:
        one, other = ("this run", "the baseline") if find_knee else ("the baseline", "this run")
        raise SettingsError(
            f"{one} looks for the knee, and {other} does not: only equal plans can be compared."
        )
    for name, value in plan.items():
        then = baseline["plan"].get(name)
        if then != value and not (find_knee and name == "homes"):
            raise SettingsError(
                f"the baseline has {name} {then}, and this run {value}: only equal plans can be "
                "compared."
            )
    try:
        if find_knee and baseline["knee"].get("interrupted"):
            raise SettingsError("the search of the baseline was interrupted: make it anew.")
        figure, then = _figure(baseline)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SettingsError("the baseline is not whole: make it anew.") from error
    _ratio(1.0, then, figure)


def compare(baseline: Mapping[str, Any], result: Mapping[str, Any], least: float) -> Verdict:
    """Of two that ``check_comparable`` lets pass."""
    (figure, then), (_, now) = _figure(baseline), _figure(result)
    ratio = _ratio(then, now, figure) if figure == _P99 else _ratio(now, then, figure)
    return Verdict(figure, then, now, ratio, least)


def _figure(data: Mapping[str, Any]) -> tuple[str, float]:
    """A knee's homes; in open mode, whose pace is given, the p99; in closed mode the orders/s."""
    if "knee" in data:
        return "homes at the knee", float(data["knee"]["homes"])
    if data["plan"]["mode"] == "open":
        return _P99, float(data["latency_ms"]["p99"])
    return "orders/s", float(data["orders_per_s"])


def _ratio(better: float, worse: float, figure: str) -> float:
    """Raises ``SettingsError`` for what nothing can be a share of."""
    if worse <= 0:
        raise SettingsError(f"{figure}: 0 compares with nothing: make the baseline anew.")
    return better / worse
