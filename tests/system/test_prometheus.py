"""The files of deploy/observability with a real Prometheus that asks real processes."""

from __future__ import annotations

import json
import math
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.deployment import DEPLOY
from tests.prometheus_server import CONFIG, PrometheusServer, program
from tests.redis_server import RedisServer
from tests.servers import RabbitServer, free_ports
from tests.system.processes import System, system

DASHBOARD = DEPLOY / "observability" / "grafana" / "dashboards" / "energymarket.json"
PORTED = ("home", "weather", "external")


def expressions() -> list[str]:
    """Every query of the dashboard, with Grafana's interval filled in."""
    panels: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return [
        target["expr"].replace("$__rate_interval", "10s")
        for panel in panels
        for target in panel.get("targets", ())
    ]


def test_prometheus_takes_our_configuration() -> None:
    done = subprocess.run(
        [program("promtool"), "check", "config", CONFIG],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_expression_of_the_dashboard_is_understood_and_has_numbers(
    rabbit_server: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """R25: of a system that runs and lacks nothing."""
    folder = tmp_path / "prometheus"
    folder.mkdir()
    with system(rabbit_server, redis_server, tmp_path) as running:
        ports = {"market": running.port, **dict(zip(PORTED, free_ports(3), strict=True))}
        for name in PORTED:
            more = {"homes_per_replica": 20} if name == "home" else {}
            running.start(name, metrics_port=ports[name], **more)
        running.start("market", tick_seconds=0.1, tick_deadline_seconds=0)
        running.wait_for_tick(3)
        prometheus = PrometheusServer(folder, ports)
        try:
            prometheus.wait()
            running.wait_for("all services", lambda: len(prometheus.query("up == 1")) == 4)
            for expression in expressions():
                wait_for_numbers(running, prometheus, expression)
        finally:
            prometheus.stop()


def wait_for_numbers(running: System, prometheus: PrometheusServer, expression: str) -> None:
    running.wait_for(expression, lambda: has_numbers(prometheus.query(expression)))


def has_numbers(vector: list[dict[str, Any]]) -> bool:
    return any(math.isfinite(float(each["value"][1])) for each in vector)


def test_no_panel_shows_a_single_home_and_none_is_without_a_query() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    assert all(panel["targets"] for panel in dashboard["panels"] if panel["type"] != "row")
    assert not re.search(r"\binstance\b", json.dumps(dashboard))
