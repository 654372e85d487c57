"""What a load test is to do, checked before anything starts."""

from __future__ import annotations

import os
from dataclasses import dataclass

from energymarket.errors import SettingsError
from energymarket.messages import MAX_HOMES_PER_FLEET, MOST_HOMES_PER_MESSAGE

ENDLESS_TICK = 2**53


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """``ticks`` 0: as many as ``seconds`` has; ``pace_s`` 0: closed mode, else open mode;
    ``homes_per_message`` 0: all homes of a fleet, as far as they fit into a message;
    ``processes`` 0: as many as processors."""

    amqp_url: str
    homes: int
    fleets: int = 4
    homes_per_message: int = 0
    ticks: int = 0
    seconds: float = 30.0
    pace_s: float = 0.0
    processes: int = 0

    @property
    def mode(self) -> str:
        return "open" if self.pace_s else "closed"

    def check(self) -> None:
        """Raises ``SettingsError`` for a plan that cannot be."""
        if self.fleets > self.homes:
            raise SettingsError(
                f"--fleets is {self.fleets}; it must be at most --homes, which is {self.homes}."
            )
        if -(-self.homes // self.fleets) > MAX_HOMES_PER_FLEET:
            raise SettingsError(f"a fleet has at most {MAX_HOMES_PER_FLEET} homes: more --fleets.")
        if self.homes_per_message > MOST_HOMES_PER_MESSAGE:
            raise SettingsError(
                f"--homes-per-message is {self.homes_per_message}; more than "
                f"{MOST_HOMES_PER_MESSAGE} need not fit into a message: choose fewer, or 0."
            )

    def sizes(self) -> list[int]:
        """The homes of each fleet, as equal as can be."""
        return _divided(self.homes, self.fleets)

    def most_per_message(self) -> int:
        """What the fleets keep to: no bound (0) only where all homes of a fleet fit."""
        fits = max(self.sizes()) <= MOST_HOMES_PER_MESSAGE
        return self.homes_per_message or (0 if fits else MOST_HOMES_PER_MESSAGE)

    def crews(self) -> list[list[int]]:
        """The fleets' sizes, process by process."""
        sizes, crews = self.sizes(), []
        wanted = self.processes or os.cpu_count() or 1
        for count in _divided(len(sizes), min(wanted, len(sizes))):
            crews.append(sizes[:count])
            sizes = sizes[count:]
        return crews

    def messages_per_tick(self) -> int:
        """The most order messages that a tick can take: each fleet has offers and requests, the
        last of either not full."""
        most = self.most_per_message()
        if not most:
            return 2 * self.fleets
        return sum(min(homes, -(-homes // most) + 1) if homes > 1 else 1 for homes in self.sizes())

    def facts(self) -> dict[str, object]:
        """What two runs must have in common to be compared."""
        return {
            "mode": self.mode,
            "homes": self.homes,
            "fleets": self.fleets,
            "homes_per_message": self.homes_per_message,
            "pace_s": self.pace_s,
        }


def _divided(total: int, parts: int) -> list[int]:
    return [total // parts + (1 if index < total % parts else 0) for index in range(parts)]
