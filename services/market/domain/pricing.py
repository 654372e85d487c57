"""The price of the next tick, as named terms that add up to it exactly (R16).

Every model has the classical form ``P(t+1) = gamma P(t) + sum alpha_i f_i(t) + sum beta_j u_j(t)``:
the old price decays, what the tick brought is added, and each live external event adds its
coefficient. All numbers are integers, in nEUR/Wh (= micro-EUR per kWh); each term is rounded once,
half to even, and the price is the sum of the rounded terms.

A further model is one class with a name, a start price, a floor and ``terms``, under ``@register``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from energymarket.messages import MAX_PRICE_NEUR_PER_WH, LiveEvent
from energymarket.units import divide_half_even

Term = tuple[str, int]
"""(name, nEUR/Wh)"""


@dataclass(frozen=True, slots=True)
class MarketOutcome:
    """What a tick brought, as far as a price may depend on it.

    ``homes`` is the number that traded; ``bought_wh`` and ``sold_wh`` are what homes bought from
    and sold to the market. Gifts are not here, on purpose: giving never changes the price (R12).
    """

    price_neur_per_wh: int
    temperature_mdeg: int
    homes: int
    bought_wh: int
    sold_wh: int
    events: Sequence[LiveEvent]


class PriceModel(Protocol):
    """One way to make a price."""

    name: ClassVar[str]
    start_neur_per_wh: ClassVar[int]
    floor_neur_per_wh: ClassVar[int]

    def terms(self, outcome: MarketOutcome) -> list[Term]:
        """The named terms of the next price, before the floor."""


PRICE_MODELS: dict[str, type[PriceModel]] = {}


def register(model: type[PriceModel]) -> type[PriceModel]:
    """Makes a model known under its name, which ``ENERGYMARKET_PRICE_MODEL`` then takes."""
    PRICE_MODELS[model.name] = model
    return model


def next_price(model: PriceModel, outcome: MarketOutcome) -> tuple[int, list[Term]]:
    """The price of the next tick in nEUR/Wh, and the terms whose sum it is.

    A sum below the model's floor is lifted by a term ``floor``; one beyond what a message can
    carry is cut by a term ``cap``.
    """
    terms = model.terms(outcome)
    price = sum(value for _, value in terms)
    if price < model.floor_neur_per_wh:
        terms.append(("floor", model.floor_neur_per_wh - price))
        price = model.floor_neur_per_wh
    elif price > MAX_PRICE_NEUR_PER_WH:
        terms.append(("cap", MAX_PRICE_NEUR_PER_WH - price))
        price = MAX_PRICE_NEUR_PER_WH
    return price, terms


def _decayed(price_neur_per_wh: int) -> int:
    """gamma P with gamma = 0.75."""
    return divide_half_even(3 * price_neur_per_wh, 4)


@register
class Normalised:
    """The default: energy per home, so that the level does not depend on how many homes there are.

    Left alone the price returns to ``BASE``. A tick in which every home buys 1 kWh adds 0.05
    EUR/kWh, one in which every home sells 1 kWh takes 0.05 off: equal weights, because in a
    balanced neighbourhood neither side should carry the price away. Heating below 18 degrees and
    cooling above 24 (the usual bounds of degree-day methods) add 0.0015 EUR/kWh per degree.
    """

    name: ClassVar[str] = "normalised"
    start_neur_per_wh: ClassVar[int] = 200_000
    floor_neur_per_wh: ClassVar[int] = 10_000

    BASE: ClassVar[int] = 200_000
    HEATING_BELOW_MDEG: ClassVar[int] = 18_000
    COOLING_ABOVE_MDEG: ClassVar[int] = 24_000
    NEUR_PER_WH_PER_DEGREE: ClassVar[int] = 1_500
    NEUR_PER_WH_PER_KWH: ClassVar[int] = 50_000

    def terms(self, outcome: MarketOutcome) -> list[Term]:
        temperature = outcome.temperature_mdeg
        homes = max(outcome.homes, 1)
        return [
            ("decay", _decayed(outcome.price_neur_per_wh)),
            ("base", self.BASE - _decayed(self.BASE)),
            ("heating", self._per_degree(self.HEATING_BELOW_MDEG - temperature)),
            ("cooling", self._per_degree(temperature - self.COOLING_ABOVE_MDEG)),
            ("bought", self._per_home(outcome.bought_wh, homes)),
            ("sold", -self._per_home(outcome.sold_wh, homes)),
            *_event_terms(outcome.events),
        ]

    def _per_degree(self, beyond_mdeg: int) -> int:
        return divide_half_even(max(beyond_mdeg, 0) * self.NEUR_PER_WH_PER_DEGREE, 1_000)

    def _per_home(self, energy_wh: int, homes: int) -> int:
        return divide_half_even(energy_wh * self.NEUR_PER_WH_PER_KWH, 1_000 * homes)


def _event_terms(events: Sequence[LiveEvent]) -> list[Term]:
    """One term per kind of live event; several of one kind add up (R19)."""
    by_name: dict[str, int] = {}
    for event in events:
        by_name[event.name] = by_name.get(event.name, 0) + event.coefficient_neur_per_wh
    return [(f"event:{name}", value) for name, value in sorted(by_name.items())]


@register
class Classic:
    """The published constants of the assignment's second source, to the digit (R17)::

        P' = max(0.05, 0.75 P + 0.5/T + 0.05 E_bought - 0.02 E_sold + 0.2 war + 0.07 fuel_shortage)

    in EUR/kWh, kWh and degrees C, from P = 0.17. ``war`` and ``fuel_shortage`` are 1 while such an
    event is alive, whatever its coefficient, and no other event counts. Energy is the total, so
    the level grows with the number of homes. Between -1 and 1 degree 0.5/T is taken at 1 degree
    with T's sign: the published temperatures never came near 0, where it has no limit.
    """

    name: ClassVar[str] = "classic"
    start_neur_per_wh: ClassVar[int] = 170_000
    floor_neur_per_wh: ClassVar[int] = 50_000

    def terms(self, outcome: MarketOutcome) -> list[Term]:
        alive = {event.name for event in outcome.events}
        return [
            ("decay", _decayed(outcome.price_neur_per_wh)),
            ("temperature", self._inverse(outcome.temperature_mdeg)),
            ("bought", 50 * outcome.bought_wh),
            ("sold", -20 * outcome.sold_wh),
            ("event:war", 200_000 * ("war" in alive)),
            ("event:fuel_shortage", 70_000 * ("fuel_shortage" in alive)),
        ]

    @staticmethod
    def _inverse(temperature_mdeg: int) -> int:
        """0.5/T: 0.5 EUR/kWh is 500,000 nEUR/Wh, and T is in thousandths."""
        magnitude = divide_half_even(500_000_000, max(abs(temperature_mdeg), 1_000))
        return magnitude if temperature_mdeg >= 0 else -magnitude
