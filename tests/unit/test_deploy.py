"""The compose file, its settings and the image's recipe, without a Docker engine (R1, R24, R25)."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from energymarket.settings import PREFIX, Settings
from services.external.settings import ExternalSettings
from services.home.settings import HomeSettings
from services.market.settings import MarketSettings
from services.weather.settings import WeatherSettings
from tests.deployment import (
    DEPLOY,
    OURS,
    ROOT,
    THEIRS,
    WATCHING,
    compose_file,
    dot_env,
    passwords_given_to,
    service,
    variables,
)
from tests.unit.test_docs import coded, sections

SETTINGS: dict[str, type[Settings]] = {
    "market": MarketSettings,
    "home": HomeSettings,
    "weather": WeatherSettings,
    "external": ExternalSettings,
}
INSIDE_ONLY = {
    *("amqp_url", "redis_url", "ledger_url", "api_host", "port", "instance_id"),
    *("metrics_host", "metrics_port"),
}
"""Settings that the compose file decides itself, for a container's inside is not the user's."""

# ------------------------------------------------------------------------------------ containers


def test_the_four_services_are_containers_beside_their_broker_and_redis() -> None:
    """R1."""
    containers = compose_file()["services"]
    assert {n for n, each in containers.items() if "profiles" not in each} == {*OURS, *THEIRS}
    assert set(containers) == {*OURS, *THEIRS, *WATCHING, "load"}


def test_the_load_test_is_a_container_on_request_hardened_as_the_others_with_what_it_needs() -> (
    None
):
    """R1, R25: its options follow `docker compose --profile load run --rm load`."""
    containers = compose_file()["services"]
    load, home = containers["load"], containers["home"]
    assert load["profiles"] == ["load"]
    assert load["entrypoint"] == ["python", "-m", "lab.load"]
    assert load["restart"] == "no"
    assert "command" not in load
    assert "ports" not in load
    same = ("image", "pull_policy", "networks", "init", "read_only", "cap_drop", "security_opt")
    for key in (*same, "logging", "stop_grace_period"):
        assert load[key] == home[key], key
    assert re.fullmatch(r"\d+m", load["mem_limit"])
    assert load["pids_limit"] <= 64
    assert passwords_given_to("load") == {"ENERGYMARKET_RABBITMQ_LOAD_PASSWORD"}
    assert load["volumes"] == ["reports:/var/lib/energymarket"], "no folder of the ledger's"


@pytest.mark.parametrize("name", OURS)
def test_a_container_runs_the_module_of_its_name(name: str) -> None:
    """R1, R25."""
    assert service(name)["command"] == [f"services.{name}"]
    assert (ROOT / "services" / name).is_dir()


def test_one_image_is_built_for_the_four_services_and_never_asked_for_elsewhere() -> None:
    """R1: somebody else's image of that name must not run."""
    assert len({service(name)["image"] for name in OURS}) == 1
    assert [name for name in OURS if "build" in service(name)] == ["market"]
    others = [name for name in OURS if name != "market"]
    assert all(service(name)["pull_policy"] == "never" for name in others)


@pytest.mark.parametrize("name", [*OURS, *THEIRS, *WATCHING])
def test_every_container_is_hardened_and_bounded(name: str) -> None:
    """R1."""
    container = service(name)
    assert container["init"] is True
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["restart"] == "unless-stopped"
    assert container["logging"]["driver"] == "json-file"
    assert set(container["logging"]["options"]) == {"max-size", "max-file"}
    assert re.fullmatch(r"\d+m", container["mem_limit"])
    assert container["pids_limit"] <= 256
    assert re.fullmatch(r"\d+s", container["stop_grace_period"])
    assert not {"cap_add", "privileged", "network_mode", "pid", "ipc", "devices"} & set(container)


