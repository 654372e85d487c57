"""Line charts, boxes, links and a stacked bar as SVG, drawn here: a report loads nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH, HEIGHT = 860, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 30, 26, 40
_BOX_LEFT, _BOX_HEIGHT = 230, 28
_ROUND = 700
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


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of the x axis that is shaded, with words for who points at it."""

    begin: float
    end: float
    title: str


def line_chart(lines: Sequence[Line], x: Axis, y: Axis, bands: Sequence[Band] = ()) -> str:
    """Lines over a common x axis; y begins at 0, or below where a line goes there."""
    points = [point for line in lines for point in line.points]
    if not points:
        return "<p>too short a run for this chart</p>"
    x_ticks = list(x.ticks) or _round_ticks(min(p[0] for p in points), max(p[0] for p in points))
    y_ticks = list(y.ticks) or _round_ticks(
        min(0.0, *(p[1] for p in points)), max(0.0, *(p[1] for p in points))
    )
    corners = [*points, (x_ticks[0][0], y_ticks[0][0]), (x_ticks[-1][0], y_ticks[-1][0])]
    x_low, x_high = min(p[0] for p in corners), max(p[0] for p in corners)
    y_low, y_high = min(0.0, *(p[1] for p in corners)), max(p[1] for p in corners)

    def place(px: float, py: float) -> tuple[float, float]:
        across = (px - x_low) / (x_high - x_low or 1.0)
        up = (py - y_low) / (y_high - y_low or 1.0)
        return (
            _LEFT + across * (WIDTH - _LEFT - _RIGHT),
            HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM),
        )

    drawn = [_begin(f"{y.label} over {x.label}")]
    for band in bands:
        left, right = (
            place(min(max(at, x_low), x_high), y_low)[0] for at in (band.begin, band.end)
        )
        drawn.append(
            f'<rect class="band" x="{left:.1f}" y="{_TOP}" width="{max(right - left, 1):.1f}" '
            f'height="{HEIGHT - _TOP - _BOTTOM}"><title>{escape(band.title)}</title></rect>'
        )
    for value, label in y_ticks:
        _, at = place(x_low, value)
        drawn.append(f'<path class="grid" d="M{_LEFT} {at:.1f}H{WIDTH - _RIGHT}"/>')
        drawn.append(_text(_LEFT - 6, at + 4, label, "end"))
    for value, label in x_ticks:
        at, _ = place(value, y_low)
        drawn.append(_text(at, HEIGHT - _BOTTOM + 16, label, "middle"))
    drawn.append(_text((WIDTH + _LEFT) / 2, HEIGHT - 6, x.label, "middle"))
    drawn.append(_text(4, 12, y.label, "start"))
    for number, line in enumerate(lines):
        path = "L".join("{:.1f} {:.1f}".format(*place(*point)) for point in line.points)
        colour = COLOURS[number % len(COLOURS)]
        drawn.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
    drawn.append("</svg>")
    return "".join(drawn) + legend([line.name for line in lines])


@dataclass(frozen=True, slots=True)
class Box:
    """How a group's values are spread: least, quarters, greatest."""

    name: str
    values: tuple[float, float, float, float, float]


def box_chart(boxes: Sequence[Box], x: Axis) -> str:
    """One lying box per group: the middle half, its median, and lines to least and greatest."""
    if not boxes:
        return "<p>nobody to compare</p>"
    low, high = min(box.values[0] for box in boxes), max(box.values[4] for box in boxes)
    ticks = list(x.ticks) or _round_ticks(min(0.0, low), max(0.0, high))
    low, high = min(low, ticks[0][0]), max(high, ticks[-1][0])
    height = _TOP + _BOX_HEIGHT * len(boxes) + _BOTTOM

    def across(value: float) -> float:
        return _BOX_LEFT + (value - low) / (high - low or 1.0) * (WIDTH - _BOX_LEFT - _RIGHT)

    drawn = [_begin(f"{x.label} by group", height=height)]
    for value, label in ticks:
        drawn.append(f'<path class="grid" d="M{across(value):.1f} {_TOP}V{height - _BOTTOM}"/>')
        drawn.append(_text(across(value), height - _BOTTOM + 16, label, "middle"))
    drawn.append(_text((WIDTH + _BOX_LEFT) / 2, height - 6, x.label, "middle"))
    for row, box in enumerate(boxes):
        middle = _TOP + _BOX_HEIGHT * (row + 0.5)
        least, lower, median, upper, greatest = (across(value) for value in box.values)
        drawn.append(_text(_BOX_LEFT - 8, middle + 4, box.name, "end"))
        drawn.append(
            f'<path d="M{least:.1f} {middle:.1f}H{greatest:.1f}" stroke="{COLOURS[0]}"/>'
            f'<rect x="{lower:.1f}" y="{middle - 8:.1f}" width="{max(upper - lower, 1):.1f}" '
            f'height="16" fill="{COLOURS[0]}" fill-opacity=".45"/>'
            f'<path d="M{median:.1f} {middle - 8:.1f}v16" stroke="{COLOURS[0]}" stroke-width="2"/>'
        )
    return "".join(drawn) + "</svg>"


@dataclass(frozen=True, slots=True)
class Link:
    """From one place on a circle to another."""

    source: str
    target: str
    weight: float
    title: str


def link_chart(names: Sequence[str], links: Sequence[Link]) -> str:
    """Names around a circle, with a curve for each link, as wide as it weighs; it begins in the
    colour of its source."""
    if not links:
        return "<p>no gifts</p>"
    places = {
        name: (
            _ROUND / 2 + (_ROUND / 2 - 60) * math.cos(2 * math.pi * n / len(names) - math.pi / 2),
            _ROUND / 2 + (_ROUND / 2 - 60) * math.sin(2 * math.pi * n / len(names) - math.pi / 2),
        )
        for n, name in enumerate(names)
    }
    colour = {name: COLOURS[n % len(COLOURS)] for n, name in enumerate(names)}
    most = max(link.weight for link in links)
    drawn = [
        f'<svg class="round" viewBox="0 0 {_ROUND} {_ROUND}" role="img" '
        'aria-label="who gives to whom">'
    ]
    for link in sorted(links, key=lambda each: each.weight):
        (x1, y1), (x2, y2) = places[link.source], places[link.target]
        drawn.append(
            f'<path d="M{x1:.1f} {y1:.1f}Q{_ROUND / 2} {_ROUND / 2} {x2:.1f} {y2:.1f}" fill="none" '
            f'stroke="{colour[link.source]}" stroke-opacity=".55" '
            f'stroke-width="{0.5 + 7 * link.weight / most:.1f}">'
            f"<title>{escape(link.title)}</title></path>"
        )
    for name, (px, py) in places.items():
        drawn.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4" fill="{colour[name]}"/>')
        out = 1 + 12 / (_ROUND / 2 - 60)
        at = (_ROUND / 2 + (px - _ROUND / 2) * out, _ROUND / 2 + (py - _ROUND / 2) * out + 4)
        aside = px - _ROUND / 2
        anchor = "middle" if abs(aside) < _ROUND / 8 else "start" if aside > 0 else "end"
        drawn.append(_text(*at, name, anchor))
    return "".join(drawn) + "</svg>"


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
