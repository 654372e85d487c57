"""Metrics of a process for Prometheus: what all services count alike, and the server of them.

Only a process that serves metrics imports this, for prometheus_client has its price in memory.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from energymarket.bus.counters import BusCounters
from energymarket.errors import PortInUse, SettingsError
from energymarket.settings import ExporterSettings

BUCKETS_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
"""Of every histogram of times within a tick, so that they can be laid over each other."""

_COUNTED: Final = {
    "bus_published_messages": ("published", "Messages handed to the broker"),
    "bus_confirmed_messages": (
        "confirmed",
        "Messages that the broker has taken; sent, in homes",
    ),
    "bus_rejected_messages": (
        "rejected",
        "Messages that the broker refused, a queue being full; 0 in homes",
    ),
    "bus_lost_messages": ("lost", "Messages unconfirmed when the connection broke; 0 in homes"),
    "bus_dropped_messages": ("dropped", "Messages not sent, for there was no connection"),
    "bus_returned_messages": ("returned", "Messages that no queue took"),
    "bus_delivered_messages": ("delivered", "Messages that came in"),
    "bus_refused_messages": ("refused", "Messages that came in and are none of this system"),
    "bus_dead_lettered_messages": ("dead_lettered", "Messages put to the dead letters"),
    "bus_encode_seconds": ("encode_s", "Time spent on making bytes of messages"),
    "bus_decode_seconds": ("decode_s", "Time spent on making messages of bytes"),
    "broker_reconnections": ("reconnects", "Connections to the broker after the first"),
}


def with_values(counter: Counter, values: Iterable[str]) -> Counter:
    """A counter of one label, with a series at 0 for each value that it can have: of one that comes
    with its first event ``rate`` and ``increase`` see no increase."""
    for value in values:
        counter.labels(value)
    return counter


class BusCollector(Collector):
    """The counters of a bus, read when somebody asks; ``counters`` may be exchanged."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.counters = BusCounters()
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        for name, (counter, text) in _COUNTED.items():
            value = getattr(self.counters, counter)
            yield CounterMetricFamily(f"energymarket_{name}", text, value)
        connected = float(self.counters.connected)
        text = "1 while there is a connection to the broker"
        yield GaugeMetricFamily("energymarket_broker_connected", text, connected)


class ServiceMetrics:
    """A registry with what every service has: its bus, and memory and time of its process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._bus = BusCollector(self.registry)
        ProcessCollector(registry=self.registry)

    def watch(self, counters: BusCounters) -> None:
        """Shows these counters from now on."""
        self._bus.counters = counters


@contextmanager
def serving(
    metrics: ServiceMetrics, counters: BusCounters, chosen: ExporterSettings
) -> Iterator[None]:
    """Serves ``/metrics`` with a bus's counters during the block.

    Raises ``PortInUse``, ``SettingsError``.
    """
    metrics.watch(counters)
    host, port = chosen.metrics_host, chosen.metrics_port
    try:
        server, thread = start_http_server(port, host, metrics.registry)
    except (socket.gaierror, UnicodeError) as error:  # the second: no name of a host at all
        raise _wrong_host(host) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"Port {port} on {host} is taken by another program: set "
                f"ENERGYMARKET_METRICS_PORT to a free port, or to 0 to serve no metrics."
            ) from error
        if error.errno == errno.EACCES:
            raise SettingsError(
                f"ENERGYMARKET_METRICS_PORT is {port}; it must be one that this user may listen on."
            ) from error
        raise _wrong_host(host) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _wrong_host(host: str) -> SettingsError:
    return SettingsError(
        f"ENERGYMARKET_METRICS_HOST is {host!r}; it must be an address of this machine."
    )
