"""The front desk: every message that comes in is taken, answered or put to the dead letters.

Nothing is acknowledged before what it changed is in the ledger: orders are held until their tick
is, joins and leaves until the fleet is stored.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import replace

from energymarket import topology
from energymarket.bus.port import Bus, Delivery, Publication
from energymarket.columns import Rows, is_long
from energymarket.messages import Bulletin, Join, Leave, Message, Orders
from energymarket.refusals import DeadLetterReason, RefusalReason
from energymarket.telemetry import Log
from services.market import answers
from services.market.checkpoints import FLEET_STORED, ORDER_RECEIVED
from services.market.domain.home_ids import foreign_homes, to_ranges, within_stretch
from services.market.domain.membership import Departure, Fleet, FleetsFull
from services.market.domain.order_book import Refusal
from services.market.domain.record import SettledTick
from services.market.domain.settlement import ABSENT
from services.market.errors import LedgerUnavailable, LedgerUnreadable
from services.market.floor import Floor, OpenTick

_UNKNOWN_FLEET = Refusal("unknown_fleet", "this fleet is no member of the market: join", ())
_WRONG_RUN = Refusal("wrong_run", "this order is of another run of the market: join", ())
_NOT_OPEN = Refusal("not_open", "this tick has not been opened yet", ())
_TRIMMED = Refusal("trimmed", "the ledger does not hold this tick any more", ())


class FrontDesk:
    """Takes deliveries one by one; ``close_batch`` stores and answers all of them together."""

    def __init__(self, floor: Floor, *, bus: Bus, log: Log) -> None:
        self._floor, self._bus, self._log = floor, bus, log
        self._postponed: list[Delivery] = []
        self._held: set[bytes] = set()
        self._changed: list[Fleet] = []
        self._answers: list[Publication] = []
        self._answered: list[Delivery] = []
        self._orders_taken = 0
        self._to_welcome: list[tuple[Delivery, str]] = []
        self._newest_writer: tuple[int, answers.ReceiptWriter] | None = None

    # ------------------------------------------------------------------------------- receiving

    def receive(self, delivery: Delivery) -> None:
        """Takes in one delivery; one that the ledger is needed for waits until it can be read."""
        if delivery.refusal:
            self._dead_letter(delivery, delivery.refusal[0], delivery.refusal[1])
            return
        try:
            self._dispatch(delivery)
        except LedgerUnavailable:
            self._postponed.append(delivery)

    def _dispatch(self, delivery: Delivery) -> None:
        match delivery.message:
            case Orders() as orders:
                with self._floor.tracer.child("take order", delivery.trace):
                    self._on_orders(delivery, orders)
            case Bulletin() as bulletin:
                self._on_bulletin(delivery, bulletin)
            case Join() as join:
                self._on_join(delivery, join)
            case Leave() as leave:
                self._on_leave(delivery, leave)
            case other:
                self._dead_letter(
                    delivery, "unexpected", f"the market takes no {type(other).__name__}"
                )

    def forget_deliveries(self) -> None:
        """The bus has reconnected: what was delivered before comes again."""
        self._postponed.clear()
        self._held.clear()
        self._answered.clear()

    def receive_again(self) -> None:
        """Takes in what came at the wrong moment: before its tick was open, or while a complete
        tick was waiting for the ledger."""
        postponed, self._postponed = self._postponed, []
        self._held.clear()
        for delivery in postponed:
            self.receive(delivery)

    def close_batch(self) -> None:
        """Stores what changed, then sends all answers; what failed is tried again next time.

        Raises ``EpochLost``; ``LedgerUnavailable`` is the caller's to report.
        """
        if self._orders_taken:
            self._floor.metrics.orders.inc(self._orders_taken)
            self._orders_taken = 0
        if self._changed:
            books, members = self._floor.books, self._floor.books.membership
            books.ledger.save_fleets([*self._changed, *members.stints], members.forgotten)
            self._changed = []
            members.stints.clear()
            members.forgotten.clear()
            self._floor.checkpoint(FLEET_STORED)
        if self._to_welcome:
            self._answer_membership()
        if self._answers or self._answered:
            self._bus.publish(self._answers, then_acknowledge=self._answered)
            self._answers, self._answered = [], []

    # -------------------------------------------------------------------------------- bulletins

    def _on_bulletin(self, delivery: Delivery, bulletin: Bulletin) -> None:
        floor = self._floor
        if bulletin.run != floor.books.world.run:
            self._dead_letter(delivery, "wrong_run", "a bulletin of another run")
        elif bulletin.tick < floor.coming_tick:
            self._answered.append(delivery)
        else:
            done = floor.inputs.take(bulletin, delivery)
            if done:
                self._answered.append(done)

    # ------------------------------------------------------------------------------- membership

    def _on_join(self, delivery: Delivery, join: Join) -> None:
        floor = self._floor
        try:
            fleet = floor.books.membership.join(
                key=join.fleet,
                instance=join.instance,
                homes=join.homes,
                next_tick=floor.coming_tick,
                settled_tick=floor.books.tick,
            )
        except FleetsFull as error:
            self._refuse(delivery, join.fleet, 0, Refusal("full", str(error), ()))
            return
        floor.presence.heard(fleet)
        if floor.open_tick:
            # What it had before as another fleet, it does not order for any more.
            for stint in floor.books.membership.stints:
                floor.open_tick.book.give_up_on(stint.homes)
        if join.homes_per_message:
            floor.homes_per_message[fleet.instance] = join.homes_per_message
        else:
            floor.homes_per_message.pop(fleet.instance, None)
        self._changed.append(fleet)
        self._to_welcome.append((delivery, fleet.key))

    def _on_leave(self, delivery: Delivery, leave: Leave) -> None:
        if not self._authentic(leave.fleet, leave.secret):
            self._dead_letter(delivery, "wrong_secret", "the secret is not this fleet's")
            return
        self._answered.append(delivery)
        if leave.run == self._floor.books.world.run:
            self.release(leave.fleet, "left")

    def release(self, fleet_key: str, how: Departure) -> None:
        """Ends a membership: the homes are free, and the open tick waits for them no longer."""
        floor = self._floor
        fleet = floor.books.membership.leave(fleet_key, floor.coming_tick)
        if fleet is None:
            return
        self._changed.append(fleet)
        floor.presence.forget(fleet)
        floor.homes_per_message.pop(fleet.instance, None)
        floor.metrics.leaves.labels(how).inc()
        if floor.open_tick:
            floor.open_tick.book.give_up_on(fleet.homes)
        self._log.info(f"homes {to_ranges(fleet.homes)} {how}")

    def _answer_membership(self) -> None:
        floor = self._floor
        opened = floor.open_tick.announced if floor.open_tick else None
        for delivery, key in self._to_welcome:
            fleet = floor.books.membership.by_key(key)
            if fleet:
                floor.metrics.joins.inc()
                self._answer(key, answers.welcome(floor.books, fleet, opened))
            self._answered.append(delivery)
        self._to_welcome = []

    # ----------------------------------------------------------------------------------- orders

    def _on_orders(self, delivery: Delivery, orders: Orders) -> None:
        books = self._floor.books
        if orders.run != books.world.run:
            self._refuse(delivery, orders.fleet, orders.tick, _WRONG_RUN)
            return
        fleet = books.membership.sender(orders.fleet, orders.tick)
        if fleet is None:
            self._refuse(delivery, orders.fleet, orders.tick, _UNKNOWN_FLEET)
        elif not self._authentic(orders.fleet, orders.secret):
            self._dead_letter(delivery, "wrong_secret", "the secret is not this fleet's")
        elif foreign := self._foreign(orders.home, fleet):
            detail = "these homes are not this fleet's"
            self._refuse(
                delivery, orders.fleet, orders.tick, Refusal("not_your_home", detail, foreign)
            )
        else:
            self._on_members_orders(delivery, orders, fleet)

    def _on_members_orders(self, delivery: Delivery, orders: Orders, fleet: Fleet) -> None:
        floor = self._floor
        floor.checkpoint(ORDER_RECEIVED)
        if floor.presence.heard(fleet):
            self._log.info(f"homes {to_ranges(fleet.homes)} heard of again")
        tick = floor.open_tick
        if tick and orders.tick == tick.opening.tick and tick.settled is None:
            self._take(delivery, orders, tick)
        elif orders.tick <= floor.books.tick:
            self._answer_again(delivery, orders, fleet)
        elif orders.tick == floor.books.tick + 1:
            self._hold(delivery, self._postponed)
        else:
            self._refuse(delivery, orders.fleet, orders.tick, _NOT_OPEN)

    def _take(self, delivery: Delivery, orders: Orders, tick: OpenTick) -> None:
        taken = tick.book.take(orders)
        self._orders_taken += taken.new
        if taken.copies:
            self._floor.metrics.copies.inc(taken.copies)
        for refusal in taken.refusals:
            self._count_refusal(refusal.reason, f"{refusal.detail}", len(refusal.homes))
            self._answer(
                orders.fleet, answers.refused(self._floor.books, orders.fleet, orders.tick, refusal)
            )
        if taken.new:
            self._held.add(delivery.body)
            tick.held.append(delivery)
        elif taken.copies:
            self._hold(delivery, tick.held)
        else:
            self._answered.append(delivery)

    def _hold(self, delivery: Delivery, held: list[Delivery]) -> None:
        """Keeps what may be a copy unacknowledged until its tick is in the ledger, unless its
        equal is held already: a home that repeats itself for hours must not use up the orders in
        flight, for then the one that everybody waits for could not be delivered."""
        if delivery.body in self._held:
            self._answered.append(delivery)
        else:
            self._held.add(delivery.body)
            held.append(delivery)

    def _answer_again(self, delivery: Delivery, orders: Orders, fleet: Fleet) -> None:
        """An order for a settled tick: a copy gets the stored receipt, a late one is told so."""
        books = self._floor.books
        try:
            settled = books.settled(orders.tick)
        except LedgerUnreadable:
            settled = None  # it will not be better tomorrow
        if settled is None:
            self._refuse(delivery, orders.fleet, orders.tick, _TRIMMED)
            return
        late, different = _compare(settled, orders)
        if different:
            detail = "another order of this home for this tick was settled"
            self._refuse(
                delivery, fleet.key, orders.tick, Refusal("different_copy", detail, different)
            )
            return
        self._floor.metrics.late.inc(late)
        self._floor.metrics.copies.inc(len(orders.home) - late)
        if fleet.instance in self._floor.homes_per_message:
            # One of its many messages: the others are answered as they come.
            fleet = replace(fleet, homes=tuple(sorted(set(orders.home))))
        for receipts in self._writer(settled).messages(fleet, late=late > 0):
            self._answer(fleet.key, receipts)
        self._answered.append(delivery)

    def _writer(self, settled: SettledTick) -> answers.ReceiptWriter:
        """Kept for the next who asks for the same tick: after a restart of the market all do."""
        if self._newest_writer is None or self._newest_writer[0] != settled.tick:
            writer = answers.ReceiptWriter(self._floor.books.world.run, settled)
            self._newest_writer = settled.tick, writer
        return self._newest_writer[1]

    def _foreign(self, homes: Sequence[int], fleet: Fleet) -> tuple[int, ...]:
        """Those of the homes that are not the fleet's. A large fleet may send many small messages,
        so these are looked up home by home."""
        if within_stretch(homes, fleet.homes):
            return ()
        if not is_long(homes) and self._floor.books.membership.holds(fleet, homes):
            return ()
        return foreign_homes(homes, fleet.homes)

    # --------------------------------------------------------------------------------- answering

    def _authentic(self, fleet: str, secret: str) -> bool:
        key = self._floor.books.world.fleet_secret_key
        return hmac.compare_digest(answers.fleet_secret(key, fleet), secret)

    def _answer(self, fleet: str, message: Message) -> None:
        self._answers.append(Publication(topology.RECEIPTS, fleet, message, mandatory=True))

    def _refuse(self, delivery: Delivery, fleet: str, tick: int, refusal: Refusal) -> None:
        self._count_refusal(refusal.reason, refusal.detail, 1)
        self._answer(fleet, answers.refused(self._floor.books, fleet, tick, refusal))
        self._answered.append(delivery)

    def _dead_letter(self, delivery: Delivery, reason: DeadLetterReason, detail: str) -> None:
        self._count_refusal(reason, detail, 1)
        self._bus.dead_letter(delivery, reason)

    def _count_refusal(
        self, reason: RefusalReason | DeadLetterReason, detail: str, count: int
    ) -> None:
        self._floor.metrics.refused.labels(reason).inc(count)
        self._log.warning("refused", reason=reason, why=detail, count=count)


def _compare(settled: SettledTick, orders: Orders) -> tuple[int, tuple[int, ...]]:
    """How many of the orders are late, and which homes' orders differ from those settled."""
    rows = Rows(settled.home)
    stored = settled.orders
    late = 0
    different = []
    for index, home in enumerate(orders.home):
        row = rows.of(home)
        if row is None or stored.policy[row] == ABSENT:
            late += 1
        elif (
            stored.policy[row],
            stored.amount_wh[row],
            stored.produced_wh[row],
            stored.consumed_wh[row],
            stored.capacity_wh[row],
        ) != (
            orders.policy[index],
            orders.amount_wh[index],
            orders.produced_wh[index],
            orders.consumed_wh[index],
            orders.capacity_wh[index],
        ):
            different.append(home)
    return late, tuple(different)
