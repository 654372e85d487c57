"""The profile observability of the compose file, without a Docker engine (R25)."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from energymarket.settings import OTLP_ENDPOINT, otlp_endpoint
from energymarket.tracing import Tracer, exported
from tests.deployment import DEPLOY, OURS, WATCHING, compose_file, service
from tests.fakes import RecordedLog

FOLDER = DEPLOY / "observability"


def test_prometheus_grafana_and_jaeger_start_on_request_only() -> None:
    profiles = {name: each.get("profiles") for name, each in compose_file()["services"].items()}
    assert {name: profiles[name] for name in WATCHING} == {
        "prometheus": ["observability"],
        "grafana": ["observability"],
        "jaeger": ["observability"],
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


def test_grafana_asks_nobody_outside_for_anything() -> None:
    environment = service("grafana")["environment"]
    for asks in ("REPORTING_ENABLED", "CHECK_FOR_UPDATES", "CHECK_FOR_PLUGIN_UPDATES"):
        assert environment[f"GF_ANALYTICS_{asks}"] == "false"
    assert environment["GF_NEWS_NEWS_FEED_ENABLED"] == "false"
    for fetches in ("PREINSTALL", "PUBLIC_KEY_RETRIEVAL"):
        assert environment[f"GF_PLUGINS_{fetches}_DISABLED"] == "true"


@pytest.mark.parametrize("name", OURS)
def test_who_makes_spans_can_be_told_where_they_go_and_nobody_is_by_default(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that is empty means the same as one that is not there."""
    makes_spans = name in ("market", "home")
    given = service(name)["environment"].get(OTLP_ENDPOINT)
    assert given == (f"${{{OTLP_ENDPOINT}:-}}" if makes_spans else None)
    monkeypatch.setenv(OTLP_ENDPOINT, "")
    with exported(otlp_endpoint(), name, RecordedLog().log) as tracer:
        assert type(tracer) is Tracer


def test_jaeger_keeps_no_more_traces_than_its_memory_holds_and_nothing_on_a_disk() -> None:
    """Its own default is 100,000 traces, and one of a tick of 20 homes takes some 100 KB."""
    jaeger = service("jaeger")
    (option,) = jaeger["command"]
    most = int(option.rpartition("max_traces=")[2])
    assert most * 100_000 < int(jaeger["mem_limit"].removesuffix("m")) * 2**20
    assert "volumes" not in jaeger
    assert [each.partition(":")[0] for each in jaeger["tmpfs"]] == ["/tmp"]
