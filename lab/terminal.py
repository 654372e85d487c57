"""What a running world prints: a line per tick; and after a full screen, what was logged."""

from __future__ import annotations

import io
import sys
from collections import deque
from typing import Final

from rich.console import Console

from energymarket.units import degrees, eur_per_kwh, kwh
from services.market.domain.record import SettledTick
from services.market.report import degraded
from services.market.view import View

_MOST_HELD: Final = 1_000


class HeldBack(io.StringIO):
    """Takes a log while a full screen is shown, in which its lines would be lost; the newest are
    kept."""

    def __init__(self) -> None:
        super().__init__()
        self._texts: deque[str] = deque(maxlen=_MOST_HELD)

    def write(self, text: str) -> int:
        self._texts.append(text)
        return len(text)

    def let_go(self) -> None:
        """Puts everything on the error output."""
        while self._texts:
            sys.stderr.write(self._texts.popleft())


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
