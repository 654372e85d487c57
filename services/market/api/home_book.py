"""Every home that has ever been seen: its standing, its account, the policies it has shown."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from energymarket.policies import Policy
from services.market.api.context import ApiContext
from services.market.api.schemas.homes import HomeStatus
from services.market.domain.record import SettledTick
from services.market.domain.snapshot import PAGE_HOMES
from services.market.view import View

POLICY_BY_LABEL: Final = {policy.label: policy for policy in Policy}
LABEL_BY_POLICY: Final = {int(policy): policy.label for policy in Policy}
_NOTHING: Final = (0, 0)


@dataclass(frozen=True, slots=True)
class Standing:
    """A home as of the newest settled tick; ``row`` is its row in that tick, None if not in it."""

    home: int
    status: HomeStatus
    stock_wh: int
    balance_neur: int
    row: int | None


class HomeBook:
    """Reads homes off one view of the market, and off the ledger where the view has them not."""

    def __init__(self, context: ApiContext, view: View) -> None:
        self._context = context
        self._last = view.last
        self._members = context.member_ids.of(view.fleets)

    @property
    def tick(self) -> int:
        """The newest settled tick."""
        return self._last.tick if self._last else 0

    @property
    def members(self) -> Sequence[int]:
        """The homes that hold a place in the market, in ascending id."""
        return self._members

    def seen(self, home: int) -> bool:
        """True when the home holds a place, or ever took part in a tick."""
        return position(self._members, home) is not None or home <= self._highest_in_ledger()

    def standings(self, homes: Sequence[int]) -> list[Standing]:
        """The standings of these homes, in their order."""
        rows = [self._row(home) for home in homes]
        elsewhere = self._accounts(h for h, row in zip(homes, rows, strict=True) if row is None)
        return [self._standing(home, row, elsewhere) for home, row in zip(homes, rows, strict=True)]

    def shown_policies(self, home: int) -> tuple[int, int]:
        """(surplus policy, need policy), 0 where none was shown yet."""
        shown = self._context.policies
        # Read one by one: the market's thread makes the two columns longer one after the other.
        return _at(shown.surplus, home - 1), _at(shown.need, home - 1)

    def having(self, policy: Policy) -> list[int]:
        """The members that have shown a policy."""
        return [home for home in self._members if policy in self.shown_policies(home)]

    def _row(self, home: int) -> int | None:
        return position(self._last.home, home) if self._last else None

    def _standing(
        self, home: int, row: int | None, elsewhere: dict[int, tuple[int, int]]
    ) -> Standing:
        member = position(self._members, home) is not None
        if row is None or self._last is None:
            stock_wh, balance_neur = elsewhere.get(home, _NOTHING)
            return Standing(home, "joining" if member else "left", stock_wh, balance_neur, None)
        status: HomeStatus = "left"
        if member:
            status = "active" if self._last.orders.policy[row] else "absent"
        outcome = self._last.outcome
        return Standing(home, status, outcome.stock_wh[row], outcome.balance_neur[row], row)

    def _accounts(self, homes: Iterable[int]) -> dict[int, tuple[int, int]]:
        """(stock, balance) of homes that the newest tick does not hold, page by page."""
        by_page: dict[int, list[int]] = {}
        for home in homes:
            by_page.setdefault((home - 1) // PAGE_HOMES, []).append(home)
        found: dict[int, tuple[int, int]] = {}
        for page, members in by_page.items():
            stored = self._context.history.account_page(page)
            if stored:
                for home in members:
                    index = (home - 1) % PAGE_HOMES
                    found[home] = _at(stored[0], index), _at(stored[1], index)
        return found

    def _highest_in_ledger(self) -> int:
        history = self._context.history
        page = history.newest_account_page()
        stored = history.account_page(page) if page is not None else None
        return page * PAGE_HOMES + len(stored[0]) if page is not None and stored else 0


def policy_of(settled: SettledTick, row: int) -> str | None:
    """The policy of a row's order; None when the home was absent."""
    return LABEL_BY_POLICY.get(settled.orders.policy[row])


def position(ascending: Sequence[int], home: int) -> int | None:
    index = bisect_left(ascending, home)
    return index if index < len(ascending) and ascending[index] == home else None


def _at(column: Sequence[int], index: int) -> int:
    return column[index] if index < len(column) else 0
