"""Hears all that is said in a simulation, and compares it with the ledger at that moment.

A ledger that ends well does not show that nobody was told a number that was not in it yet, nor that
an order was safe before it was let go: homes repeat themselves, and time heals much. Each message
and each acknowledgement is held against the truth when it happens instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from energymarket.bus.memory import MemoryBroker, MemoryBus
from energymarket.bus.port import Delivery, Publication
from energymarket.messages import Join, Orders, Receipts, Refused, TickOpened, TickSettled, Welcome
from energymarket.topology import ORDERS_QUEUE
from services.home.hosted import FewHomes
from services.home.service import HomeService
from services.market.domain.settlement import ABSENT
from services.market.service import MarketService
from tests.chaos.faulty_stores import Disk

_RECEIPT_COLUMNS = (
    "given_wh",
    "received_wh",
    "sold_wh",
    "bought_wh",
    "spilled_wh",
    "unserved_wh",
    "stock_wh",
    "balance_neur",
)
_OLD_ORDERS_KEPT = 40


class Broken(AssertionError):
    """A promise that somebody broke: one sentence."""


class Witness:
    """Implements ``faulty_bus.Witness``; ``orders`` are the newest that homes have sent;
    ``late`` counts late receipts by tick; ``on_welcome`` is told of each welcome."""

    def __init__(self, disk: Disk, broker: MemoryBroker) -> None:
        self._disk, self._broker = disk, broker
        self.orders: list[Publication] = []
        self.late: Counter[int] = Counter()
        self.on_welcome: Callable[[Welcome], None] = lambda _welcome: None
        self._told: set[tuple[int, int]] = set()
        self._openings: dict[int, tuple[object, ...]] = {}

    # ------------------------------------------------------------------------------- what is said

    def said(self, bus: MemoryBus, publications: Sequence[Publication]) -> None:
        for publication in publications:
            match publication.message:
                case Receipts() as receipts:
                    self.late[receipts.tick] += receipts.late
                    self._check_receipts(receipts)
                case Welcome() as welcome:
                    self._check_welcome(welcome)
                    self.on_welcome(welcome)
                case Refused(reason="stock_mismatch") as refused:
                    self._check_stocks(refused.home, refused.stock_wh, refused.tick - 1)
                case TickSettled() as settled if settled.tick > self._disk.tick:
                    raise Broken(f"tick {settled.tick} is said to be settled and is not stored")
                case TickOpened() as opened:
                    self._check_opening(opened)
                case Orders():
                    self.orders.append(publication)
                    del self.orders[:-_OLD_ORDERS_KEPT]

    def _check_opening(self, opened: TickOpened) -> None:
        """Every market announces a tick alike, for homes may have acted on any of them."""
        events = tuple((event.name, event.remaining_ticks) for event in opened.events)
        how = opened.price_neur_per_wh, opened.temperature_mdeg, opened.degraded, events
        if self._openings.setdefault(opened.tick, how) != how:
            raise Broken(f"tick {opened.tick} was announced in two ways")

    def _check_receipts(self, receipts: Receipts) -> None:
        found = self._disk.settled(receipts.tick)
        if found is None:
            raise Broken(f"receipts of tick {receipts.tick} before it is in the ledger")
        _, settled, row_of = found
        self._told.update((receipts.tick, home) for home in receipts.home)
        rows = [row_of[home] for home in receipts.home]
        for name in _RECEIPT_COLUMNS:
            stored = getattr(settled.outcome, name)
            if getattr(receipts, name) != [stored[row] for row in rows]:
                raise Broken(f"receipts of tick {receipts.tick}: {name} is not the ledger's")
        present = [int(settled.orders.policy[row] != ABSENT) for row in rows]
        if receipts.present != present:
            raise Broken(f"receipts of tick {receipts.tick}: presence is not the ledger's")

    def _check_welcome(self, welcome: Welcome) -> None:
        if self._disk.instance_of(welcome.fleet) is None:
            raise Broken("a fleet was welcomed before it was stored")
        self._check_stocks(welcome.home, welcome.stock_wh, welcome.settled_tick)

    def _check_stocks(self, homes: Sequence[int], stock_wh: Sequence[int], tick: int) -> None:
        if tick > self._disk.tick:
            raise Broken(f"stocks of tick {tick} before it is in the ledger")
        for home, stock in zip(homes, stock_wh, strict=True):
            if stock != self._disk.stock_wh(home, tick):
                raise Broken(f"home {home} was told a stock that it did not have after {tick}")

    # ------------------------------------------------------------------------- what is let go

    def done_with(
        self, bus: MemoryBus, deliveries: Sequence[Delivery], said: Sequence[Publication]
    ) -> None:
        refused = {
            (publication.message.fleet, publication.message.tick)
            for publication in said
            if isinstance(publication.message, Refused)
        }
        leaving = {delivery.tag for delivery in deliveries}
        for delivery in deliveries:
            match delivery.message:
                case Orders() as orders if (orders.fleet, orders.tick) not in refused:
                    self._check_order_is_safe(bus, orders, leaving)
                case Join() as join if (join.fleet, 0) not in refused:
                    if not self._disk.instance_is_stored(join.instance):
                        raise Broken("a join was acknowledged before its fleet was stored")

    def _check_order_is_safe(self, bus: MemoryBus, orders: Orders, leaving: set[int]) -> None:
        """In the ledger and answered; or else the broker still has a copy."""
        settled = orders.tick <= self._disk.tick
        if settled and any((orders.tick, home) in self._told for home in orders.home):
            return
        if not orders.home or self._broker_has_a_copy(bus, orders, leaving):
            return
        if not settled:
            raise Broken(f"orders of tick {orders.tick} acknowledged before it is in the ledger")
        found = self._disk.settled(orders.tick)
        assert found is not None
        held = {home for homes in self._disk.members().values() for home in homes}
        if held.intersection(orders.home, found[2]):
            raise Broken(f"orders of tick {orders.tick} acknowledged and never answered")

    def _broker_has_a_copy(self, bus: MemoryBus, orders: Orders, leaving: set[int]) -> bool:
        queue = self._broker.queues[ORDERS_QUEUE]
        stored = list(queue.ready)
        for consumer in queue.consumers:
            mine = consumer.channel is bus._channel
            for tag, (_, one) in consumer.channel.unacked.items():
                if not (mine and tag in leaving):
                    stored.append(one)
        for one in stored:
            one.content.decode()
            copy = one.content.message
            if (
                isinstance(copy, type(orders))
                and copy.fleet == orders.fleet
                and copy.tick == orders.tick
            ):
                return True
        return False

    # ------------------------------------------------------------------------ what is believed

    def check_home(self, home: HomeService) -> None:
        """A home that takes part knows the stocks that the ledger has for it."""
        if home._welcome is None:
            return
        assert isinstance(home.hosted, FewHomes)
        homes, stocks = tuple(home.hosted.stock_wh), tuple(home.hosted.stock_wh.values())
        self._check_stocks(homes, stocks, home._stock_tick)

    def check_market(self, market: MarketService) -> None:
        """A market that ends has counted each order of the ticks that it settled once."""
        epoch = market.books.ledger.epoch
        counted = int(market.metrics.orders._value.get()) + market._desk._orders_taken
        for tick in range(self._disk.tick, 0, -1):
            found = self._disk.settled(tick)
            assert found is not None
            if found[0] < epoch:
                break
            if found[0] == epoch:
                counted -= sum(1 for policy in found[1].orders.policy if policy != ABSENT)
        tick_open = market._floor.open_tick
        if tick_open:
            found = self._disk.settled(tick_open.opening.tick)
            if found is None or found[0] != epoch:
                columns = tick_open.book.columns()
                counted -= sum(1 for policy in columns.policy if policy != ABSENT)
        if counted:
            raise Broken(f"epoch {epoch} counted {counted} orders too many")

    def check_speakers(self, market: MarketService, deliveries: Sequence[object]) -> None:
        """Whoever was heard is waited for from then on."""
        for delivery in deliveries:
            orders = delivery.message if isinstance(delivery, Delivery) else None
            if not isinstance(orders, Orders) or orders.run != market.books.world.run:
                continue
            fleet = market.books.membership.by_key(orders.fleet)
            if fleet is None or not set(orders.home) <= set(fleet.homes):
                continue
            if not market._floor.presence.awaited([fleet]):
                raise Broken(f"{fleet.instance} was heard and is not waited for")
