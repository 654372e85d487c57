"""The market's words: messages made from its books. Nothing is decided here."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from msgspec import structs

from energymarket.columns import Rows, in_pieces_of
from energymarket.messages import OpenedTick, Receipts, Refused, TickOpened, TickSettled, Welcome
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
        self, fleet: Fleet, most: int, opened: OpenedTick | None = None
    ) -> Iterator[Receipts]:
        """The receipts of a fleet, in messages of at most ``most`` homes; 0: in one. The last of
        them brings what has ``opened`` by now."""
        whole = self.receipts(fleet, opened=opened)
        if not most or len(whole.home) <= most:
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


_COLUMNS_OF_HOMES: Final = (
    *("home", "present", "net_wh", "given_wh", "received_wh", "sold_wh", "bought_wh"),
    *("spilled_wh", "unserved_wh", "stock_wh", "charged_neur", "balance_neur"),
)


def _divided(whole: Receipts, most: int) -> Iterator[Receipts]:
    """Receipts in pieces of at most so many homes, each with the gifts that touch its homes; the
    last with what has opened."""
    columns = {name: in_pieces_of(most, getattr(whole, name)) for name in _COLUMNS_OF_HOMES}
    gifts = Gifts(
        *(in_pieces_of(most, each) for each in (whole.gift_giver, whole.gift_taker, whole.gift_wh))
    )
    homes = len(whole.home)
    for begin in range(0, homes, most):
        rows = slice(begin, begin + most)
        piece: dict[str, Any] = {name: column[rows] for name, column in columns.items()}
        touching = gifts.touching(piece["home"])
        yield structs.replace(
            whole,
            gift_giver=touching.giver,
            gift_taker=touching.taker,
            gift_wh=touching.energy_wh,
            opened=whole.opened if begin + most >= homes else None,
            **piece,
        )
