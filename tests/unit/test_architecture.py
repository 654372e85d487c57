"""The house stands as docs/architecture.md says, and each rule would notice if it did not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from energymarket.messages import MESSAGE_TYPES, EventStart, LiveEvent
from tests import house_rules
from tests.house_rules import MANY_LINES, MOST_LINES, PACKAGES, Rule, modules

ROOT = Path(__file__).resolve().parents[2]

RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        house_rules.imports_run_one_way,
        house_rules.no_service_imports_another,
        house_rules.domain_is_pure,
        house_rules.libraries_are_confined,
        house_rules.arrays_are_imported_when_needed,
        house_rules.only_roots_build_adapters,
        house_rules.only_roots_read_the_environment,
        house_rules.every_service_has_the_same_shape,
    )
}

STILL_TOO_LONG = {
    "tests/contract/test_bus.py",
    "tests/unit/test_market_service.py",
    "tests/unit/test_weather_service.py",
}
"""To be split; nothing may join them, and whoever is split leaves this list."""


@pytest.mark.parametrize("rule", RULES)
def test_the_house_keeps_its_rules(rule: str) -> None:
    """R1: four services, each readable and replaceable alone."""
    broken = RULES[rule](ROOT)
    assert not broken, f"{RULES[rule].__doc__}\n" + "\n".join(broken)


def test_a_file_of_ours_is_a_few_screens_long() -> None:
    broken = house_rules.files_are_a_few_screens(ROOT, excused=STILL_TOO_LONG)
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("file", sorted(STILL_TOO_LONG))
def test_a_file_that_is_excused_for_its_length_still_needs_it(file: str) -> None:
    """The list of the excused can only get shorter."""
    assert (ROOT / file).is_file()
    assert len((ROOT / file).read_text().splitlines()) > MOST_LINES


def test_the_rules_have_something_to_look_at() -> None:
    """A rule that reads an empty folder is always kept."""
    for room in PACKAGES:
        assert len(list(modules(ROOT, [room]))) > 3, room
    assert {m.service for m in modules(ROOT, ["services"]) if m.is_domain} == {
        *("market", "home", "weather", "external")
    }


# ------------------------------------------------------------------------- each rule can be broken

BAD = [
    ("imports_run_one_way", "energymarket/bus/port.py", "import services.market.view"),
    ("imports_run_one_way", "energymarket/bus/port.py", "from services.market import view"),
    ("imports_run_one_way", "energymarket/bus/port.py", "def f():\n    import lab.cli"),
    ("imports_run_one_way", "services/market/view.py", "from lab.embedded import EmbeddedRun"),
    ("imports_run_one_way", "lab/cli.py", "from tests.fakes import FakeClock"),
    ("imports_run_one_way", "services/home/service.py", "import bench"),
    ("no_service_imports_another", "services/home/service.py", "import services.market.view"),
    ("no_service_imports_another", "services/home/service.py", "from services import market"),
    ("no_service_imports_another", "services/home/service.py", "from ..market import view"),
    ("no_service_imports_another", "services/home/domain/x.py", "from ...market import view"),
    ("domain_is_pure", "services/home/domain/x.py", "from energymarket.bus.port import Bus"),
    ("domain_is_pure", "services/home/domain/x.py", "from energymarket import telemetry"),
    ("domain_is_pure", "services/home/domain/x.py", "from services.home.service import X"),
    ("domain_is_pure", "services/home/domain/x.py", "from ..service import X"),
    ("domain_is_pure", "services/market/domain/x.py", "from services.market.ledger import Ledger"),
    ("domain_is_pure", "services/market/domain/x.py", "import sqlalchemy as sa"),
    ("domain_is_pure", "services/market/domain/x.py", "import logging"),
    ("domain_is_pure", "services/market/domain/x.py", "import time"),
    ("domain_is_pure", "services/market/domain/x.py", "from random import random"),
    ("domain_is_pure", "services/market/domain/x.py", "def f():\n    from math import exp"),
    ("domain_is_pure", "services/market/domain/x.py", "x = open('f')"),
    ("domain_is_pure", "services/market/domain/x.py", "def f(x):\n    print(x)"),
    ("domain_is_pure", "services/market/domain/x.py", "GAMMA = 0.75"),
    ("domain_is_pure", "services/market/domain/x.py", "def f(a, b):\n    return a / b"),
    ("libraries_are_confined", "energymarket/bus/memory.py", "import pika"),
    ("libraries_are_confined", "services/home/service.py", "from pika import exceptions"),
    ("libraries_are_confined", "lab/load.py", "def f():\n    from pika.spec import Basic"),
    ("libraries_are_confined", "energymarket/weather_store.py", "import redis"),
    ("libraries_are_confined", "services/market/books.py", "import sqlalchemy as sa"),
    ("libraries_are_confined", "services/market/ledger_tools.py", "import sqlite3"),
    ("libraries_are_confined", "services/market/service.py", "from fastapi import FastAPI"),
    ("libraries_are_confined", "services/home/settings.py", "import pydantic_settings"),
    ("libraries_are_confined", "services/market/domain/settlement.py", "import numpy as np"),
    ("libraries_are_confined", "energymarket/tracing.py", "from opentelemetry import trace"),
    ("arrays_are_imported_when_needed", "energymarket/x.py", "from energymarket import y_arrays"),
    ("arrays_are_imported_when_needed", "lab/x.py", "from services.home.y_arrays import Z"),
    ("only_roots_build_adapters", "services/home/service.py", "bus = RabbitBus(url='')"),
    ("only_roots_build_adapters", "services/home/service.py", "def f(c=SystemClock()): ..."),
    ("only_roots_build_adapters", "services/market/books.py", "x = Ledger.open('', seed=1)"),
    ("only_roots_read_the_environment", "services/home/service.py", "import os\nos.environ['X']"),
    ("only_roots_read_the_environment", "services/home/service.py", "import os\nos.getenv('X')"),
    ("only_roots_read_the_environment", "energymarket/bus/port.py", "from os import environ"),
    ("only_roots_read_the_environment", "services/home/service.py", "x = settings.load(X)"),
]


def _house(root: Path) -> Path:
    """A small house in good order."""
    for service in ("home", "market"):
        folder = root / "services" / service
        (folder / "domain").mkdir(parents=True)
        for name in ("__init__.py", "service.py", "settings.py", "domain/__init__.py"):
            (folder / name).write_text("")
        (folder / "__main__.py").write_text(
            "from energymarket.bus.rabbit import RabbitBus\n"
            f"from services.{service}.settings import X\n"
            "chosen = load(X)\nbus = RabbitBus(url=chosen.amqp_url)\n"
        )
        (folder / "domain" / "y.py").write_text(
            "from energymarket.units import divide_half_even\n"
            f"from services.{service}.domain import other\nhalf = 7 // 2\n"
        )
    for file, text in {
        "energymarket/bus/rabbit.py": "import pika\n",
        "energymarket/redis_weather_store.py": "from redis import Redis\n",
        "energymarket/settings.py": "import pydantic_settings as s\nload(s.BaseSettings)\n",
        "services/market/ledger/tables.py": "import sqlalchemy as sa\n",
        "services/market/api/app.py": "from fastapi import FastAPI\n",
        "energymarket/x_arrays.py": "import numpy\nfrom energymarket.y_arrays import z\n",
        "energymarket/z.py": "def f():\n    from energymarket import x_arrays\n",
        "lab/embedded.py": "import services.market.service\nbus = MemoryBus(MemoryBroker())\n",
    }.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text)
    return root


@pytest.mark.parametrize("rule", RULES)
def test_a_house_in_good_order_breaks_no_rule(rule: str, tmp_path: Path) -> None:
    assert RULES[rule](_house(tmp_path)) == []
    assert house_rules.files_are_a_few_screens(tmp_path) == []


@pytest.mark.parametrize(("rule", "file", "source"), BAD)
def test_a_rule_notices_the_line_that_breaks_it(
    rule: str, file: str, source: str, tmp_path: Path
) -> None:
    bad = _house(tmp_path) / file
    bad.parent.mkdir(parents=True, exist_ok=True)
    bad.write_text(source + "\n")
    broken = RULES[rule](tmp_path)
    line = len(source.splitlines())
    assert {complaint.split(": ")[0] for complaint in broken} == {f"{file}:{line}"}


@pytest.mark.parametrize("part", ["__main__.py", "service.py", "settings.py"])
def test_a_service_without_one_of_its_parts_is_noticed(part: str, tmp_path: Path) -> None:
    (_house(tmp_path) / "services" / "home" / part).unlink()
    assert house_rules.every_service_has_the_same_shape(tmp_path) == [
        f"services/home has no {part}"
    ]


def test_a_file_that_is_too_long_is_noticed_and_then_those_on_the_way_there_too(
    tmp_path: Path,
) -> None:
    house = _house(tmp_path)
    (house / "lab" / "long.py").write_text("x = 1\n" * MOST_LINES)
    assert house_rules.files_are_a_few_screens(house) == []
    (house / "services" / "page.js").write_text("x\n" * (MOST_LINES + 1))
    (house / "lab" / "shorter.py").write_text("x = 1\n" * MANY_LINES)
    assert house_rules.files_are_a_few_screens(house) == [
        f"lab/long.py: {MOST_LINES} lines",
        f"services/page.js: {MOST_LINES + 1} lines",
    ]
    assert house_rules.files_are_a_few_screens(house, excused={"services/page.js"}) == []


def test_what_others_wrote_may_be_as_long_as_it_is(tmp_path: Path) -> None:
    for folder in (".venv", "static/swagger-ui"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x.js").write_text("x\n" * 9_999)
    assert house_rules.files_are_a_few_screens(tmp_path) == []


# ------------------------------------------------------------------------------------------- units


def test_every_integer_of_a_message_says_its_unit_last() -> None:
    """A reader of any language knows what a number counts."""
    assert house_rules.units_stand_last([*MESSAGE_TYPES, EventStart, LiveEvent]) == []


def test_an_integer_without_a_unit_is_noticed() -> None:
    class Badly(msgspec.Struct):
        stock: int
        wh_given: list[int]
        named: str
        given_wh: list[int]

    assert house_rules.units_stand_last([Badly]) == [
        "Badly.stock has no unit at its end",
        "Badly.wh_given has no unit at its end",
    ]


# -------------------------------------------------------------------------------- nothing at import


def _probe(names: list[str], folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-B", "-m", "tests.import_probe", *names],
        cwd=ROOT,
        env={"PYTHONPATH": str(folder), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_importing_any_module_connects_to_nothing_writes_nothing_and_starts_nothing(
    tmp_path: Path,
) -> None:
    """Nor does a default argument: a composition root decides when things happen."""
    names = [module.name for module in modules(ROOT)]
    assert "services.market.__main__" in names
    assert [line for line in _probe(names, tmp_path) if line] == []


@pytest.mark.parametrize(
    ("source", "noticed"),
    [
        ("import socket\nsocket.socket().connect_ex(('127.0.0.1', 9))", "socket.connect"),
        ("import sqlite3\nsqlite3.connect(':memory:').close()", "sqlite3.connect"),
        ("def f(x=open('/dev/null', 'w')): ...", "open"),
        ("import os\nos.close(os.open('/dev/null', os.O_WRONLY))", "open"),
        ("import subprocess\nsubprocess.run(['true'])", "subprocess.Popen"),
        (
            "import threading, time\nthreading.Thread(target=time.sleep, args=[1]).start()",
            "starts a thread",
        ),
    ],
)
def test_an_import_that_does_something_is_noticed(
    source: str, noticed: str, tmp_path: Path
) -> None:
    (tmp_path / "hasty.py").write_text(source)
    lines = _probe(["hasty"], tmp_path)
    assert any(line.startswith("hasty ") and noticed in line for line in lines), lines
