"""``energymarket doctor`` finds what is missing or in the way, on real servers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from lab.doctor import machine, places
from tests.live_api import LiveApi
from tests.redis_server import RedisServer
from tests.servers import RabbitServer, free_ports
from tests.stranger import a_stranger
from tests.world import World


@pytest.fixture
def healthy(
    tmp_path: Path, rabbit_server: RabbitServer, redis_server: RedisServer
) -> dict[str, str]:
    """The environment of a market that lacks nothing."""
    return {
        "ENERGYMARKET_AMQP_URL": rabbit_server.url,
        "ENERGYMARKET_REDIS_URL": redis_server.url,
        "ENERGYMARKET_LEDGER_URL": f"sqlite:///{tmp_path}/ledger.db",
        "ENERGYMARKET_PORT": str(free_ports(1)[0]),
    }


def doctor(environment: dict[str, str], *options: str) -> tuple[int, list[str]]:
    """(exit code, lines)."""
    done = subprocess.run(
        [sys.executable, "-m", "lab.cli", "doctor", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | environment,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def faults(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("wrong")]


def test_where_nothing_is_missing_it_says_so_and_ends_with_0(healthy: dict[str, str]) -> None:
    code, lines = doctor(healthy)
    assert (code, faults(lines)) == (0, [])
    for about in ("Python", "packages", "clock", "broker", "Redis", "ledger", ".env"):
        assert any(line.startswith(f"ok    {about}: ") for line in lines), about


def test_servers_that_do_not_run_are_named_with_what_to_do_and_no_password(
    healthy: dict[str, str],
) -> None:
    amqp, redis = free_ports(2)
    away = {
        "ENERGYMARKET_AMQP_URL": f"amqp://market:hidden@127.0.0.1:{amqp}/energymarket",
        "ENERGYMARKET_REDIS_URL": f"redis://:hidden@127.0.0.1:{redis}/0",
    }
    code, lines = doctor(healthy | away)
    broker, weather = faults(lines)
    assert code == 1
    assert f"127.0.0.1:{amqp}" in broker
    assert "Start RabbitMQ, or set ENERGYMARKET_AMQP_URL" in broker
    assert f"127.0.0.1:{redis}" in weather
    assert "Start Redis, or set ENERGYMARKET_REDIS_URL" in weather
    assert "hidden" not in "\n".join(lines)
    code, lines = doctor(healthy | away, "--embedded")
    assert (code, faults(lines)) == (0, [])


def test_a_redis_that_was_stopped_is_missed_and_found_again(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    assert places.redis(server.url).verdict == "wrong"
    server.start()
    try:
        assert places.redis(server.url).verdict == "ok"
    finally:
        server.stop()
    assert places.redis(server.url).verdict == "wrong"


def test_a_wrong_password_a_wrong_vhost_and_missing_rights_each_have_their_sentence(
    rabbit_server: RabbitServer,
) -> None:
    url = rabbit_server.url
    wrong_password = url.replace(quote(rabbit_server.password), "wrong")
    assert "refuses this user; check user, password" in places.broker(wrong_password).sentence
    assert "refuses the virtual host" in places.broker(f"{url}-of-nobody").sentence
    rabbit_server.ctl("add_user", "idle", "idle")
    rabbit_server.ctl("set_permissions", "-p", "energymarket", "idle", "^$", "^$", "^$")
    try:
        host = url.rpartition("@")[2]
        finding = places.broker(f"amqp://idle:idle@{host}")
    finally:
        rabbit_server.ctl("delete_user", "idle")
    assert finding.verdict == "wrong"
    assert "permissions" in finding.sentence


def test_a_user_of_redis_without_rights_is_told_which(
    redis_server: RedisServer,
) -> None:
    finding = places.redis(redis_server.url.replace("//", "//nobody:wrong@", 1))
    assert finding.verdict == "wrong"
    assert "WRONGPASS" in finding.sentence or "password" in finding.sentence


@pytest.fixture
def stranger() -> Iterator[int]:
    """The port of a server that is no market."""

    with a_stranger() as port:
        yield port


def test_a_port_in_use_is_wrong_and_says_by_whom(stranger: int) -> None:
    finding = places.api_port("127.0.0.1", stranger)
    assert finding.verdict == "wrong"
    assert f"(process {os.getpid()})" in finding.sentence
    assert "--port" in finding.sentence


def test_a_port_on_which_a_market_answers_is_no_fault() -> None:
    api = LiveApi(World("sqlite://"))
    try:
        finding = places.api_port("127.0.0.1", api.server.port)
    finally:
        api.close()
    assert finding.verdict == "note"
    assert "at tick 0" in finding.sentence


def test_an_address_that_is_not_of_this_machine_is_wrong() -> None:
    assert "ENERGYMARKET_API_HOST" in places.api_port("203.0.113.7", free_ports(1)[0]).sentence


def test_a_ledger_without_a_folder_is_wrong(tmp_path: Path) -> None:
    finding = places.ledger_folder(f"sqlite:///{tmp_path}/nowhere/ledger.db")
    assert finding.verdict == "wrong"
    assert "No such file or directory" in finding.sentence
    assert places.ledger_folder("sqlite://").verdict == "note"


def test_a_wrong_setting_is_a_finding_like_any_other_and_hides_none(
    healthy: dict[str, str],
) -> None:
    wrong = {"ENERGYMARKET_TICK_SECONDS": "fast", "ENERGYMARKET_REDIS_URL": "redis"}
    code, lines = doctor(healthy | wrong)
    assert code == 1
    assert len(faults(lines)) == 2
    assert all(
        any(line.startswith(f"wrong settings: {name} is ") for line in lines) for name in wrong
    )
    for about in ("port", "broker", "ledger", ".env"):
        assert any(line.startswith(f"ok    {about}") for line in lines), about
    assert not any("Redis: " in line for line in lines)


def test_a_run_is_not_told_of_settings_that_it_does_not_read(healthy: dict[str, str]) -> None:
    others = {"ENERGYMARKET_TICK_SECONDS": "fast", "ENERGYMARKET_API_HOST": "203.0.113.7"}
    code, lines = doctor(healthy | others, "--embedded")
    assert (code, faults(lines)) == (0, [])
    code, lines = doctor(healthy | {"ENERGYMARKET_PORT": "high"}, "--embedded")
    assert code == 1
    assert "ENERGYMARKET_PORT is 'high'" in faults(lines)[0]


def test_packages_are_compared_with_the_lock(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text(
        "# a comment\nrich==0.0.1\nno-such-package==1.0\nelsewhere==1.0 ; sys_platform == 'none'\n"
    )
    by_name = {finding.about: finding for finding in machine.packages(tmp_path)}
    assert "is installed, and the lock has 0.0.1" in by_name["rich"].sentence
    assert "is not installed" in by_name["no-such-package"].sentence
    assert "elsewhere" not in by_name
    assert machine.packages(tmp_path / "nowhere")[0].verdict == "note"


def test_an_old_python_a_clock_of_another_year_and_a_broken_env_file_are_found(
    tmp_path: Path,
) -> None:
    assert "install 3.11" in machine.python((3, 9, 2)).sentence
    assert "set it" in machine.clock(0.0).sentence
    (tmp_path / ".env").write_text("# fine\nA=b\nwhatever\n")
    assert "Line 3" in machine.env_file(tmp_path).sentence
    assert machine.env_file(tmp_path / "nowhere").verdict == "note"


def test_a_machine_without_docker_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [finding.verdict for finding in machine.docker()] == ["note"]
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\necho no daemon >&2; exit 1\n")
    program.chmod(0o755)
    assert {finding.verdict for finding in machine.docker()} == {"note"}
