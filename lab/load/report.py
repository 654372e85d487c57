"""The report as one HTML file that loads nothing, and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from energymarket.errors import SettingsError
from lab import svg, web_page
from lab.load.baseline import Verdict
from lab.load.display import headline, shown, totals
from lab.load.knee import Knee
from lab.load.result import Result

HTML, JSON = "report.html", "report.json"

_CURVE: Final = (0.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99)


def as_json(result: Result, knee: Knee | None) -> dict[str, Any]:
    """The result as plain data, with the knee if one was looked for."""
    data = result.as_json()
    if knee:
        data["knee"] = {
            "homes": knee.homes,
            "pace_s": knee.pace_s,
            "interrupted": knee.interrupted,
            "steps": [
                {
                    "homes": step.homes,
                    "p99_ms": step.p99_ms,
                    "orders_per_s": round(step.orders_per_s, 3),
                    "holds": step.holds,
                    "failed": step.failed,
                }
                for step in knee.steps
            ],
        }
    return data


def folder_for(folder: Path) -> Path:
    """Makes the folder; raises ``SettingsError`` when it cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / JSON
        probe.touch()
    except OSError as error:
        raise SettingsError(f"--out {folder} cannot be written to: {error.strerror}.") from error
    return folder


def write(folder: Path, result: Result, knee: Knee | None, verdict: Verdict | None) -> None:
    """Writes both files."""
    data = as_json(result, knee)
    (folder / JSON).write_text(json.dumps(data, indent=1) + "\n")
    (folder / HTML).write_text(html(result, data, knee, verdict))


def html(
    result: Result,
    data: Mapping[str, Any],
    knee: Knee | None = None,
    verdict: Verdict | None = None,
) -> str:
    """The whole page."""
    body = [f"<h1>{escape(headline(result))}</h1>", f"<p>{escape(result.began_at)}</p>"]
    if knee:
        body += [f"<p><b>{escape(knee.sentence())}</b></p>", _knee(knee)]
    if verdict:
        mark = "" if verdict.ok else ' class="bad"'
        body.append(f"<p{mark}>{escape(verdict.sentence())}</p>")
    body += [
        web_page.table((), totals(result)),
        "<h2>Throughput</h2>",
        _over_time(result, "orders/s", [("orders/s", "orders_per_s")]),
        _over_time(result, "ticks/s", [("ticks/s", "ticks_per_s")]),
        "<h2>Latency of an order</h2>",
        f"<p>{escape(_counted_from(result))}</p>",
        web_page.table(*_percentiles(result)),
        _over_time(result, "ms", [("p50", "p50_ms"), ("p99", "p99_ms")]),
        _curve(result),
        "<h2>Where the time of a tick goes</h2>",
        _parts(result),
        "<h2>Phases of settlement</h2>",
        _phases(result),
        "<h2>The market and this machine</h2>",
        f"<pre>{escape(_facts(data))}</pre>",
    ]
    return web_page.page("energymarket load", body)


def _counted_from(result: Result) -> str:
    if result.plan["mode"] == "open":
        return (
            "From the moment at which the order was due, whatever the market was doing then, to "
            "its receipt: a stall makes every order late that falls into it."
        )
    return (
        "From the moment at which the order was sent to its receipt, as fast as the barrier lets."
    )


def _percentiles(result: Result) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    found = {"mean": result.latencies.mean_ms, **result.percentiles_ms()}
    return [f"{name} ms" for name in found], [tuple(shown(ms) for ms in found.values())]


def _over_time(result: Result, unit: str, series: Iterable[tuple[str, str]]) -> str:
    lines = [
        svg.Line(name, [(each.at_s, getattr(each, field)) for each in result.seconds])
        for name, field in series
    ]
    return svg.line_chart(lines, svg.Axis("seconds"), svg.Axis(unit))


def _curve(result: Result) -> str:
    """Latency by percentile, each nine as wide as the one before."""
    values = result.latencies.percentiles_ms(_CURVE)
    points = [(_nines(percent), ms) for percent, ms in zip(_CURVE, values, strict=True)]
    ticks = [(_nines(each), f"{each:g} %") for each in (0.0, 50.0, 90.0, 99.0, 99.9, 99.99)]
    return svg.line_chart(
        [svg.Line("latency", points)], svg.Axis("percentile", ticks), svg.Axis("ms")
    )


def _nines(percent: float) -> float:
    return -math.log10(1 - percent / 100)


def _parts(result: Result) -> str:
    if not result.parts:
        return "<p>The market's phases were not to be had, or the run was too short.</p>"
    whole = sum(part.ms for part in result.parts) or 1.0
    rows = [
        (part.name, part.where, shown(part.ms), f"{part.ms / whole:.1%}") for part in result.parts
    ]
    picture = svg.bar([(part.name, part.ms) for part in result.parts])
    return picture + web_page.table(("part", "where", "ms a tick", "share"), rows)


def _phases(result: Result) -> str:
    known = [each for each in result.seconds if each.phases_ms]
    names = sorted({name for each in known for name in each.phases_ms})
    lines = [
        svg.Line(name, [(each.at_s, each.phases_ms.get(name, 0.0)) for each in known])
        for name in names
    ]
    return svg.line_chart(lines, svg.Axis("seconds"), svg.Axis("ms a tick"))


def _knee(knee: Knee) -> str:
    points = [(float(step.homes), step.p99_ms) for step in knee.steps if not step.failed]
    if not points:
        return ""
    pace = [(points[0][0], 1_000 * knee.pace_s), (points[-1][0], 1_000 * knee.pace_s)]
    rows = [
        (f"{step.homes:,}", "-", "-", step.failed)
        if step.failed
        else (
            f"{step.homes:,}",
            f"{step.orders_per_s:,.0f}",
            shown(step.p99_ms),
            "yes" if step.holds else "no",
        )
        for step in knee.steps
    ]
    chart = svg.line_chart(
        [svg.Line("p99", points), svg.Line("pace", pace)], svg.Axis("homes"), svg.Axis("ms")
    )
    return chart + web_page.table(("homes", "orders/s", "p99 ms", "holds"), rows)


def _facts(data: Mapping[str, Any]) -> str:
    return json.dumps({name: data[name] for name in ("plan", "market", "machine")}, indent=1)