@pytest.mark.parametrize("name", [*OURS, *THEIRS, *WATCHING])
def test_no_container_has_a_name_of_its_own_or_runs_as_root(name: str) -> None:
    """R2: a fixed name would forbid a second project, and any scaling."""
    container = service(name)
    assert "container_name" not in container
    if name not in OURS:
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", container["user"])
    else:
        assert "user" not in container, "the image's own user counts"


@pytest.mark.parametrize("name", [*OURS, *THEIRS, *WATCHING])
def test_what_is_mounted_from_the_host_cannot_be_written(name: str) -> None:
    """R1."""
    named = set(compose_file()["volumes"])
    for volume in service(name).get("volumes", []):
        source, _, rest = volume.partition(":")
        if source not in named:
            assert source.startswith("./"), f"{source} is outside deploy/"
            assert "ro" in rest.partition(":")[2].split(",")


def test_only_what_people_look_at_is_published_and_only_on_the_loopback() -> None:
    """R25: the API and the broker's page; on request those of Prometheus, Grafana and Jaeger."""
    published = {
        name: container["ports"]
        for name, container in compose_file()["services"].items()
        if "ports" in container
    }
    assert published == {
        "market": ["127.0.0.1:${ENERGYMARKET_PORT:-8000}:8000"],
        "rabbitmq": ["127.0.0.1:${ENERGYMARKET_RABBITMQ_PORT:-15672}:15672"],
        "prometheus": ["127.0.0.1:${ENERGYMARKET_PROMETHEUS_PORT:-9090}:9090"],
        "grafana": ["127.0.0.1:${ENERGYMARKET_GRAFANA_PORT:-3000}:3000"],
        "jaeger": ["127.0.0.1:${ENERGYMARKET_JAEGER_PORT:-16686}:16686"],
    }


def test_only_what_publishes_a_port_is_on_a_network_that_reaches_the_world() -> None:
    """R25."""
    compose = compose_file()
    assert compose["networks"]["backend"] == {"internal": True}
    for name, container in compose["services"].items():
        expected = {"backend", "frontend"} if "ports" in container else {"backend"}
        assert set(container["networks"]) == expected, name


def test_the_brokers_data_outlives_its_container() -> None:
    """A node keeps its data under its name, which must not change with the container."""
    broker = service("rabbitmq")
    assert broker["hostname"] == "rabbitmq"
    assert broker["environment"]["RABBITMQ_NODENAME"] == "rabbit@localhost"
    assert "broker:/var/lib/rabbitmq" in broker["volumes"]


@pytest.mark.parametrize("name", OURS)
def test_a_service_starts_after_the_broker_and_homes_do_not_wait_for_a_healthy_market(
    name: str,
) -> None:
    """R2."""
    waits_for = {k: v["condition"] for k, v in service(name)["depends_on"].items()}
    assert waits_for["rabbitmq"] == "service_healthy"
    if name == "home":
        assert waits_for["market"] == "service_started"


# -------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize("name", OURS)
def test_every_setting_of_a_service_can_be_given_to_its_container(name: str) -> None:
    """R24: with the default that the service itself has."""
    environment = service(name)["environment"]
    for field, info in SETTINGS[name].model_fields.items():
        variable = PREFIX + field.upper()
        assert variable in environment, f"{variable} does not reach the container"
        if field in INSIDE_ONLY:
            continue
        if info.default in (None, ""):
            assert environment[variable] is None, f"{variable} is to be unset by default"
        else:
            _, _, default = environment[variable].rstrip("}").partition(":-")
            assert environment[variable] == f"${{{variable}:-{default}}}"
            assert type(info.default)(default) == info.default


@pytest.mark.parametrize("name", OURS)
def test_a_container_gets_no_setting_that_its_service_does_not_know(name: str) -> None:
    """R24."""
    known = {PREFIX + field.upper() for field in SETTINGS[name].model_fields}
    given = {v for v in service(name)["environment"] if v.startswith(PREFIX)}
    assert given <= known


