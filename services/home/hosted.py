"""The homes that a process hosts: their profiles, their stocks, their orders of a tick.

Few homes are computed one by one; many as arrays (``hosted_arrays``), with the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias

from energymarket.columns import many
from energymarket.messages import OpenedTick, TickOpened, Welcome
from services.home.domain.profile import PolicyChoice, Profile, profile_of
from services.home.domain.trading import Intent, intent
from services.home.orders import OrderRows

Opened: TypeAlias = TickOpened | OpenedTick
"""An open tick, as it was announced, or as it came along with receipts."""


class Hosted(Protocol):
    """One fleet's homes."""

    @property
    def home_ids(self) -> Sequence[int]:
        """The homes, in ascending id."""

    @property
    def only_profile(self) -> Profile | None:
        """The profile of a home that is alone."""

    def set_stocks(self, homes: Sequence[int], stock_wh: Sequence[int]) -> None:
        """Takes in what the market says that these homes have in stock; others than ours are left
        out."""

    def orders(self, opened: Opened) -> tuple[OrderRows, OrderRows]:
        """The offers and the requests of the open tick; each home is in one of them."""


def hosted(kind: str, welcome: Welcome, choice: PolicyChoice) -> Hosted:
    """The homes of a welcome, with profiles of a named kind."""
    if not many(len(welcome.home)):
        return FewHomes(kind, welcome, choice)
    from services.home.hosted_arrays import ManyHomes  # noqa: PLC0415 - see energymarket.columns

    return ManyHomes(kind, welcome, choice)


class FewHomes:
    """``Hosted``, home by home."""

    def __init__(self, kind: str, welcome: Welcome, choice: PolicyChoice) -> None:
        self._profiles = [profile_of(kind, welcome.seed, home, choice) for home in welcome.home]
        self.stock_wh = dict(zip(welcome.home, welcome.stock_wh, strict=True))

    @property
    def home_ids(self) -> Sequence[int]:
        return [profile.home for profile in self._profiles]

    @property
    def only_profile(self) -> Profile | None:
        return self._profiles[0] if len(self._profiles) == 1 else None

    def set_stocks(self, homes: Sequence[int], stock_wh: Sequence[int]) -> None:
        for home, stock in zip(homes, stock_wh, strict=True):
            if home in self.stock_wh:
                self.stock_wh[home] = stock

    def orders(self, opened: Opened) -> tuple[OrderRows, OrderRows]:
        intents = [
            intent(
                profile,
                seed=opened.seed,
                tick=opened.tick,
                temperature_mdeg=opened.temperature_mdeg,
                stock_wh=self.stock_wh[profile.home],
            )
            for profile in self._profiles
        ]
        return (
            _rows([one for one in intents if one.is_offer]),
            _rows([one for one in intents if not one.is_offer]),
        )


_NO_ROWS: Final = OrderRows([], [], [], [], [], [], [])


def _rows(intents: list[Intent]) -> OrderRows:
    if not intents:
        return _NO_ROWS
    return OrderRows(
        home=[one.home for one in intents],
        policy=[int(one.policy) for one in intents],
        amount_wh=[one.amount_wh for one in intents],
        produced_wh=[one.produced_wh for one in intents],
        consumed_wh=[one.consumed_wh for one in intents],
        stock_wh=[one.stock_wh for one in intents],
        capacity_wh=[one.capacity_wh for one in intents],
    )
