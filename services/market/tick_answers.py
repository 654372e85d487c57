"""What follows a settled tick: receipts and news of it, sent once, and its place in the metrics."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from energymarket import topology
from energymarket.bus.port import Bus, Publication
from energymarket.clock import Clock
from energymarket.messages import TickOpened
from energymarket.telemetry import Log
from services.market import answers
from services.market.checkpoints import RECEIPTS_SENT
from services.market.domain.membership import Fleet
from services.market.domain.record import SettledTick
from services.market.floor import Floor, OpenTick
from services.market.report import report_tick


class TickAnswers:
    """Holds the newest settled tick from its commit until it has been answered."""

    def __init__(self, floor: Floor, *, bus: Bus, clock: Clock, log: Log) -> None:
        self._floor, self._books, self._metrics = floor, floor.books, floor.metrics
        self._bus, self._clock, self._log = bus, clock, log
        self._coded_s = (0.0, 0.0)
        self._unanswered: tuple[OpenTick, SettledTick, list[Fleet]] | None = None

    def settled(self, tick: OpenTick, settled: SettledTick) -> None:
        """The tick is in the ledger: it is to be answered to those who hold its homes now."""
        self._unanswered = tick, settled, self._books.membership.holders(tick.fleets)
        self._count(settled)

    def send(self, opened: TickOpened | None) -> set[str]:
        """Receipts and news of a tick that was just settled, if one was. The orders are
        acknowledged once all of it is confirmed.

        A tick that has ``opened`` in the same moment goes along: who gets receipts need not be
        woken, nor the broker be troubled, a second time. Returns the keys of the fleets that have
        been told of it so.
        """
        if self._unanswered is None:
            return set()
        begun = self._clock.monotonic()
        (tick, settled, present), self._unanswered = self._unanswered, None
        with self._floor.tracer.child("send receipts", tick.span.trace) as span:
            news = [
                Publication(topology.TICKS, "", message, trace=span.trace)
                for message in (answers.tick_settled(self._books, settled), opened)
                if message
            ]
            self._bus.publish(
                chain(self._receipts(settled, present, opened, span.trace), news),
                then_acknowledge=[*tick.held, *self._floor.inputs.done_with(settled.tick)],
            )
        tick.span.end()
        self._floor.checkpoint(RECEIPTS_SENT)
        self._metrics.answer_seconds.observe(self._clock.monotonic() - begun)
        self._observe_work()
        return {fleet.key for fleet in present} if opened else set()

    def _receipts(
        self, settled: SettledTick, present: list[Fleet], opened: TickOpened | None, trace: str
    ) -> Iterator[Publication]:
        """One after the other: the first homes compute while the last receipts are written."""
        writer = answers.ReceiptWriter(self._books.world.run, settled)
        along = answers.opened_tick(opened) if opened else None
        most = self._floor.homes_per_message
        return (
            Publication(topology.RECEIPTS, fleet.key, message, mandatory=True, trace=trace)
            for fleet in present
            for message in writer.messages(fleet, most.get(fleet.instance, 0), opened=along)
        )

    def _observe_work(self) -> None:
        """The work within the phases of a tick: counted all along, and only looked up here."""
        metrics, counters = self._metrics, self._bus.counters
        decode_s, encode_s = self._coded_s
        self._coded_s = counters.decode_s, counters.encode_s
        metrics.decode_seconds.observe(counters.decode_s - decode_s)
        metrics.encode_seconds.observe(counters.encode_s - encode_s)
        metrics.take_seconds.observe(self._floor.taking_s)
        self._floor.taking_s = 0.0

    def _count(self, settled: SettledTick) -> None:
        metrics, sums = self._metrics, settled.totals
        metrics.ticks.inc()
        metrics.absences.inc(sums.absent)
        metrics.given.inc(sums.given_wh)
        metrics.sold.inc(sums.sold_wh)
        metrics.bought.inc(sums.bought_wh)
        metrics.spilled.inc(sums.spilled_wh)
        metrics.unserved.inc(sums.unserved_wh)
        report_tick(self._log, settled)
