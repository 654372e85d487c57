"""The profile observability of the compose file, without a Docker engine (R25)."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from tests.deployment import DEPLOY, OURS, WATCHING, compose_file, service

FOLDER = DEPLOY / "observability"


def test_prometheus_and_grafana_start_on_request_only() -> None:
    profiles = {name: each.get("profiles") for name, each in compose_file()["services"].items()}
    assert {name: profiles[name] for name in WATCHING} == {
        "prometheus": ["observability"],
        "grafana": ["observability"],
    }
    assert profiles["load"] == ["load"]


@pytest.mark.parametrize("name", WATCHING)
def test_their_images_are_of_one_version_and_they_know_no_password(name: str) -> None:
    variable = f"ENERGYMARKET_{name.upper()}_IMAGE"
    one_version = rf"\$\{{{variable}:-[a-z]+/[a-z]+:v?\d+\.\d+\.\d+}}"
    assert re.fullmatch(one_version, service(name)["image"])
    assert "PASSWORD" not in str(service(name))


def test_prometheus_asks_every_container_of_each_service_at_the_port_of_its_metrics() -> None:
    """``--scale home=50`` is 50 addresses under one name."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job["dns_sd_configs"] for job in config["scrape_configs"]}
    assert set(jobs) == set(OURS)
    for name, (asked,) in jobs.items():
        assert (asked["names"], asked["type"]) == ([name], "A")
        environment = service(name)["environment"]
        variable = "ENERGYMARKET_PORT" if name == "market" else "ENERGYMARKET_METRICS_PORT"
        assert str(asked["port"]) == re.sub(r".*:-(\d+)}", r"\1", environment[variable])


def test_grafana_finds_prometheus_and_shows_our_dashboard_first() -> None:
    grafana = service("grafana")
    mounted = "/etc/grafana/provisioning"
    assert f"./observability/grafana:{mounted}:ro,z" in grafana["volumes"]
    (source,) = yaml.safe_load((FOLDER / "grafana/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((FOLDER / "grafana/dashboards/energymarket.yml").read_text())[
        "providers"
    ]
    assert provider["options"]["path"] == f"{mounted}/dashboards"
    first = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    dashboard = json.loads((FOLDER / "grafana" / first.removeprefix(mounted + "/")).read_text())
    used = {p["datasource"]["uid"] for p in dashboard["panels"] if "datasource" in p}
    assert used == {source["uid"]}


def test_whoever_looks_at_grafana_may_only_look() -> None:
    """It has no user, so no password that everybody knows."""
    environment = service("grafana")["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert environment["GF_AUTH_BASIC_ENABLED"] == "false"
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
