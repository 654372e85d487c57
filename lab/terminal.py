"""What a running world looks like in a terminal: a live table, or one line per tick."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from energymarket.policies import Policy
from energymarket.units import degrees, eur, eur_per_kwh, kwh
from services.market.domain.record import SettledTick
from services.market.report import degraded
from services.market.view import View

_BARS = "▁▂▃▄▅▆▇█"
_SPARKLINE_TICKS = 60
_HOMES_SHOWN = 12


def tick_line(settled: SettledTick) -> str:
    """One settled tick on one line, for logs and pipes."""
    opening, sums = settled.opening, settled.totals
    change = settled.next_price_neur_per_wh - opening.price_neur_per_wh
    events = ", ".join(f"{e.name} ({e.remaining_ticks})" for e in opening.events) or "-"
    mark = f"  without {degraded(opening.degraded)}" if opening.degraded else ""
    return (
        f"tick {settled.tick:>6}  {eur_per_kwh(opening.price_neur_per_wh):.6f} EUR/kWh "
        f"({eur_per_kwh(change):+.6f})  {degrees(opening.temperature_mdeg):6.2f} C  "
        f"homes {len(settled.home) - settled.absent}/{len(settled.home)}  "
        f"given {kwh(sums.given_wh):.3f}  sold {kwh(sums.sold_wh):.3f}  "
        f"bought {kwh(sums.bought_wh):.3f} kWh  events {events}{mark}"
    )


class LinePrinter:
    """Prints each settled tick on a line of its own."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def start(self) -> None:
        """Nothing to prepare."""

    def show(self, view: View) -> None:
        """Prints the newest settled tick."""
        if not view.last:
            return
        try:
            # Nothing here is for the console to lay out, which would take as long as a small tick.
            print(tick_line(view.last), file=self._console.file, flush=True)
        except BrokenPipeError:
            self._console.on_broken_pipe()

    def stop(self) -> None:
        """Nothing to clear away."""


class LiveTable:
    """A table that is drawn anew, at most four times a second."""

    def __init__(self, console: Console, address: str) -> None:
        self._address = address
        self._prices: deque[int] = deque(maxlen=_SPARKLINE_TICKS)
        self._live = Live(console=console, auto_refresh=True, refresh_per_second=4)

    def start(self) -> None:
        """Takes the terminal."""
        self._live.start()

    def show(self, view: View) -> None:
        """Takes in the newest picture of the market."""
        if view.last:
            self._prices.append(view.next_price_neur_per_wh)
        self._live.update(self._drawn(view))

    def stop(self) -> None:
        """Gives the terminal back."""
        self._live.stop()

    def _drawn(self, view: View) -> RenderableType:
        last = view.last
        if last is None:
            waiting = ", ".join(view.waiting_for) or "the first tick"
            return Panel(f"waiting for {waiting}", title="energymarket")
        return Group(
            Panel(
                self._head(view, last),
                title="energymarket",
                subtitle=f"{self._address}  Ctrl-C ends",
            ),
            Columns([_homes(last), _sums(last, view)]),
        )

    def _head(self, view: View, last: SettledTick) -> Text:
        price, coming = last.opening.price_neur_per_wh, view.next_price_neur_per_wh
        change = coming - price
        arrow, style = (
            ("▲", "red") if change > 0 else ("▼", "green") if change < 0 else ("=", "dim")
        )
        events = ", ".join(
            f"{e.name} {eur_per_kwh(e.coefficient_neur_per_wh):+.3f} for {e.remaining_ticks}"
            for e in last.opening.events
        )
        return Text.assemble(
            (f"{eur_per_kwh(coming):.4f} EUR/kWh ", "bold"),
            (f"{arrow} {eur_per_kwh(change):+.4f}   ", style),
            f"{degrees(last.opening.temperature_mdeg):.1f} C   tick {last.tick}   "
            f"homes {len(last.home) - last.absent}/{len(last.home)}\n",
            (sparkline(self._prices), "cyan"),
            f"\nevents: {events or 'none'}",
        )


def sparkline(values: Sequence[int]) -> str:
    """Values as bars between their least and their greatest."""
    if not values:
        return ""
    low, high = min(values), max(values)
    span = max(high - low, 1)
    return "".join(_BARS[(value - low) * (len(_BARS) - 1) // span] for value in values)


def _homes(last: SettledTick) -> Table:
    """The homes that moved most energy in the newest tick."""
    out, orders = last.outcome, last.orders
    table = Table("home", "policy", title="homes that moved most", box=None)
    for name in ("net kWh", "stock kWh", "balance EUR"):
        table.add_column(name, justify="right")
    net = [
        received + bought - given - sold
        for received, bought, given, sold in zip(
            out.received_wh, out.bought_wh, out.given_wh, out.sold_wh, strict=True
        )
    ]
    for row in sorted(range(len(net)), key=lambda r: -abs(net[r]))[:_HOMES_SHOWN]:
        policy = orders.policy[row]
        table.add_row(
            str(last.home[row]),
            Policy(policy).label if policy else "absent",
            f"{kwh(net[row]):+.3f}",
            f"{kwh(out.stock_wh[row]):.3f}",
            f"{eur(out.balance_neur[row]):+.2f}",
        )
    return table


def _sums(last: SettledTick, view: View) -> Table:
    out = last.outcome
    table = Table("this tick", title="energy", box=None)
    table.add_column("kWh", justify="right")
    for name, column in (
        ("given", out.given_wh),
        ("sold", out.sold_wh),
        ("bought", out.bought_wh),
        ("unserved", out.unserved_wh),
        ("spilled", out.spilled_wh),
    ):
        table.add_row(name, f"{kwh(sum(column)):.3f}")
    table.add_row("audit", "[green]0[/]" if view.residuals.ok else f"[red]{view.residuals}[/]")
    return table
