"""What external tells whoever counts; this one counts nothing, ``metrics`` for Prometheus."""

from __future__ import annotations


class Meter:
    """Told of everything that external does, as it is done."""

    def published(self, bulletins: int) -> None:
        """So many bulletins have been published."""

    def opened(self, alive: int) -> None:
        """A tick is open, with so many events alive in it."""

    def started(self, name: str) -> None:
        """An event has begun."""
