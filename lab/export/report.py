"""The report of a run: one HTML file with pictures, that loads nothing and holds no time of day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from energymarket.units import degrees, eur, eur_per_kwh, kwh
from lab import svg, web_page
from lab.export.columns import HOMES
from lab.export.story import Story, home_rows

_MOST_POINTS: Final = 800
_FEWEST_UNMARKED: Final = 3
_MOST_BANDS: Final = 2_000
_MOST_LINKS: Final = 80
_TICKS: Final = svg.Axis("tick")


def html(story: Story) -> str:
    """The whole page; a short one for a ledger without a tick."""
    title = f"energymarket, seed {story.rules.seed}"
    if not story.ticks:
        return web_page.page(title, [f"<h1>{title}</h1>", "<p>No tick was settled.</p>"])
    return web_page.page(
        title,
        [
            f"<h1>{title}</h1>",
            web_page.table((), _facts(story), numbers_right=False),
            "<h2>Price and external events</h2>",
            _chart(story, "EUR/kWh", [("price", "price_neur_per_wh", eur_per_kwh)], _bands(story)),
            "<h2>Temperature</h2>",
            _chart(story, "degrees C", [("temperature", "temperature_mdeg", degrees)]),
            "<h2>Traded and given</h2>",
            "<p>Of all homes together; beyond 800 ticks the mean of neighbouring ticks.</p>",
            _chart(
                story,
                "kWh a tick",
                [(name, f"{name}_wh", kwh) for name in ("bought", "sold", "given", "unserved")],
            ),
            "<h2>Bills by policy</h2>",
            "<p>What a home owes at the end, less what it owed at the start; below zero it has "
            "earned. The box is the middle half of the homes, the lines reach to the least and the "
            "greatest.</p>",
            svg.box_chart(_bills(story), svg.Axis("EUR")),
            "<h2>Who gives to whom</h2>",
            *_links(story),
        ],
    )


def _facts(story: Story) -> list[tuple[str, str]]:
    prices = story.series["price_neur_per_wh"]
    mean = sum(prices) / len(prices)
    energy = ", ".join(
        f"{name} {kwh(sum(story.series[f'{name}_wh'])):,.3f}"
        for name in ("given", "sold", "bought", "spilled", "unserved")
    )
    return [
        ("ticks", f"{story.first_tick:,} to {story.last_tick:,}"),
        ("homes", f"{len(story.after.stock_wh):,}"),
        ("price model", story.rules.price_model),
        (
            "price, EUR/kWh",
            f"{eur_per_kwh(round(mean)):.4f} in the mean, {eur_per_kwh(min(prices)):.4f} to "
            f"{eur_per_kwh(max(prices)):.4f}",
        ),
        ("energy, kWh", energy),
        ("head hash", story.head_hash.hex()),
    ]


def _chart(
    story: Story,
    unit: str,
    lines: Sequence[tuple[str, str, Callable[[int], float]]],
    bands: Sequence[svg.Band] = (),
) -> str:
    few = len(story.ticks) < _FEWEST_UNMARKED  # a line of one point is not seen
    return svg.line_chart(
        [
            svg.Line(name, _thinned(story.ticks, story.series[column], shown), marked=few)
            for name, column, shown in lines
        ],
        _TICKS,
        svg.Axis(unit),
        bands,
    )


def _thinned(
    ticks: Sequence[int], values: Sequence[int], shown: Callable[[int], float]
) -> list[tuple[float, float]]:
    """At most ``_MOST_POINTS`` points: means of neighbouring ticks."""
    step = -(-len(values) // _MOST_POINTS)
    points = []
    for first in range(0, len(values), step):
        part = values[first : first + step]
        points.append((float(ticks[first + len(part) // 2]), shown(sum(part)) / len(part)))
    return points


def _bands(story: Story) -> list[svg.Band]:
    """The external events that were alive; of very many, those that moved the price most."""
    alive = [
        event
        for event in story.starts
        if event.start_tick <= story.last_tick
        and event.start_tick + event.start.ttl_ticks > story.first_tick
    ]
    alive.sort(key=lambda e: -abs(e.start.coefficient_neur_per_wh) * e.start.ttl_ticks)
    bands = []
    for event in sorted(alive[:_MOST_BANDS], key=lambda each: each.id):
        end = event.start_tick + event.start.ttl_ticks
        title = (
            f"{event.start.name} {eur_per_kwh(event.start.coefficient_neur_per_wh):+.4f} "
            f"EUR/kWh, ticks {event.start_tick} to {end - 1}"
        )
        bands.append(svg.Band(event.start_tick, min(end, story.last_tick), title))
    return bands


def _bills(story: Story) -> list[svg.Box]:
    """One box per pair of policies, the one with the least median first."""
    table = dict(zip(HOMES.header, home_rows(story), strict=True))
    groups: dict[str, list[int]] = {}
    for surplus, need, bill in zip(
        table["surplus_policy"], table["need_policy"], table["bill_neur"], strict=True
    ):
        groups.setdefault(f"{surplus or '-'} + {need or '-'}", []).append(int(bill or 0))
    boxes = [
        svg.Box(f"{name} ({len(bills)})", quarters(sorted(bills)))
        for name, bills in sorted(groups.items())
    ]
    return sorted(boxes, key=lambda box: box.values[2])


def quarters(ordered: Sequence[int]) -> tuple[float, float, float, float, float]:
    """Least, quarters and greatest; a quarter between two bills is as far between them."""
    last = len(ordered) - 1

    def quarter(number: int) -> float:
        at, fourths = divmod(last * number, 4)
        return eur(ordered[at] * (4 - fourths) + ordered[min(at + 1, last)] * fourths) / 4

    return quarter(0), quarter(1), quarter(2), quarter(3), quarter(4)


def _links(story: Story) -> list[str]:
    links, whole = story.links.strongest(_MOST_LINKS), int(story.links.energy_wh.sum())
    if not links:
        return ["<p>Nobody gave anything.</p>"]
    name = _home_name if story.links.group == 1 else _group_name(story.links.group)
    places = sorted({place for giver, taker, _ in links for place in (giver, taker)})
    share = sum(energy for _, _, energy in links) / whole
    return [
        f"<p>The {len(links)} strongest links, {share:.0%} of the {kwh(whole):,.3f} kWh that were "
        f"given; a curve has the colour of its giver."
        + (f" {story.links.group} homes are one dot." if story.links.group > 1 else "")
        + "</p>",
        svg.link_chart(
            [name(place) for place in places],
            [
                svg.Link(
                    name(giver),
                    name(taker),
                    float(energy),
                    f"{name(giver)} to {name(taker)}: {kwh(energy):,.3f} kWh",
                )
                for giver, taker, energy in links
            ],
        ),
        web_page.table(
            ("giver", "taker", "kWh"),
            [
                (name(giver), name(taker), f"{kwh(energy):,.3f}")
                for giver, taker, energy in links[:20]
            ],
        ),
    ]


def _home_name(home: int) -> str:
    return f"home {home}"


def _group_name(size: int) -> Callable[[int], str]:
    return lambda group: f"{(group - 1) * size + 1}-{group * size}"
