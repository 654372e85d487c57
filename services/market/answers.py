"""The market's words: messages made from its books. Nothing is decided here."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from energymarket.messages import Receipts, Refused, TickOpened, TickSettled, Welcome
from services.market.books import Books
from services.market.domain.matching import Gift
from services.market.domain.membership import Fleet
from services.market.domain.order_book import Refusal
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


def tick_settled(books: Books, settled: SettledTick) -> TickSettled:
    """The announcement of a tick that is in the ledger."""
    out = settled.outcome
    return TickSettled(
        run=books.world.run,
        epoch=books.ledger.epoch,
        tick=settled.tick,
        price_neur_per_wh=settled.opening.price_neur_per_wh,
        next_price_neur_per_wh=settled.next_price_neur_per_wh,
        homes=len(settled.home),
        absent=settled.absent,
        given_wh=sum(out.given_wh),
        sold_wh=sum(out.sold_wh),
        bought_wh=sum(out.bought_wh),
        spilled_wh=sum(out.spilled_wh),
        unserved_wh=sum(out.unserved_wh),
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
        self._row = {home: row for row, home in enumerate(settled.home)}
        self._gifts: dict[int, list[Gift]] = {}
        for gift in settled.outcome.gifts(settled.home):
            self._gifts.setdefault(gift[0], []).append(gift)
            self._gifts.setdefault(gift[1], []).append(gift)

    def messages(self, fleet: Fleet, most: int) -> Iterator[Receipts]:
        """The receipts of a fleet, in messages of at most ``most`` homes; 0: in one."""
        if not most:
            yield self.receipts(fleet)
            return
        for begin in range(0, len(fleet.homes), most):
            yield self.receipts(replace(fleet, homes=fleet.homes[begin : begin + most]))

    def receipts(self, fleet: Fleet, *, late: bool = False) -> Receipts:
        """What the tick did to those homes of the fleet that were in its roster."""
        settled, out = self._settled, self._settled.outcome
        homes = [home for home in fleet.homes if home in self._row]
        rows = [self._row[home] for home in homes]
        gifts = _distinct(self._gifts, homes)
        price = settled.opening.price_neur_per_wh

        def column(values: Sequence[int]) -> list[int]:
            return [values[row] for row in rows]

        given_wh, received_wh = column(out.given_wh), column(out.received_wh)
        sold_wh, bought_wh = column(out.sold_wh), column(out.bought_wh)
        return Receipts(
            run=self._run,
            fleet=fleet.key,
            tick=settled.tick,
            price_neur_per_wh=price,
            late=late,
            home=homes,
            present=[1 if settled.orders.policy[row] else 0 for row in rows],
            net_wh=[
                received + bought - given - sold
                for received, bought, given, sold in zip(
                    received_wh, bought_wh, given_wh, sold_wh, strict=True
                )
            ],
            given_wh=given_wh,
            received_wh=received_wh,
            sold_wh=sold_wh,
            bought_wh=bought_wh,
            spilled_wh=column(out.spilled_wh),
            unserved_wh=column(out.unserved_wh),
            stock_wh=column(out.stock_wh),
            charged_neur=[
                price * (bought - sold) for bought, sold in zip(bought_wh, sold_wh, strict=True)
            ],
            balance_neur=column(out.balance_neur),
            gift_giver=[giver for giver, _, _ in gifts],
            gift_taker=[taker for _, taker, _ in gifts],
            gift_wh=[wh for _, _, wh in gifts],
        )


def _distinct(gifts: Mapping[int, list[Gift]], homes: Iterable[int]) -> list[Gift]:
    """The gifts that touch any of the homes, each once, in a fixed order."""
    if not gifts:
        return []
    return sorted({gift for home in homes for gift in gifts.get(home, ())})
