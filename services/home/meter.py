"""What a home process tells whoever counts; this one counts nothing, ``metrics`` for Prometheus."""

from __future__ import annotations

from collections.abc import Sequence

from energymarket.messages import Receipts
from services.home.orders import OrderRows


class Meter:
    """Told of everything that happens to a fleet, as it happens."""

    def joined(self, homes: int) -> None:
        """The market has welcomed the fleet with so many homes."""

    def opened(self, tick: int) -> None:
        """The market says that ``tick`` is open; perhaps again."""

    def computed(self, offers: OrderRows, requests: OrderRows) -> None:
        """These are the orders for the open tick."""

    def ordered(self, tick: int) -> None:
        """They have been published; perhaps again."""

    def received(self, parts: Sequence[Receipts]) -> None:
        """All receipts of a tick are here."""

    def refused(self, reason: str) -> None:
        """The market has not taken a message."""
