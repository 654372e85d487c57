"""The metrics of the four services as processes, as Prometheus would fetch them."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from tests.metrics import faults, promtool_complaints, sample
from tests.redis_server import RedisServer
from tests.servers import RabbitServer, free_ports
from tests.system.processes import System, system

PORTED = ("home", "weather", "external")


def fetch(port: int) -> str:
    """One service's metrics."""
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5, trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return answer.text


def start(running: System) -> dict[str, int]:
    """All four services; returns the port of each one's metrics."""
    ports = {"market": running.port, **dict(zip(PORTED, free_ports(3), strict=True))}
    for name in PORTED:
        running.start(name, metrics_port=ports[name])
    running.start("market", tick_seconds=0, tick_deadline_seconds=0, max_ticks=30)
    running.wait_for_tick(30)
    return ports


def test_every_service_serves_metrics_that_keep_the_rules_and_agree_with_each_other(
    rabbit_server: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """R25."""
    with system(rabbit_server, redis_server, tmp_path) as running:
        ports = start(running)
        home = "energymarket_home_receipts_total"
        running.wait_for("receipts", lambda: sample(fetch(ports["home"]), home) == 30)
        degrees = sample(fetch(ports["market"]), "energymarket_temperature_celsius")
        shown = "energymarket_weather_temperature_celsius"
        running.wait_for("weather", lambda: sample(fetch(ports["weather"]), shown) == degrees)
        texts = {name: fetch(port) for name, port in ports.items()}
        for process in reversed(running.processes):
            process.stop()
        assert [process.exit_code for process in running.processes] == [0] * 4, running.logs()
    for name, text in texts.items():
        assert faults(text) == [], name
        assert promtool_complaints(text) == "", name
        assert sample(text, "energymarket_broker_connected") == 1, name
        assert sample(text, "energymarket_broker_reconnections_total") == 0, name
        assert sample(text, "energymarket_bus_delivered_messages_total") > 0, name
        assert sample(text, "process_resident_memory_bytes") > 1e7, name
    assert sample(texts["market"], "energymarket_ticks_total") == 30
    assert sample(texts["home"], "energymarket_home_ticks_total") == 30
    for name in ("weather", "external"):  # which may be behind, and then take the newest only
        assert 0 < sample(texts[name], f"energymarket_{name}_ticks_total") <= 30, name
    for kind in ("sold", "bought", "spilled", "unserved"):
        row = f'energy_wh_total{{kind="{kind}"}}'
        market = sample(texts["market"], f"energymarket_{row}")
        assert sample(texts["home"], f"energymarket_home_{row}") == market, kind


@pytest.mark.parametrize("name", PORTED)
def test_a_port_that_is_taken_is_one_clear_sentence(
    name: str, rabbit_server: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """R24."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        system(rabbit_server, redis_server, tmp_path) as running,
    ):
        port = taken.getsockname()[1]
        process = running.start(name, metrics_port=port)
        running.wait_for("the end", lambda: not process.running)
        assert process.exit_code == 1
        assert process.text() == (
            f"Port {port} on 127.0.0.1 is taken by another program: set "
            "ENERGYMARKET_METRICS_PORT to a free port, or to 0 to serve no metrics.\n"
        )


def test_an_address_that_is_not_ours_is_one_clear_sentence(
    rabbit_server: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """R24: 192.0.2.1 is kept for documentation."""
    with system(rabbit_server, redis_server, tmp_path) as running:
        process = running.start("home", metrics_port=9100, metrics_host="192.0.2.1")
        running.wait_for("the end", lambda: not process.running)
        assert process.exit_code == 2
        assert process.text() == (
            "ENERGYMARKET_METRICS_HOST is '192.0.2.1'; it must be an address of this machine.\n"
        )
