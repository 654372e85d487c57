"""Line charts, boxes, links and a stacked bar as SVG, drawn here: a report loads nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH, HEIGHT = 860, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 30, 26, 40
_TITLE = 30
_BOX_LEFT, _BOX_HEIGHT = 230, 28
_ROUND = 700
_STYLE: Final = ".grid{stroke:#ddd;fill:none}"
COLOURS: Final = (
    *("#3366cc", "#dc3912", "#109618", "#990099", "#ff9900", "#0099c6"),
    *("#dd4477", "#66aa00", "#b82e2e", "#316395", "#994499"),
)

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Line:
    """A named series of points; ``marked`` shows each of them."""

    name: str
    points: Points
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """``ticks`` are positions with their labels; without any they are round numbers. With ``log``
    each power of ten is as far from the next, and all values must be above 0."""

    label: str
    ticks: Sequence[tuple[float, str]] = ()
    log: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of the x axis that is shaded, with words for who points at it."""

    begin: float
    end: float
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over a common x axis; y begins at 0, or at a power of ten."""

    title: str
    lines: Sequence[Line]
    x: Axis
    y: Axis


@dataclass(frozen=True, slots=True)
class _Scale:
    """Values between ``low`` and ``high`` along ``length`` pixels."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    log: bool
    length: float

    @classmethod
    def of(cls, axis: Axis, values: Sequence[float], length: float, *, also: float) -> _Scale:
        """Covers the values, the axis' ticks, and on an even axis one more value."""
        values = [*values] if axis.log else [*values, also]
        ticks = list(axis.ticks)
        if not ticks:
            ticks = (_powers_of_ten if axis.log else _round_ticks)(min(values), max(values))
        corners = [*values, ticks[0][0], ticks[-1][0]]
        return cls(min(corners), max(corners), ticks, axis.log, length)

    def at(self, value: float) -> float:
        """Pixels from the beginning of the axis."""
        value, low, high = (
            (math.log10(each) for each in (value, self.low, self.high))
            if self.log
            else (value, self.low, self.high)
        )
        return (value - low) / (high - low or 1.0) * self.length


def line_chart(lines: Sequence[Line], x: Axis, y: Axis, bands: Sequence[Band] = ()) -> str:
    """Lines over a common x axis, and a legend, for a page; y begins at 0, or below where a line
    goes there."""
    if not any(line.points for line in lines):
        return "<p>too short a run for this chart</p>"
    label = f"{y.label} over {x.label}"
    names = [line.name for line in lines]
    return _begin(label) + _drawn(lines, x, y, bands) + "</svg>" + legend(names)


def picture(charts: Sequence[Chart]) -> str:
    """Charts one above the other, as an SVG file that stands alone."""
    height = _TITLE + HEIGHT
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {len(charts) * height}" '
        f'font-family="sans-serif" font-size="12"><style>{_STYLE}</style>'
        '<rect width="100%" height="100%" fill="#fff"/>'
    ]
    for number, chart in enumerate(charts):
        drawn.append(f'<g transform="translate(0 {number * height})">')
        drawn.append(_text(4, 18, chart.title, "start"))
        across: float = WIDTH - _RIGHT
        for index in reversed(range(len(chart.lines))):
            name = chart.lines[index].name
            drawn.append(f'<g fill="{COLOURS[index]}">{_text(across, 18, name, "end")}</g>')
            across -= 12 + 7 * len(name)
        drawn.append(f'</g><g transform="translate(0 {number * height + _TITLE})">')
        drawn.append(_drawn(chart.lines, chart.x, chart.y) + "</g>")
    return "".join(drawn) + "</svg>\n"


def _drawn(lines: Sequence[Line], x: Axis, y: Axis, bands: Sequence[Band] = ()) -> str:
    """Bands, grid, axes and lines, inside of an element of ``WIDTH`` x ``HEIGHT``."""
    points = [point for line in lines for point in line.points]
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    across = _Scale.of(x, xs, WIDTH - _LEFT - _RIGHT, also=min(xs))
    up = _Scale.of(y, ys, HEIGHT - _TOP - _BOTTOM, also=0.0)

    def place(px: float, py: float) -> tuple[float, float]:
        return _LEFT + across.at(px), HEIGHT - _BOTTOM - up.at(py)

    drawn = []
    for band in bands:
        left, right = (
            place(min(max(at, across.low), across.high), up.low)[0] for at in (band.begin, band.end)
        )
        drawn.append(
            f'<rect class="band" x="{left:.1f}" y="{_TOP}" width="{max(right - left, 1):.1f}" '
            f'height="{HEIGHT - _TOP - _BOTTOM}"><title>{escape(band.title)}</title></rect>'
        )
    for value, label in up.ticks:
        _, at = place(across.low, value)
        drawn.append(f'<path class="grid" d="M{_LEFT} {at:.1f}H{WIDTH - _RIGHT}"/>')
        drawn.append(_text(_LEFT - 6, at + 4, label, "end"))
    for value, label in across.ticks:
        at, _ = place(value, up.low)
        drawn.append(_text(at, HEIGHT - _BOTTOM + 16, label, "middle"))
    drawn.append(_text((WIDTH + _LEFT) / 2, HEIGHT - 6, x.label, "middle"))
    drawn.append(_text(4, 12, y.label, "start"))
    for number, line in enumerate(lines):
        placed = [place(*point) for point in line.points]
        path = "L".join(f"{px:.1f} {py:.1f}" for px, py in placed)
        colour = COLOURS[number % len(COLOURS)]
        drawn.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if line.marked:
            drawn += [
                f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3.5" fill="{colour}"/>'
                for px, py in placed
            ]
    return "".join(drawn)


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


def _powers_of_ten(low: float, high: float) -> list[tuple[float, str]]:
    """The powers of ten from the one below all values to the one above; two at least."""
    first = math.floor(math.log10(low))
    last = max(math.ceil(math.log10(high)), first + 1)
    return [(10.0**n, f"{10.0**n:,.10g}") for n in range(first, last + 1)]
