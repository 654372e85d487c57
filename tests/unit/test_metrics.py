"""The numbers for Prometheus: what they are called, and that they count what happened."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import generate_latest

from energymarket.bus.counters import BusCounters
from energymarket.bus.memory import MemoryBroker, MemoryBus
from energymarket.errors import SettingsError
from energymarket.exporter import ServiceMetrics, serving
from energymarket.refusals import DEAD_LETTER_REASONS, REFUSAL_REASONS
from energymarket.settings import ExporterSettings
from services.external import service as external_service
from services.external.catalogue_file import load_catalogue
from services.external.metrics import ExternalMetrics
from services.external.service import ExternalService
from services.home.metrics import HomeMetrics
from services.home.service import HomeService
from services.market.api.guard import ApiMetrics
from services.market.metrics import MarketMetrics
from services.weather import service as weather_service
from services.weather.domain.climate import CLIMATES
from services.weather.metrics import WeatherMetrics
from services.weather.service import WeatherService
from tests.fakes import FakeClock, FakeMarket, RecordedLog
from tests.metrics import faults, names_of
from tests.servers import free_ports
from tests.unit.test_docs import INTERFACES, rows
from tests.unit.test_external_service import ALWAYS_WAR
from tests.unit.test_weather_service import UnsteadyStore
from tests.world import STRICT, Member, World

OF_REQUESTS = {"energymarket_api_requests", "energymarket_api_request_seconds"}
"""Their labels are of whoever asks: there is no list of them."""


def described() -> list[tuple[str, Any]]:
    """Each table of the document, with what it describes."""
    return [
        ("every service", [ServiceMetrics()]),
        ("market", [MarketMetrics(), ApiMetrics()]),
        ("home", [HomeMetrics(FakeClock())]),
        ("weather", [WeatherMetrics()]),
        ("external", [ExternalMetrics(load_catalogue("standard"))]),
    ]


@pytest.mark.parametrize("table", range(5), ids=[name for name, _ in described()])
def test_every_metric_stands_in_the_document_with_its_type(table: int) -> None:
    said = rows(INTERFACES, "Metrics", table)
    shared = names_of(ServiceMetrics().registry) if table else {}
    found: dict[str, str] = {}
    for metrics in described()[table][1]:
        found |= names_of(metrics.registry)
    assert {name: row["type, labels"].partition(",")[0] for name, row in said.items()} == {
        name: kind for name, kind in found.items() if name not in shared
    }


@pytest.mark.parametrize(("name", "made"), described(), ids=[name for name, _ in described()])
def test_names_units_and_help_texts_keep_the_rules_of_prometheus(name: str, made: Any) -> None:
    for metrics in made:
        assert faults(generate_latest(metrics.registry).decode()) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("# HELP energymarket_x_total X\n# TYPE energymarket_x_total gauge\n", "no counter"),
        ("# HELP energymarket_x X\n# TYPE energymarket_x counter\n", "_total"),
        ("# TYPE energymarket_x gauge\n", "no help"),
        ("# HELP energymarket_x_ms X\n# TYPE energymarket_x_ms gauge\n", "base unit"),
        ("# HELP x X\n# TYPE x gauge\n", "begins"),
        ("# HELP energymarket_x X\n# TYPE energymarket_x histogram\n", "unit"),
        (
            '# HELP energymarket_x X\n# TYPE energymarket_x gauge\nenergymarket_x{home="3"} 1\n',
            "label home",
        ),
    ],
)
def test_the_rules_would_notice_a_fault(text: str, fault: str) -> None:
    assert any(fault in found for found in faults(text)), faults(text)


# ------------------------------------------------------------------------------- what is counted


def value(metrics: Any, name: str, **labels: str) -> float:
    """A number of a service, by the part of its name that is its own."""
    found = metrics.registry.get_sample_value(f"energymarket_{name}", labels)
    assert found is not None, name
    return float(found)


def test_a_home_counts_its_ticks_orders_receipts_and_energy() -> None:
    """Against the market's own sums: it is the only home."""
    world = World("sqlite://", homes=0, tempo=replace(STRICT, max_ticks=20))
    metrics = HomeMetrics(world.clock)
    bus = MemoryBus(world.broker)
    metrics.watch(bus.counters)
    home = HomeService(
        bus=bus,
        clock=world.clock,
        log=world.log.log,
        new_key=iter(["key1", "key2"]).__next__,
        instance="i",
        homes=5,
        meter=metrics,
    )
    home.start()
    world.homes.append(Member(home, bus))
    world.turn_until_tick(20)
    world.turn(2)
    assert value(metrics, "home_hosted_homes") == 5
    assert value(metrics, "home_ticks_total") == 20
    assert value(metrics, "home_orders_total") == 100
    assert value(metrics, "home_receipts_total") == 100
    assert value(metrics, "home_receipt_seconds_count") == 20
    assert value(metrics, "home_order_repeats_total") == 0
    for kind in ("given", "sold", "bought", "spilled", "unserved"):
        market = value(world.market.metrics, "energy_wh_total", kind=kind)
        assert value(metrics, "home_energy_wh_total", kind=kind) == market, kind
    assert value(metrics, "home_energy_wh_total", kind="produced") > 0
    assert value(metrics, "home_energy_wh_total", kind="consumed") > 0
    assert value(metrics, "bus_published_messages_total") == bus.counters.published > 20
    assert value(metrics, "broker_connected") == 1
    world.broker.drop_connection(bus)
    assert value(metrics, "broker_connected") == 0


