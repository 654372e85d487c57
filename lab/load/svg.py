"""Line charts and a stacked bar as SVG, drawn here: a report loads nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH, HEIGHT = 860, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 30, 26, 40
COLOURS: Final = (
    *("#3366cc", "#dc3912", "#109618", "#990099", "#ff9900", "#0099c6"),
    *("#dd4477", "#66aa00", "#b82e2e", "#316395", "#994499"),
)

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Line:
    """A named series of points."""

    name: str
    points: Points


@dataclass(frozen=True, slots=True)
class Axis:
    """``ticks`` are positions with their labels; without any they are round numbers."""

    label: str
    ticks: Sequence[tuple[float, str]] = ()


def line_chart(lines: Sequence[Line], x: Axis, y: Axis) -> str:
    """Lines over a common x axis; y begins at 0."""
    points = [point for line in lines for point in line.points]
    if not points:
        return "<p>too short a run for this chart</p>"
    x_ticks = list(x.ticks) or _round_ticks(min(p[0] for p in points), max(p[0] for p in points))
    y_ticks = list(y.ticks) or _round_ticks(0.0, max(p[1] for p in points))
    corners = [*points, (x_ticks[0][0], 0.0), (x_ticks[-1][0], y_ticks[-1][0])]
    x_low, x_high = min(p[0] for p in corners), max(p[0] for p in corners)
    y_high = max(p[1] for p in corners) or 1.0

    def place(px: float, py: float) -> tuple[float, float]:
        across = (px - x_low) / (x_high - x_low or 1.0)
        up = py / y_high
        return (
            _LEFT + across * (WIDTH - _LEFT - _RIGHT),
            HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM),
        )

    drawn = [_begin(f"{y.label} over {x.label}")]
    for value, label in y_ticks:
        _, at = place(x_low, value)
        drawn.append(f'<path class="grid" d="M{_LEFT} {at:.1f}H{WIDTH - _RIGHT}"/>')
        drawn.append(_text(_LEFT - 6, at + 4, label, "end"))
    for value, label in x_ticks:
        at, _ = place(value, 0)
        drawn.append(_text(at, HEIGHT - _BOTTOM + 16, label, "middle"))
    drawn.append(_text((WIDTH + _LEFT) / 2, HEIGHT - 6, x.label, "middle"))
    drawn.append(_text(4, 12, y.label, "start"))
    for number, line in enumerate(lines):
        path = "L".join("{:.1f} {:.1f}".format(*place(*point)) for point in line.points)
        colour = COLOURS[number % len(COLOURS)]
        drawn.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
    drawn.append("</svg>")
    return "".join(drawn) + legend([line.name for line in lines])


def bar(parts: Sequence[tuple[str, float]]) -> str:
    """One horizontal bar, divided."""
    whole = sum(value for _, value in parts)
    if not whole:
        return ""
    at, drawn = 0.0, [_begin("the mean tick, divided", height=46)]
    for number, (name, value) in enumerate(parts):
        width = value / whole * WIDTH
        colour = COLOURS[number % len(COLOURS)]
        drawn.append(
            f'<rect x="{at:.1f}" y="4" width="{width:.1f}" height="38" fill="{colour}">'
            f"<title>{escape(name)}: {value / whole:.1%}</title></rect>"
        )
        at += width
    return "".join(drawn) + "</svg>" + legend([name for name, _ in parts])


def legend(names: Sequence[str]) -> str:
    """The names of the colours, in their order."""
    spans = (
        f'<span><i style="background:{COLOURS[number % len(COLOURS)]}"></i>{escape(name)}</span>'
        for number, name in enumerate(names)
    )
    return f'<p class="legend">{"".join(spans)}</p>'


def _begin(label: str, height: int = HEIGHT) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _round_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Four to eight round numbers that cover what is between."""
    span = high - low or abs(high) or 1.0
    step = 10 ** math.floor(math.log10(span / 4))
    step *= next(each for each in (1, 2, 5, 10) if span / (each * step) <= 6)
    first = math.floor(low / step)
    last = math.ceil((low + span) / step)
    return [(n * step, f"{n * step:,.10g}") for n in range(first, last + 1)]
