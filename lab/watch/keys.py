"""What the keys do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lab.watch.link import MarketLink

PACES_S: Final = (4.0, 2.0, 1.0, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.0)
"""Seconds per tick, from x0.25 to full speed."""


@dataclass(frozen=True, slots=True)
class Choice:
    """An external event that a digit starts."""

    name: str
    coefficient_eur_per_kwh: float
    ttl_ticks: int

    @property
    def label(self) -> str:
        return f"{self.name} {self.coefficient_eur_per_kwh:+g} for {self.ttl_ticks}"


EVENTS: Final = (
    Choice("war", 0.03, 48),
    Choice("fuel_shortage", 0.015, 24),
    Choice("renewable_surplus", -0.01, 16),
    Choice("holiday", -0.005, 24),
)


def pace_in_words(pace_s: float) -> str:
    """``x2`` for two ticks a second."""
    return "full speed" if pace_s == 0 else f"x{1 / pace_s:.3g}"


def next_pace(pace_s: float, *, faster: bool) -> float:
    """The neighbour of a pace among ``PACES_S``; the last one stays."""
    if faster:
        return next((each for each in PACES_S if each < pace_s), PACES_S[-1])
    return next((each for each in reversed(PACES_S) if each > pace_s), PACES_S[0])


class Keys:
    """Turns keys into commands; ``choosing`` while it asks for an event."""

    def __init__(self, link: MarketLink) -> None:
        self._link = link
        self.choosing = False
        self.quit = False

    def press(self, key: str) -> None:
        """Does what the key is for; unknown ones do nothing."""
        if self.choosing:
            self._choose(key)
            return
        match key:
            case "q" | "Q":
                self.quit = True
            case "up" | "k":
                self._link.turn_page(ahead=False)
            case "down" | "j":
                self._link.turn_page(ahead=True)
            case "e":
                self.choosing = True
            case "space" | "s" | "+" | "=" | "-":
                self._turn_clock(key)

    def _turn_clock(self, key: str) -> None:
        clock = self._link.picture.shown.clock
        if clock is None:
            self._link.picture.set(message="The market's clock is not known yet.")
        elif key == "space" and clock.state == "paused":
            self._link.set_clock("goes on", state="running")
        elif key == "space" or (key == "s" and clock.state == "running"):
            self._link.set_clock("paused; s is one tick, space goes on", state="paused")
        elif key == "s":
            self._link.step()
        else:
            pace_s = next_pace(clock.pace_s, faster=key != "-")
            self._link.set_clock(f"pace {pace_in_words(pace_s)}", pace_s=pace_s)

    def _choose(self, key: str) -> None:
        self.choosing = False
        if key.isdigit() and 1 <= int(key) <= len(EVENTS):
            chosen = EVENTS[int(key) - 1]
            self._link.start_event(chosen.name, chosen.coefficient_eur_per_kwh, chosen.ttl_ticks)
