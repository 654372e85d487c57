"""Draws a picture of the market at the size that the terminal has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.table import Table
from rich.text import Text

from lab.watch.answers import Home, Tick
from lab.watch.keys import EVENTS, pace_in_words
from lab.watch.picture import Shown

_BARS: Final = " ▁▂▃▄▅▆▇█"
_WIDE, _WIDE_LINES = 110, 26
_LEAST_WIDTH, _LEAST_HEIGHT = 40, 10
_STYLES: Final = {
    "LIVE": "bold green",
    "PAUSED": "bold yellow",
    "FINISHED": "bold blue",
    "STALE": "bold red",
    "RECONNECTING": "bold red",
}
_KEYS: Final = (
    ("space", "pause"),
    ("s", "step"),
    ("+", "faster"),
    ("-", "slower"),
    ("e", "event"),
    ("↑↓", "homes"),
    ("q", "quit"),
)


def drawn(shown: Shown, now_s: float, size: tuple[int, int], *, choosing: bool) -> RenderableType:
    """The view of ``size`` (columns, lines); ``now_s`` is on the monotonic clock."""
    width, height = size
    if width < _LEAST_WIDTH or height < _LEAST_HEIGHT:
        return _tiny(shown, now_s, height)
    foot = _foot(shown, width, choosing=choosing)
    if _is_wide(size):
        return _wide(shown, now_s, size, foot)
    top: list[Text] = [
        _title(shown, now_s),
        _price(shown),
        *chart(shown.prices, width, 3 if height >= 20 else 1),
        _split(shown.tick),
        _events(shown, width),
        _speed(shown),
        _audit(shown),
    ]
    room = height - len(top) - len(foot)
    rows = [_homes(shown, room, width)] if room > 1 else []
    return _stacked([*top, *rows], foot)


def _is_wide(size: tuple[int, int]) -> bool:
    """Whether there is room for two halves: below that height one of them would be cut off."""
    width, height = size
    return width >= _WIDE and height >= _WIDE_LINES


def homes_that_fit(size: tuple[int, int]) -> int:
    """How many homes the table has room for."""
    _, height = size
    if _is_wide(size):
        return max(1, height - 5)
    return max(1, height - 12 if height >= 20 else height - 10)


def chart(values: Sequence[float], width: int, height: int) -> list[Text]:
    """The newest values as columns of ``height`` lines, between their least and greatest."""
    values = values[-width:]
    if not values:
        return [Text("") for _ in range(height)]
    low, high = min(values), max(values)
    steps = 8 * height - 1
    levels = [1 + round((v - low) / ((high - low) or 1) * steps) for v in values]
    lines = []
    for row in range(height - 1, -1, -1):
        cells = "".join(_BARS[min(max(level - 8 * row, 0), 8)] for level in levels)
        lines.append(Text(cells, style="cyan", no_wrap=True, overflow="crop"))
    return lines


# ---------------------------------------------------------------------------------------- shapes


def _stacked(parts: Iterable[RenderableType], foot: Sequence[Text]) -> RenderableType:
    layout = Layout()
    layout.split_column(
        Layout(Group(*parts), name="body"), Layout(Group(*foot), name="foot", size=len(foot))
    )
    return layout


def _wide(
    shown: Shown, now_s: float, size: tuple[int, int], foot: Sequence[Text]
) -> RenderableType:
    width, height = size
    left = width * 2 // 5
    high = max(3, min(14, height - 24))
    body, page = Layout(), Layout()
    above: list[Text] = [
        _price(shown),
        Text(),
        *chart(shown.prices, left - 2, high),
        Text(),
        *_split_lines(shown.tick, left - 2),
        Text(),
        Text("events alive", style="bold"),
    ]
    below = [Text(), *_speed_lines(shown), _audit(shown)]
    room = height - 2 - len(foot)
    events = _event_lines(shown, max(1, room - len(above) - len(below)))
    body.split_row(
        Layout(Group(*above, *events, *below), size=left),
        Layout(_homes(shown, room, width - left)),
    )
    page.split_column(
        Layout(_title(shown, now_s), size=1),
        Layout(Text(" "), size=1),
        body,
        Layout(Group(*foot), size=len(foot)),
    )
    return page


def _tiny(shown: Shown, now_s: float, height: int) -> RenderableType:
    """What matters most, in as many lines as there are."""
    lines = [_title(shown, now_s), _price(shown), _split(shown.tick), Text("q quits")]
    return Group(*lines[:height])


# ----------------------------------------------------------------------------------------- lines


def _line(*parts: str | tuple[str, str]) -> Text:
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def _title(shown: Shown, now_s: float) -> Text:
    state = shown.state(now_s)
    tick = f"  tick {shown.tick.tick:,}" if shown.tick else ""
    pace = f"  {pace_in_words(shown.clock.pace_s)}" if shown.clock else ""
    why = ""
    if state == "STALE":
        quiet_s = now_s - shown.tick_at_s
        why = f"  no tick for {quiet_s:.0f} s"
        if shown.waiting_for:
            why += f", waiting for {', '.join(shown.waiting_for)}"
    elif state == "RECONNECTING":
        why = f"  {shown.trouble}"
    return _line((state, _STYLES[state]), tick, pace, why, ("  energymarket ", "bold"), shown.url)


def _price(shown: Shown) -> Text:
    tick = shown.tick
    if tick is None:
        return _line(("waiting for the first tick", "dim"))
    before, coming = ((0.0, 0.0, *shown.prices) if shown.prices else (0.0, 0.0))[-2:]
    change = coming - before
    arrow, style = ("▲", "red") if change > 0 else ("▼", "green") if change < 0 else ("=", "dim")
    mark = f"  without {', '.join(tick.degraded)}" if tick.degraded else ""
    return _line(
        (f"{coming:.4f} EUR/kWh ", "bold"),
        (f"{arrow} {change:+.4f}", style),
        f"  {tick.temperature_c:.1f} °C  homes {tick.homes - tick.absent:,}/{tick.homes:,}{mark}",
    )


def _parts(tick: Tick) -> tuple[tuple[str, float, str], ...]:
    return (
        ("gift", tick.given_kwh, "green"),
        ("sale", tick.sold_kwh, "blue"),
        ("purchase", tick.bought_kwh, "magenta"),
    )


def _split(tick: Tick | None) -> Text:
    if tick is None:
        return Text()
    parts: list[str | tuple[str, str]] = []
    for name, kwh, style in _parts(tick):
        parts += [(f"{name} {kwh:,.2f}", style), "  "]
    return _line(*parts, f"kWh  unserved {tick.unserved_kwh:,.2f}  spilled {tick.spilled_kwh:,.2f}")


def _split_lines(tick: Tick | None, width: int) -> list[Text]:
    """Gift, sale and purchase as bars of one scale."""
    if tick is None:
        return []
    most = max(kwh for _, kwh, _ in _parts(tick)) or 1.0
    room = max(1, width - 26)
    lines = [
        _line(f"{name:<9}{kwh:>12,.3f} kWh ", ("█" * round(kwh / most * room), style))
        for name, kwh, style in _parts(tick)
    ]
    rest = f"unserved {tick.unserved_kwh:,.3f}, spilled {tick.spilled_kwh:,.3f} kWh"
    return [*lines, _line((rest, "dim"))]


def _event_texts(shown: Shown) -> list[str]:
    return [
        f"{e.name} {e.coefficient_eur_per_kwh:+.4f} for {e.remaining_ticks}" for e in shown.events
    ]


def _events(shown: Shown, width: int) -> Text:
    texts = _event_texts(shown)
    return _line(f"events: {', '.join(texts) if texts else 'none'}"[: width * 2])


def _event_lines(shown: Shown, room: int) -> list[Text]:
    texts = _event_texts(shown) or ["none"]
    if len(texts) > room:
        texts = [*texts[: room - 1], f"and {len(texts) - room + 1} more"]
    return [_line(f"  {text}") for text in texts]


def _number(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:,.1f} {unit}"


def _speed_lines(shown: Shown) -> list[Text]:
    clock = shown.clock
    if clock is None:
        return [Text()]
    rates = f"{_number(clock.orders_per_s, 'orders/s')}  {_number(clock.ticks_per_s, 'ticks/s')}"
    p50, p99 = _number(clock.tick_ms_p50, "ms"), _number(clock.tick_ms_p99, "ms")
    return [_line(rates), _line(f"tick p50 {p50}  p99 {p99}")]


def _speed(shown: Shown) -> Text:
    return _line(*(f"{line.plain}  " for line in _speed_lines(shown)))


def _audit(shown: Shown) -> Text:
    if shown.audit is None:
        return _line(("audit: not asked yet", "dim"))
    return _line((shown.audit.sentence, "green" if shown.audit.ok else "bold red"))


def _foot(shown: Shown, width: int, *, choosing: bool) -> list[Text]:
    if choosing:
        wide = width >= _WIDE
        choices = "  ".join(
            f"{n} {each.label if wide else each.name}" for n, each in enumerate(EVENTS, start=1)
        )
        return [_line(("Which event? ", "bold"), "Any other key: none."), _line(choices)]
    message = shown.message or (f"token for writes: {shown.token}" if shown.token else "")
    long = sum(len(key) + len(word) + 3 for key, word in _KEYS) <= width
    keys: list[str | tuple[str, str]] = []
    for key, word in _KEYS:
        keys += [(key, "reverse"), f" {word}  " if long else " "]
    return [_line((message, "yellow" if shown.message else "dim")), _line(*keys)]


# ----------------------------------------------------------------------------------------- homes


def _homes(shown: Shown, room: int, width: int) -> RenderableType:
    """A table of at most ``room`` lines, its head included."""
    found = shown.homes
    if found is None or not found.homes:
        return Text("no homes yet", style="dim")
    rows = found.homes[: max(1, room - 1)]
    last = shown.first_home_row + len(rows)
    table = Table(box=None, padding=(0, 1, 0, 0), width=width, show_edge=False)
    table.add_column(
        f"{shown.first_home_row + 1}-{last}/{found.total}", justify="right", no_wrap=True
    )
    wide = width >= 76
    for name, right in _columns(wide):
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for home in rows:
        style = "dim" if home.status != "active" else None
        table.add_row(str(home.id), *_cells(home, wide), style=style)
    return table


def _columns(wide: bool) -> tuple[tuple[str, bool], ...]:
    first = (("policy", False),)
    more = (("made", True), ("used", True), ("traded", True)) if wide else (("traded", True),)
    return (*first, *more, ("stock kWh", True), ("bill EUR", True))


def _cells(home: Home, wide: bool) -> tuple[str, ...]:
    policies = "/".join(each or "-" for each in (home.surplus_policy, home.need_policy))
    tick = home.last_tick
    if tick is None:
        done = (home.status, "", "") if wide else (home.status,)
    else:
        net = tick.received_kwh + tick.bought_kwh - tick.given_kwh - tick.sold_kwh
        done = (f"{tick.produced_kwh:.2f}", f"{tick.consumed_kwh:.2f}", f"{net:+.2f}")
        done = done if wide else done[2:]
    of = "" if home.capacity_kwh is None else f"/{home.capacity_kwh:g}"
    return (policies, *done, f"{home.stock_kwh:.2f}{of}", f"{home.bill_eur:,.2f}")
