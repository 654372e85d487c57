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
) -> list[Publication]:
    """At most one message per exchange for the open tick; homes without surplus offer 0 Wh."""
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
    offers = [one for one in intents if one.is_offer]
    requests = [one for one in intents if not one.is_offer]
    key = topology.order_key(welcome.fleet)
    publications = []
    if offers:
        message: Offers | Requests = _columns(Offers, welcome, opened.tick, offers)
        publications.append(Publication(topology.OFFERS, key, message, True, True))
    if requests:
        message = _columns(Requests, welcome, opened.tick, requests)
        publications.append(Publication(topology.REQUESTS, key, message, True, True))
    return publications


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
