"""What the keys do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

from lab.watch.answers import Clock
from lab.watch.link import Command, MarketLink

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


def turned(key: str, clock: Clock) -> Command:
    """What a key does to a clock that is so."""
    if key == "space" and clock.state == "paused":
        return Command("PATCH", "/clock", {"state": "running"}, "goes on")
    if key == "space" or (key == "s" and clock.state == "running"):
        message = "paused; s is one tick, space goes on"
        return Command("PATCH", "/clock", {"state": "paused"}, message)
    if key == "s":
        return Command("POST", "/clock/step", {}, "one tick")
    pace_s = next_pace(clock.pace_s, faster=key != "-")
    return Command("PATCH", "/clock", {"pace_s": pace_s}, f"pace {pace_in_words(pace_s)}")


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
                self._link.turn_clock(partial(turned, key))

    def _choose(self, key: str) -> None:
        self.choosing = False
        if key.isdigit() and 1 <= int(key) <= len(EVENTS):
            chosen = EVENTS[int(key) - 1]
            self._link.start_event(chosen.name, chosen.coefficient_eur_per_kwh, chosen.ttl_ticks)