def test_a_home_counts_what_is_sent_again_and_what_is_refused() -> None:
    metrics = HomeMetrics(FakeClock())
    metrics.opened(3)
    metrics.opened(3)
    metrics.ordered(3)
    metrics.ordered(3)
    metrics.refused("full")
    assert value(metrics, "home_ticks_total") == 1
    assert value(metrics, "home_order_repeats_total") == 1
    assert value(metrics, "home_refusals_total", reason="full") == 1


def test_weather_counts_what_it_writes_and_what_the_store_refuses() -> None:
    metrics, store, clock, broker = WeatherMetrics(), UnsteadyStore(), FakeClock(), MemoryBroker()
    market, bus = FakeMarket(broker), MemoryBus(broker)
    climate, log = CLIMATES["temperate"], RecordedLog().log
    weather = WeatherService(
        bus=bus, store=store, climate=climate, clock=clock, log=log, meter=metrics
    )
    weather.start()
    store.up = False
    market.opens(1, temperature_mdeg=-1_500)
    weather.handle(bus.poll(0))
    weather.act()
    assert value(metrics, "weather_redis_errors_total") == 1
    assert value(metrics, "weather_ticks_total") == 0
    store.up = True
    clock.time_s += 10
    weather.act()
    assert value(metrics, "weather_redis_errors_total") == 1
    assert value(metrics, "weather_written_ticks_total") == weather_service.HORIZON_TICKS + 1
    assert value(metrics, "weather_temperature_celsius") == -1.5
    assert value(metrics, "weather_ticks_total") == 1


def test_external_counts_bulletins_and_the_events_that_begin() -> None:
    metrics, broker = ExternalMetrics(ALWAYS_WAR), MemoryBroker()
    market, bus = FakeMarket(broker), MemoryBus(broker)
    external = ExternalService(bus=bus, catalogue=ALWAYS_WAR, log=RecordedLog().log, meter=metrics)
    external.start()
    for tick in (1, 2):
        market.opens(tick)
        external.handle(bus.poll(0))
        external.act()
    (war,) = ALWAYS_WAR.kinds
    assert value(metrics, "external_bulletins_total") == external_service.HORIZON_TICKS + 1
    assert value(metrics, "external_ticks_total") == 2
    assert value(metrics, "external_events_started_total", event=war.name) == 2
    assert value(metrics, "external_events_alive") == 0, "as the market says"


@pytest.mark.parametrize(("name", "made"), described(), ids=[name for name, _ in described()])
def test_every_counter_has_its_series_before_anything_happens(name: str, made: Any) -> None:
    """``increase`` sees no increase in a series that comes with its first event."""
    for metrics in made:
        for family in metrics.registry.collect():
            if family.name not in OF_REQUESTS:
                assert family.samples, family.name


def test_the_series_of_a_label_are_those_that_can_happen() -> None:
    """What happens later adds none."""
    market, home = MarketMetrics(), HomeMetrics(FakeClock())
    labelled = {
        "refused": market.refused,
        "degraded": market.degraded,
        "leaves": market.leaves,
        "refusals": home._refusals,
    }
    shown = {
        name: {value for each in family.samples for value in each.labels.values()}
        for name, counter in labelled.items()
        for family in counter.collect()
    }
    assert shown["refused"] == {*REFUSAL_REASONS, *DEAD_LETTER_REASONS}
    assert shown["degraded"] == {"weather", "external"}
    assert shown["leaves"] == {"left", "silent beyond their lease"}
    assert shown["refusals"] == set(REFUSAL_REASONS)


@pytest.mark.parametrize("host", ["a..b", "x" * 70])
def test_what_can_be_no_name_of_a_host_is_a_sentence(host: str) -> None:
    """R24."""
    chosen = ExporterSettings(metrics_host=host, metrics_port=free_ports(1)[0])
    with (
        pytest.raises(SettingsError, match=rf"^ENERGYMARKET_METRICS_HOST is '{host}'; it must be"),
        serving(ServiceMetrics(), BusCounters(), chosen),
    ):
        pass


def test_a_process_that_serves_no_metrics_does_not_load_what_makes_them() -> None:
    """A home in a container of its own is to stay small."""
    program = (
        "import sys, services.home.__main__, services.weather.__main__, services.external.__main__;"
        "print([m for m in sys.modules if 'prometheus' in m or m.endswith('exporter')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