def test_every_variable_of_the_compose_file_stands_in_its_document() -> None:
    """R24; the passwords have a section of their own."""
    given = variables((ROOT / "deploy" / "docker-compose.yml").read_text())
    said = sections(ROOT / "docs" / "deploy.md")["Settings"].tables[0]
    named = {name for row in said for name in coded(row["variable"])}
    unset = {f"{PREFIX}{name}" for name in ("CREDIT_LIMIT_EUR", "HOME_POLICY", "API_TOKEN")}
    assert {each for each in given if not each.endswith("_PASSWORD")} | unset == named


def test_homes_keep_their_identity_over_a_restart_of_their_container() -> None:
    """R2: a container's host name is its id."""
    home = service("home")
    assert home["environment"]["ENERGYMARKET_INSTANCE_ID"] == "@hostname"
    assert "hostname" not in home


def test_the_ledger_is_on_a_volume_that_the_images_user_owns() -> None:
    """R25."""
    market = service("market")
    folder = "/var/lib/energymarket"
    assert f"ledger:{folder}" in market["volumes"]
    assert market["environment"]["ENERGYMARKET_LEDGER_URL"] == f"sqlite:///{folder}/ledger.db"
    assert f"install -d -o 10001 -g 10001 -m 0750 {folder}" in _dockerfile()


# ------------------------------------------------------------------------------ .env and secrets


def test_the_dot_env_at_the_root_finds_the_compose_file_and_names_the_project() -> None:
    """R25: `docker compose up` at the root."""
    given = dot_env()
    assert given["COMPOSE_FILE"] == "deploy/docker-compose.yml"
    assert (ROOT / given["COMPOSE_FILE"]).is_file()
    assert given["COMPOSE_PROJECT_NAME"] == "energymarket"
    assert not (DEPLOY / ".env").exists(), "a second .env would win or lose by surprise"


def test_the_dot_env_holds_exactly_the_passwords_that_the_compose_file_needs() -> None:
    """R24."""
    text = (DEPLOY / "docker-compose.yml").read_text()
    needed = set(re.findall(r"\$\{([A-Z_]+):\?", text))
    assert needed == {v for v in dot_env() if not v.startswith("COMPOSE_")}
    assert all(v.endswith("_PASSWORD") for v in needed)


def test_passwords_differ_from_each_other_and_mean_themselves_in_a_url() -> None:
    """R24."""
    passwords = [v for k, v in dot_env().items() if k.endswith("_PASSWORD")]
    assert len(set(passwords)) == len(passwords)
    assert all(re.fullmatch(r"[A-Za-z0-9._~-]{8,}", password) for password in passwords)


@pytest.mark.parametrize("name", OURS)
def test_a_service_gets_its_own_passwords_and_no_others(name: str) -> None:
    """R1."""
    own = {f"ENERGYMARKET_RABBITMQ_{name.upper()}_PASSWORD"}
    if "redis_url" in SETTINGS[name].model_fields:
        own.add(f"ENERGYMARKET_REDIS_{name.upper()}_PASSWORD")
    assert passwords_given_to(name) == own


@pytest.mark.parametrize(
    ("name", "template"),
    [("rabbitmq", "definitions.json.template"), ("redis", "users.acl.template")],
)
def test_a_server_gets_exactly_the_passwords_of_its_users(name: str, template: str) -> None:
    """R1."""
    named = variables((DEPLOY / name / template).read_text())
    assert passwords_given_to(name) == named


# ------------------------------------------------------------------------------------- start.sh


