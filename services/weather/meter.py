"""What weather tells whoever counts; this one counts nothing, ``metrics`` for Prometheus."""

from __future__ import annotations


class Meter:
    """Told of everything that weather does, as it is done."""

    def opened(self, temperature_mdeg: int) -> None:
        """A tick is open with this temperature, and the store shows it."""

    def wrote(self, ticks: int) -> None:
        """The temperatures of so many ticks are in the store."""

    def failed(self) -> None:
        """The store has refused a write."""
