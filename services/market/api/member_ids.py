"""The homes that hold a place in the market, by id."""

from __future__ import annotations

from itertools import chain

from services.market.domain.membership import Fleet


class MemberIds:
    """The member homes of the newest fleets in ascending id, kept until the fleets change."""

    def __init__(self) -> None:
        self._kept: tuple[tuple[Fleet, ...], list[int]] = ((), [])

    def of(self, fleets: tuple[Fleet, ...]) -> list[int]:
        """The ids of all homes of ``fleets``."""
        kept = self._kept
        if kept[0] is not fleets:
            kept = fleets, sorted(chain.from_iterable(fleet.homes for fleet in fleets))
            self._kept = kept
        return kept[1]
