"""External's numbers for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from energymarket.exporter import ServiceMetrics, with_values
from services.external.domain.catalogue import Catalogue
from services.external.meter import Meter


class ExternalMetrics(Meter, ServiceMetrics):
    """Counts what external does; the label ``event`` has the kinds of the catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__()

        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"energymarket_external_{name}", text, labels, registry=self.registry)

        self._ticks = counter("ticks", "Ticks heard of as open")
        self._bulletins = counter("bulletins", "Bulletins published, further copies included")
        started = counter("events_started", "Events that have begun", ("event",))
        self._started = with_values(started, (kind.name for kind in catalogue.kinds))
        self._alive = Gauge(
            "energymarket_external_events_alive",
            "Events alive in the open tick, those that a person started included",
            registry=self.registry,
        )

    def published(self, bulletins: int) -> None:
        self._bulletins.inc(bulletins)

    def opened(self, alive: int) -> None:
        self._ticks.inc()
        self._alive.set(alive)

    def started(self, name: str) -> None:
        self._started.labels(name).inc()