def _start(tmp_path: Path, template: str, *command: str, **environment: str) -> tuple[int, str]:
    (tmp_path / "template").write_text(template)
    done = subprocess.run(
        ["sh", str(DEPLOY / "start.sh"), "template", "file", *command],
        cwd=tmp_path,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_start_script_fills_in_passwords_for_the_servers_eyes_only(tmp_path: Path) -> None:
    """R1."""
    template = (DEPLOY / "rabbitmq" / "definitions.json.template").read_text()
    passwords = {name: f"secret-{name}" for name in variables(template)}
    code, output = _start(tmp_path, template, "env", **passwords, OTHER="kept")
    assert code == 0
    rendered = (tmp_path / "file").read_text()
    given = {user["name"]: user["password"] for user in json.loads(rendered)["users"]}
    assert given["home"] == passwords["ENERGYMARKET_RABBITMQ_HOME_PASSWORD"]
    assert "${" not in rendered
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert "OTHER=kept" in output
    assert "secret-" not in output, "the server itself is not to inherit the passwords"


@pytest.mark.parametrize(
    "password", ["", "short", 'quote"quote', "with space", "line\nbreak", "&&&&&&&&"]
)
def test_the_start_script_refuses_a_password_that_would_break_a_file_or_a_url(
    tmp_path: Path, password: str
) -> None:
    """R24: by the name of its variable, never by its value."""
    code, output = _start(
        tmp_path, "user x >${ENERGYMARKET_X_PASSWORD}\n", "echo", ENERGYMARKET_X_PASSWORD=password
    )
    assert code != 0
    assert "ENERGYMARKET_X_PASSWORD must be at least 8 characters" in output
    assert not password or password not in output


def test_the_start_script_drops_the_comments_that_the_servers_do_not_know(tmp_path: Path) -> None:
    """Redis refuses an ACL file with a comment in it."""
    template = (DEPLOY / "redis" / "users.acl.template").read_text()
    code, _ = _start(
        tmp_path, template, "true", **dict.fromkeys(variables(template), "long-enough")
    )
    assert code == 0
    rendered = (tmp_path / "file").read_text()
    assert all(line.startswith("user ") for line in rendered.splitlines())


# ------------------------------------------------------------------------------------- the image


def _dockerfile() -> str:
    return (DEPLOY / "Dockerfile").read_text()


def test_the_image_is_slim_runs_as_a_fixed_user_and_gets_signals_itself() -> None:
    """R23."""
    final = _dockerfile().rpartition("\nFROM ")[2]
    assert final.startswith("python:3.13-slim\n")
    assert re.search(r"^USER 10001:10001$", final, re.MULTILINE)
    assert 'ENTRYPOINT ["python", "-m"]' in final
    assert 'CMD ["services.market"]' in final
    for variable in ("PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1"):
        assert variable in final
    assert "pip " not in final


def test_what_makes_spans_is_in_the_image() -> None:
    """Nothing of it is loaded where no collector is named."""
    deps = _dockerfile().partition(" AS project\n")[0]
    assert "--requirement /build/requirements-otlp.lock" in deps


def test_numpy_starts_no_thread_per_processor_in_the_image() -> None:
    """R1: ``pids_limit`` counts threads, and a machine may have more processors than it allows."""
    final = _dockerfile().rpartition("\nFROM ")[2]
    assert re.search(r"^ENV OPENBLAS_NUM_THREADS=1$", final, re.MULTILINE)


def test_the_images_context_is_a_list_of_what_is_wanted() -> None:
    """No secret, ledger or test can slip into the image."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    wanted = {rule[1:] for rule in rules if rule.startswith("!")}
    assert wanted == {
        "pyproject.toml",
        "requirements.lock",
        "requirements-otlp.lock",
        "requirements-dev.lock",
        "README.md",
        "LICENSE",
        "energymarket",
        "services",
        "lab",
    }


def test_the_lock_pins_every_dependency_to_one_allowed_version() -> None:
    """R25."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    locked = {canonicalize_name(pin.name): str(pin.specifier) for pin in pins}
    assert all(re.fullmatch(r"==[^,*]+", version) for version in locked.values())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for line in project["dependencies"]:
        wanted = Requirement(line)
        version = locked[canonicalize_name(wanted.name)].removeprefix("==")
        assert wanted.specifier.contains(version), f"{line} is locked to {version}"
