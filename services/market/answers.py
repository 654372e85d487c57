"""The market's words: messages made from its books. Nothing is decided here."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import replace

from energymarket.columns import Rows, is_long, many
from energymarket.messages import OpenedTick, Receipts, Refused, TickOpened, TickSettled, Welcome
from services.market.books import Books
from services.market.domain.gifts import Gifts
from services.market.domain.membership import Fleet
from services.market.domain.order_book import Refusal
from services.market.domain.receipts import Chosen, FewRows
from services.market.domain.record import Opening, SettledTick


def fleet_secret(key: bytes, fleet: str) -> str:
    """The secret that a fleet's messages must carry: 128 bits of HMAC-SHA256 over its key."""
    return hmac.new(key, fleet.encode(), hashlib.sha256).hexdigest()[:32]


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
        out = settled.outcome
        self._gifts = Gifts.paired(settled.home, out.given_wh, out.received_wh)

    def messages(
        self, fleet: Fleet, most: int, opened: OpenedTick | None = None
    ) -> Iterator[Receipts]:
        """The receipts of a fleet, in messages of at most ``most`` homes; 0: in one. The last of
        them brings what has ``opened`` by now."""
        homes = len(fleet.homes)
        if not most or homes <= most:
            yield self.receipts(fleet, opened=opened)
            return
        for begin in range(0, homes, most):
            part = replace(fleet, homes=fleet.homes[begin : begin + most])
            yield self.receipts(part, opened=opened if begin + most >= homes else None)

    def receipts(
        self, fleet: Fleet, *, late: bool = False, opened: OpenedTick | None = None
    ) -> Receipts:
        """What the tick did to those homes of the fleet that were in its roster. A part of a
        fleet's homes is written as a fleet of these homes."""
        chosen = self._chosen(fleet.homes)
        out = self._settled.outcome
        price = self._settled.opening.price_neur_per_wh
        homes = chosen.of(self._settled.home)
        gifts = self._gifts.touching(homes)
        given_wh, received_wh = chosen.of(out.given_wh), chosen.of(out.received_wh)
        sold_wh, bought_wh = chosen.of(out.sold_wh), chosen.of(out.bought_wh)
        return Receipts(
            run=self._run,
            fleet=fleet.key,
            tick=self._settled.tick,
            price_neur_per_wh=price,
            late=late,
            home=homes,
            present=chosen.present(self._settled.orders.policy),
            net_wh=chosen.net_wh(received_wh, bought_wh, given_wh, sold_wh),
            given_wh=given_wh,
            received_wh=received_wh,
            sold_wh=sold_wh,
            bought_wh=bought_wh,
            spilled_wh=chosen.of(out.spilled_wh),
            unserved_wh=chosen.of(out.unserved_wh),
            stock_wh=chosen.of(out.stock_wh),
            charged_neur=chosen.charged_neur(price, bought_wh, sold_wh),
            balance_neur=chosen.of(out.balance_neur),
            gift_giver=gifts.giver,
            gift_taker=gifts.taker,
            gift_wh=gifts.energy_wh,
            opened=opened,
        )

    def _chosen(self, homes: Sequence[int]) -> Chosen:
        """The rows of those homes that were in the tick's roster."""
        if is_long(self._settled.home) and many(len(homes)):
            from services.market.domain import receipt_arrays  # noqa: PLC0415 - see columns

            return receipt_arrays.chosen(self._settled.home, self._rows, homes)
        return FewRows([row for row in map(self._rows.of, homes) if row is not None])
