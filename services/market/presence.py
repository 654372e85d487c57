"""Which fleets the market waits for: all, but for those that missed a deadline and kept silent."""

from __future__ import annotations

from collections.abc import Iterable

from services.market.domain.membership import Fleet


class Presence:
    """Silent fleets by instance, with the moment since when they are."""

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._silent_since: dict[str, float] = {}

    def missed(self, fleet: Fleet, now: float) -> bool:
        """A deadline passed without this fleet; True when that is news."""
        if fleet.instance in self._silent_since:
            return False
        self._silent_since[fleet.instance] = now
        return True

    def heard(self, fleet: Fleet) -> bool:
        """The fleet spoke, and is waited for from the next tick on; True when that is news."""
        return self._silent_since.pop(fleet.instance, None) is not None

    def forget(self, fleet: Fleet) -> None:
        """The fleet is no member any more."""
        self._silent_since.pop(fleet.instance, None)

    def excuse(self, seconds: float) -> None:
        """So much time counts as nobody's silence."""
        for instance in self._silent_since:
            self._silent_since[instance] += seconds

    def awaited(self, fleets: Iterable[Fleet]) -> list[Fleet]:
        """Those of the fleets that a tick waits for."""
        return [fleet for fleet in fleets if fleet.instance not in self._silent_since]

    def lapsed(self, fleets: Iterable[Fleet], now: float) -> list[Fleet]:
        """Those of the fleets whose lease has run out."""
        return [
            fleet
            for fleet in fleets
            if now - self._silent_since.get(fleet.instance, now) > self._lease_s
        ]
