"""The market's words: messages made from its books. Nothing is decided here."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from msgspec import structs

from energymarket.columns import Rows, in_pieces_of
from energymarket.messages import (
    MOST_HOMES_PER_MESSAGE,
    OpenedTick,
    Receipts,
    Refused,
    TickOpened,
    TickSettled,
    Welcome,
)
from services.market.books import Books
from services.market.domain.gifts import Gifts
from services.market.domain.membership import Fleet
from services.market.domain.order_book import Refusal
from services.market.domain.receipts import pick, receipt_columns
from services.market.domain.record import Opening, SettledTick


@lru_cache(maxsize=10_000)
def fleet_secret(key: bytes, fleet: str) -> str:
    """The secret that a fleet's messages must carry: 128 bits of HMAC-SHA256 over its key.
    Each of its orders asks for it, so that it is kept."""
    return hmac.digest(key, fleet.encode(), "sha256").hex()[:32]


def tick_opened(books: Books, opening: Opening, homes: int) -> TickOpened:
    """The announcement of an open tick."""
    return TickOpened(
        run=books.world.run,
        epoch=books.ledger.epoch,
        seed=books.world.seed,
        tick=opening.tick,
        price_neur_per_wh=opening.price_neur_per_wh,
        temperature_mdeg=opening.temperature_mdeg,
        events=list(opening.events),
        homes=homes,
        degraded=bool(opening.degraded),
    )


def opened_tick(announced: TickOpened) -> OpenedTick:
    """What a home needs of an announcement, to be sent along with its receipts."""
    return OpenedTick(
        epoch=announced.epoch,
        seed=announced.seed,
        tick=announced.tick,
        price_neur_per_wh=announced.price_neur_per_wh,
        temperature_mdeg=announced.temperature_mdeg,
    )


def tick_settled(books: Books, settled: SettledTick) -> TickSettled:
    """The announcement of a tick that is in the ledger."""
    sums = settled.totals
    return TickSettled(
        run=books.world.run,
        epoch=books.ledger.epoch,
        tick=settled.tick,
        price_neur_per_wh=settled.opening.price_neur_per_wh,
        next_price_neur_per_wh=settled.next_price_neur_per_wh,
        homes=len(settled.home),
        absent=sums.absent,
        given_wh=sums.given_wh,
        sold_wh=sums.sold_wh,
        bought_wh=sums.bought_wh,
        spilled_wh=sums.spilled_wh,
        unserved_wh=sums.unserved_wh,
        head_hash=books.head_hash.hex(),
    )


def welcome(books: Books, fleet: Fleet, opened: TickOpened | None) -> Welcome:
    """A fleet's homes with their stocks, and the secret that its orders must carry."""
    return Welcome(
        run=books.world.run,
        seed=books.world.seed,
        fleet=fleet.key,
        secret=fleet_secret(books.world.fleet_secret_key, fleet.key),
        first_tick=fleet.first_tick,
        settled_tick=books.tick,
        home=list(fleet.homes),
        stock_wh=[books.stock_wh(home) for home in fleet.homes],
        opened=opened,
    )


def refused(books: Books, fleet: str, tick: int, refusal: Refusal) -> Refused:
    """A refusal, with the true stocks of the homes that it names."""
    return Refused(
        run=books.world.run,
        fleet=fleet,
        tick=tick,
        reason=refusal.reason,
        detail=refusal.detail,
        home=list(refusal.homes),
        stock_wh=[books.stock_wh(home) for home in refusal.homes],
    )


class ReceiptWriter:
    """Writes the receipts of one settled tick, fleet by fleet."""

    def __init__(self, run: str, settled: SettledTick) -> None:
        self._run, self._settled = run, settled
        self._rows = Rows(settled.home)
        self._columns = receipt_columns(settled)
        out = settled.outcome
        self._gifts = Gifts.paired(settled.home, out.given_wh, out.received_wh)

    def messages(
        self, fleet: Fleet, most: int = 0, *, late: bool = False, opened: OpenedTick | None = None
    ) -> Iterator[Receipts]:
        """The receipts of a fleet, in as many messages as are needed: each has at most ``most``
        homes (0: as many as fit) and as many gifts as fit. The last brings what has ``opened``."""
        most = min(most or MOST_HOMES_PER_MESSAGE, MOST_HOMES_PER_MESSAGE)
        whole = self.receipts(fleet, late=late, opened=opened)
        if len(whole.home) <= most and len(whole.gift_wh) <= MOST_GIFTS_PER_MESSAGE:
            yield whole
        else:
            yield from _divided(whole, most)

    def receipts(
        self, fleet: Fleet, *, late: bool = False, opened: OpenedTick | None = None
    ) -> Receipts:
        """What the tick did to those homes of the fleet that were in its roster. A part of a
        fleet's homes is written as a fleet of these homes."""
        roster = self._settled.home
        chosen = pick(roster, self._rows, fleet.homes)
        columns: dict[str, Any] = {name: chosen(each) for name, each in self._columns.items()}
        homes = columns["home"]
        gifts = self._gifts if len(homes) == len(roster) else self._gifts.touching(homes)
        return Receipts(
            run=self._run,
            fleet=fleet.key,
            tick=self._settled.tick,
            price_neur_per_wh=self._settled.opening.price_neur_per_wh,
            late=late,
            gift_giver=gifts.giver,
            gift_taker=gifts.taker,
            gift_wh=gifts.energy_wh,
            opened=opened,
            **columns,
        )


MOST_GIFTS_PER_MESSAGE: Final = 100_000
"""They fit into a message beside the most homes that it may have, whatever the numbers are."""

_COLUMNS_OF_HOMES: Final = (
    *("home", "present", "net_wh", "given_wh", "received_wh", "sold_wh", "bought_wh"),
    *("spilled_wh", "unserved_wh", "stock_wh", "charged_neur", "balance_neur"),
)


def _divided(whole: Receipts, most: int) -> Iterator[Receipts]:
    """Receipts in pieces of at most so many homes, each with the gifts that touch its homes; the
    last with what has opened. Gifts that are too many for a piece come before it, in pieces without
    homes."""
    columns = {name: in_pieces_of(most, getattr(whole, name)) for name in _COLUMNS_OF_HOMES}
    gifts = Gifts(
        *(in_pieces_of(most, each) for each in (whole.gift_giver, whole.gift_taker, whole.gift_wh))
    )
    homes = len(whole.home)
    for begin in range(0, homes, most):
        rows = slice(begin, begin + most)
        piece: dict[str, Any] = {name: column[rows] for name, column in columns.items()}
        *earlier, last = _in_stretches(gifts.touching(piece["home"]))
        for stretch in earlier:
            yield _piece(whole, stretch, dict.fromkeys(_COLUMNS_OF_HOMES, ()))
        opened = whole.opened if begin + most >= homes else None
        yield structs.replace(_piece(whole, last, piece), opened=opened)


def _piece(whole: Receipts, gifts: Gifts, columns: dict[str, Any]) -> Receipts:
    return structs.replace(
        whole,
        gift_giver=gifts.giver,
        gift_taker=gifts.taker,
        gift_wh=gifts.energy_wh,
        opened=None,
        **columns,
    )


def _in_stretches(gifts: Gifts) -> list[Gifts]:
    """Gifts, as many as fit into a message at a time; one stretch, if an empty one, at least."""
    most = MOST_GIFTS_PER_MESSAGE
    return [
        Gifts(*(each[begin : begin + most] for each in (gifts.giver, gifts.taker, gifts.energy_wh)))
        for begin in range(0, max(len(gifts.giver), 1), most)
    ]
