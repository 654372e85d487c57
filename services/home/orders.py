"""The order messages of a fleet: its homes as columns, offers and requests apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    publications = []
    for part in _parts([one for one in intents if one.is_offer], homes_per_message):
        message: Offers | Requests = _columns(Offers, welcome, opened.tick, part)
        publications.append(Publication(topology.OFFERS, key, message, True, True))
    for part in _parts([one for one in intents if not one.is_offer], homes_per_message):
        message = _columns(Requests, welcome, opened.tick, part)
        publications.append(Publication(topology.REQUESTS, key, message, True, True))
    return publications


def _parts(intents: list[Intent], size: int) -> list[list[Intent]]:
    """In pieces of at most ``size``; 0: all in one. No piece is empty."""
    if not size or len(intents) <= size:
        return [intents] if intents else []
    return [intents[begin : begin + size] for begin in range(0, len(intents), size)]


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
