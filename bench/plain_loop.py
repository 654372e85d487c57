"""The floor of the embedded run: what the ticks compute, and nothing else.

The same pure functions of the services in the same order, called one after the other: temperature,
events, each home's intent, settlement, price. No bus, no codec, no ledger, no hash, no audit.
"""

from __future__ import annotations

from collections.abc import Sequence

from energymarket.messages import LiveEvent
from services.external.catalogue_file import load_catalogue
from services.external.domain.catalogue import events_starting
from services.home.domain.profile import PolicyChoice, profile_of
from services.home.domain.trading import Intent, intent
from services.market.domain import events
from services.market.domain.pricing import PRICE_MODELS, MarketOutcome, next_price
from services.market.domain.settlement import OrderColumns, Roster, settle
from services.weather.domain.climate import CLIMATES


class PlainLoop:
    """The homes 1 to ``homes`` of the default world of ``seed``, one tick after the other."""

    def __init__(self, homes: int, seed: int) -> None:
        self.tick = 0
        self._seed = seed
        self._homes = list(range(1, homes + 1))
        self._profiles = [
            profile_of("residential", seed, home, PolicyChoice()) for home in self._homes
        ]
        self._climate = CLIMATES["temperate"]
        self._catalogue = load_catalogue("standard")
        self._model = PRICE_MODELS["normalised"]()
        self._stock_wh = [0] * homes
        self._balance_neur = [0] * homes
        self._alive: list[LiveEvent] = []
        self.price_neur_per_wh = self._model.start_neur_per_wh

    def run_to(self, tick: int) -> None:
        """Computes every tick up to and with ``tick``."""
        while self.tick < tick:
            self._step()

    def _step(self) -> None:
        self.tick += 1
        seed, tick = self._seed, self.tick
        temperature_mdeg = self._climate.temperature_mdeg(seed, tick)
        starts = events_starting(self._catalogue, seed, tick)
        self._alive = [*events.one_tick_on(self._alive), *map(events.begun, starts)]
        orders = _columns(
            [
                intent(
                    profile,
                    seed=seed,
                    tick=tick,
                    temperature_mdeg=temperature_mdeg,
                    stock_wh=stock_wh,
                )
                for profile, stock_wh in zip(self._profiles, self._stock_wh, strict=True)
            ]
        )
        outcome = settle(
            Roster(self._homes, self._stock_wh, self._balance_neur),
            orders,
            price_neur_per_wh=self.price_neur_per_wh,
            seed=seed,
            tick=tick,
        )
        self._stock_wh, self._balance_neur = [*outcome.stock_wh], [*outcome.balance_neur]
        self.price_neur_per_wh, _ = next_price(
            self._model,
            MarketOutcome(
                price_neur_per_wh=self.price_neur_per_wh,
                temperature_mdeg=temperature_mdeg,
                homes=len(self._homes),
                bought_wh=sum(outcome.bought_wh),
                sold_wh=sum(outcome.sold_wh),
                events=self._alive,
            ),
        )


def _columns(intents: Sequence[Intent]) -> OrderColumns:
    return OrderColumns(
        policy=[int(one.policy) for one in intents],
        amount_wh=[one.amount_wh for one in intents],
        produced_wh=[one.produced_wh for one in intents],
        consumed_wh=[one.consumed_wh for one in intents],
        capacity_wh=[one.capacity_wh for one in intents],
    )
