"""A home process's numbers for Prometheus; no home id as a label."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import Counter, Gauge, Histogram

from energymarket.clock import Clock
from energymarket.columns import total
from energymarket.exporter import BUCKETS_S, ServiceMetrics, with_values
from energymarket.messages import Receipts
from energymarket.refusals import REFUSAL_REASONS
from services.home.meter import Meter
from services.home.orders import OrderRows

_FROM_RECEIPTS = ("given", "received", "sold", "bought", "spilled", "unserved")


class HomeMetrics(Meter, ServiceMetrics):
    """Counts what the fleet does."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._tick = 0  # the newest that was heard of as open
        self._opened_at = self._ordered_at = 0.0
        self._orders = 0
        self._metered_wh = 0, 0
        self._sent_tick = 0

        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"energymarket_home_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str) -> Histogram:
            return Histogram(
                f"energymarket_home_{name}", text, buckets=BUCKETS_S, registry=self.registry
            )

        self._homes = Gauge(
            "energymarket_home_hosted_homes", "Homes of this process", registry=self.registry
        )
        self._ticks = counter("ticks", "Ticks heard of as open")
        self._sent = counter("orders", "Orders sent, one per home and tick")
        self._repeats = counter("order_repeats", "Times that the orders of a tick were sent again")
        self._receipts = counter("receipts", "Receipts taken, one per home and tick")
        refusals = counter("refusals", "Messages that the market refused", ("reason",))
        self._refusals = with_values(refusals, REFUSAL_REASONS)
        energy = counter("energy_wh", "Energy by what became of it, in Wh", ("kind",))
        self._energy = with_values(energy, ("produced", "consumed", *_FROM_RECEIPTS))
        self._order_seconds = histogram(
            "order_seconds", "Time from the news of an open tick until its orders are sent"
        )
        self._receipt_seconds = histogram(
            "receipt_seconds", "Time from the orders of a tick until all of its receipts are here"
        )

    def joined(self, homes: int) -> None:
        self._homes.set(homes)

    def opened(self, tick: int) -> None:
        if tick != self._tick:
            self._tick, self._opened_at = tick, self._clock.monotonic()
            self._ticks.inc()

    def computed(self, offers: OrderRows, requests: OrderRows) -> None:
        self._orders = len(offers.home) + len(requests.home)
        self._metered_wh = (
            total(offers.produced_wh) + total(requests.produced_wh),
            total(offers.consumed_wh) + total(requests.consumed_wh),
        )

    def ordered(self, tick: int) -> None:
        if tick == self._sent_tick:
            self._repeats.inc()
            return
        now = self._clock.monotonic()
        self._sent_tick, self._ordered_at = tick, now
        self._sent.inc(self._orders)
        if tick == self._tick:
            self._order_seconds.observe(now - self._opened_at)

    def received(self, parts: Sequence[Receipts]) -> None:
        for part in parts:
            self._receipts.inc(len(part.home))
            for kind in _FROM_RECEIPTS:
                self._energy.labels(kind).inc(total(getattr(part, f"{kind}_wh")))
        if parts[0].tick == self._sent_tick:
            self._receipt_seconds.observe(self._clock.monotonic() - self._ordered_at)
            for kind, metered_wh in zip(("produced", "consumed"), self._metered_wh, strict=True):
                self._energy.labels(kind).inc(metered_wh)

    def refused(self, reason: str) -> None:
        self._refusals.labels(reason).inc()
