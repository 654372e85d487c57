"""What deploy/ says, read for the tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"

OURS = ("market", "home", "weather", "external")
THEIRS = ("rabbitmq", "redis")
WATCHING = ("prometheus", "grafana", "jaeger")  # on request


def compose_file() -> dict[str, Any]:
    """deploy/docker-compose.yml with its anchors resolved, its variables not."""
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())
    return loaded


def service(name: str) -> dict[str, Any]:
    """One service of the compose file."""
    found: dict[str, Any] = compose_file()["services"][name]
    return found


def dot_env() -> dict[str, str]:
    """The root's .env."""
    lines = (ROOT / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def variables(text: str) -> set[str]:
    """Names in ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?error}``."""
    return set(re.findall(r"\$\{([A-Z_]+)", text))


def passwords_given_to(name: str) -> set[str]:
    """Variables with a password that a service's environment uses."""
    return {v for v in variables(str(service(name)["environment"])) if v.endswith("_PASSWORD")}
