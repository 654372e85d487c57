"""The market's numbers for Prometheus; names and units by its rules, no home id as a label."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from prometheus_client import Counter, Gauge, Histogram

from energymarket.exporter import BUCKETS_S, ServiceMetrics, with_values
from energymarket.refusals import DEAD_LETTER_REASONS, REFUSAL_REASONS
from services.market.domain.membership import Departure
from services.market.domain.record import DEGRADED


class MarketMetrics(ServiceMetrics):
    """One registry per market, so that several can live in one process."""

    def __init__(self) -> None:
        super().__init__()
        registry = self.registry

        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"energymarket_{name}", text, labels, registry=registry)

        def labelled(name: str, text: str, label: str, values: Iterable[str]) -> Counter:
            return with_values(counter(name, text, (label,)), values)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"energymarket_{name}", text, registry=registry)

        self.ticks = counter("ticks", "Ticks settled and in the ledger")
        self.orders = counter("orders", "Orders taken, one per home and tick")
        self.copies = counter("order_copies", "Further copies of orders already taken")
        self.refused = labelled(
            "messages_refused",
            "Messages or orders not taken",
            "reason",
            (*REFUSAL_REASONS, *DEAD_LETTER_REASONS),
        )
        self.late = counter("late_orders", "Orders that came after their tick was settled")
        self.absences = counter("absences", "Homes recorded absent, one per home and tick")
        self.degraded = labelled(
            "degraded_ticks", "Ticks opened without an input", "missing", DEGRADED
        )
        self.joins = counter("joins", "Home processes welcomed")
        self.leaves = labelled("leaves", "Home processes that left", "how", get_args(Departure))
        self.ledger_failures = counter("ledger_failures", "Writes that the ledger refused")
        energy = counter("energy_wh", "Energy moved, in Wh", ("kind",))
        self.given, self.sold, self.bought, self.spilled, self.unserved = (
            energy.labels(kind) for kind in ("given", "sold", "bought", "spilled", "unserved")
        )
        self.settling = gauge("settling", "1 in the market that settles, 0 in a standby")
        self.homes = gauge("homes", "Homes in the roster of the newest tick")
        self.price = gauge("price_eur_per_kwh", "Price of the open tick")
        self.temperature = gauge("temperature_celsius", "Temperature of the open tick")
        phase_seconds = Histogram(
            "energymarket_tick_phase_seconds",
            "Time of a tick by phase: collect (of which decode, take), settle, commit, "
            "answer (of which encode)",
            ("phase",),
            buckets=BUCKETS_S,
            registry=registry,
        )
        # Looked up by label once, not on every tick.
        self.collect_seconds = phase_seconds.labels("collect")
        self.settle_seconds = phase_seconds.labels("settle")
        self.commit_seconds = phase_seconds.labels("commit")
        self.answer_seconds = phase_seconds.labels("answer")
        self.decode_seconds = phase_seconds.labels("decode")
        self.take_seconds = phase_seconds.labels("take")
        self.encode_seconds = phase_seconds.labels("encode")

    @property
    def late_messages(self) -> int:
        """Orders that came after their tick was settled without them, one per home and tick."""
        return _total(self.late)

    @property
    def refused_messages(self) -> int:
        """Messages or orders not taken, for whatever reason."""
        return _total(self.refused)


def _total(counter: Counter) -> int:
    """What a counter has counted, over all of its labels."""
    samples = (sample for family in counter.collect() for sample in family.samples)
    return int(sum(sample.value for sample in samples if sample.name.endswith("_total")))
