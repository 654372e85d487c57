"""Taking a stack down, with an engine that refuses to let a network go (a program in its place)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.system import stack as stack_module
from tests.system.stack import Stack

NETWORK = "a1b2c3"
_ENGINE = """#!/bin/sh
case "$*" in
  "network ls"*) echo {network} ;;
  "network inspect"*) echo '[{{"Containers": {on_it}}}]' ;;
  "ps -aq --no-trunc") echo {running} ;;
  "network disconnect"*) echo "$*" >>"$(dirname "$0")/asked" ;;
  *" down "*) echo "$*" >>"$(dirname "$0")/asked"; echo "{sentence}" >&2; exit 1 ;;
esac
"""
_REFUSED = f"error while removing network: network x id {NETWORK} has active endpoints"


def engine(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    on_it: list[str] | None = None,
    running: str = "",
    sentence: str = _REFUSED,
) -> Path:
    """Puts a ``docker`` before the real one; gives the file of what it was asked to do."""
    program = folder / "docker"
    containers = json.dumps({each: {"Name": f"name-of-{each}"} for each in on_it or []})
    program.write_text(
        _ENGINE.format(network=NETWORK, on_it=containers, running=running, sentence=sentence)
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(stack_module, "_BETWEEN_TRIES_S", 0.0)
    return folder / "asked"


def test_a_network_with_nothing_on_it_that_the_engine_keeps_is_no_leftover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = engine(tmp_path, monkeypatch)
    stack = Stack()
    assert stack.leftovers()["networks"] == [NETWORK]
    stack.down("-v")
    assert stack.leftovers() == {"containers": [], "volumes": [], "networks": []}
    assert len(asked.read_text().splitlines()) > 1, "it is not believed at once"


def test_a_network_with_a_container_on_it_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = engine(tmp_path, monkeypatch, on_it=["still-there"], running="still-there")
    stack = Stack()
    with pytest.raises(AssertionError, match="has active endpoints"):
        stack.down("-v")
    assert stack.leftovers()["networks"] == [NETWORK]
    assert "disconnect" not in asked.read_text()


def test_a_container_that_has_gone_is_taken_off_its_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = engine(tmp_path, monkeypatch, on_it=["gone"])
    with pytest.raises(AssertionError, match="has active endpoints"):
        Stack().down("-v")
    assert f"network disconnect -f {NETWORK} name-of-gone" in asked.read_text().splitlines()


def test_whatever_else_the_engine_says_is_a_failure_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = engine(tmp_path, monkeypatch, sentence="no such thing")
    with pytest.raises(AssertionError, match="no such thing"):
        Stack().down("-v")
    assert len(asked.read_text().splitlines()) == 1
