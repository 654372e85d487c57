"""No order that a message can carry may take the market down: the next one would meet it again."""

from __future__ import annotations

import pytest

from energymarket import codec
from energymarket.messages import MAX_ENERGY_WH, Requests
from energymarket.policies import Policy
from services.market.answers import ReceiptWriter
from services.market.books import Books
from services.market.domain.membership import Fleet
from services.market.domain.order_book import OrderBook
from services.market.domain.record import Opening, settled_tick
from services.market.domain.rules import Rules
from services.market.domain.settlement import OrderColumns, Roster, settle
from services.market.ledger import Ledger


@pytest.mark.parametrize("price_model", ["normalised", "classic"])
def test_a_home_that_buys_all_that_an_order_can_carry_never_overflows_the_ledger(
    price_model: str,
) -> None:
    """R4, R16: whatever a home says it uses, until the market takes no more orders from it."""
    ledger = Ledger.open("sqlite://", Rules(seed=42, price_model=price_model))
    ledger.raise_epoch(0.0)
    books = Books(ledger, max_fleets=10)
    home = Fleet("a", "k", (1,), first_tick=1)
    refused = False
    for tick in range(1, 200):
        roster = books.roster([home])
        book = OrderBook(roster, [1])
        refusals = book.take(everything(tick)).refusals
        refused |= [refusal.reason for refusal in refusals] == ["account_full"]
        settled = books.settle(books.opening(15_000, (), 0), roster, book.columns())
        books.commit(settled, roster, at=0.0)
        writer = ReceiptWriter("r", settled)
        codec.decode(codec.encode(writer.receipts(home)))
    ledger.close()
    assert refused
    assert books.residuals.ok


def everything(tick: int) -> Requests:
    return Requests(
        run="r",
        fleet="k",
        secret="s",
        tick=tick,
        home=[1],
        policy=[Policy.BUY_ONLY],
        amount_wh=[MAX_ENERGY_WH],
        produced_wh=[0],
        consumed_wh=[MAX_ENERGY_WH],
        stock_wh=[0],
        capacity_wh=[0],
    )


def test_a_home_that_spills_all_that_it_can_have_gets_a_receipt_that_it_can_read() -> None:
    roster = Roster([1], [MAX_ENERGY_WH], [0])
    orders = OrderColumns([Policy.GIVE_ONLY], [0], [MAX_ENERGY_WH], [0], [0])
    outcome = settle(roster, orders, price_neur_per_wh=1, seed=1, tick=1)
    settled = settled_tick(Opening(1, 1, 0, 0, ()), roster, orders, outcome, (1, []))
    receipts = ReceiptWriter("r", settled).receipts(Fleet("a", "k", (1,), first_tick=1))
    assert codec.decode(codec.encode(receipts)) == receipts
    assert receipts.spilled_wh == [2 * MAX_ENERGY_WH]
