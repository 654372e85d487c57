"""The order messages of a fleet: its homes as columns, offers and requests apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from energymarket import topology
from energymarket.bus.port import Publication
from energymarket.messages import Offers, Requests, TickOpened, Welcome
from services.home.domain.profile import Profile
from services.home.domain.trading import Intent, intent


def order_messages(
    welcome: Welcome,
    opened: TickOpened,
    profiles: Sequence[Profile],
    stock_wh: Mapping[int, int],
    homes_per_message: int = 0,
) -> list[Publication]:
    """Offers and requests for the open tick; homes without surplus offer 0 Wh.

    One message each, or with ``homes_per_message`` as many as no more homes in one take.
    """
    intents = [
        intent(
            profile,
            seed=opened.seed,
            tick=opened.tick,
            temperature_mdeg=opened.temperature_mdeg,
            stock_wh=stock_wh[profile.home],
        )
        for profile in profiles
    ]
    key = topology.order_key(welcome.fleet)
    return [
        Publication(exchange, key, _columns(kind, welcome, opened.tick, part), True, True)
        for exchange, kind, wanted in _WAYS
        for part in _parts([one for one in intents if one.is_offer == wanted], homes_per_message)
    ]


_WAYS: Final = ((topology.OFFERS, Offers, True), (topology.REQUESTS, Requests, False))


def _parts(intents: list[Intent], size: int) -> list[list[Intent]]:
    """In pieces of at most ``size``; 0: all in one. No piece is empty."""
    step = size or len(intents) or 1
    return [intents[begin : begin + step] for begin in range(0, len(intents), step)]


def _columns(
    kind: type[Offers] | type[Requests], welcome: Welcome, tick: int, intents: list[Intent]
) -> Offers | Requests:
    return kind(
        run=welcome.run,
        fleet=welcome.fleet,
        secret=welcome.secret,
        tick=tick,
        home=[one.home for one in intents],
        policy=[int(one.policy) for one in intents],
        amount_wh=[one.amount_wh for one in intents],
        produced_wh=[one.produced_wh for one in intents],
        consumed_wh=[one.consumed_wh for one in intents],
        stock_wh=[one.stock_wh for one in intents],
        capacity_wh=[one.capacity_wh for one in intents],
    )
