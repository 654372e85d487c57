"""The documents say what the code says: each of these fails when one of the two moves alone."""

from __future__ import annotations

import ast
import asyncio
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import structlog
import typer.main
from fastapi import FastAPI

from energymarket import codec, runtime, telemetry, topology, weather_store
from energymarket.errors import SettingsError
from energymarket.messages import MESSAGE_TYPES, EventStart, LiveEvent, Message
from energymarket.policies import Policy
from energymarket.settings import PREFIX, Settings, load
from energymarket.units import MDEG_IN_DEGREE, NEUR_IN_EUR, NEUR_PER_WH_IN_EUR_PER_KWH
from lab import cli
from lab.embedded import EmbeddedRun, WorldPlan
from services.external.catalogue_file import load_catalogue
from services.external.domain.catalogue import CERTAIN
from services.external.settings import ExternalSettings
from services.home.settings import HomeSettings
from services.market.api import create_app
from services.market.api.guard import ApiMetrics
from services.market.domain.pricing import PRICE_MODELS, MarketOutcome, Normalised, next_price
from services.market.domain.settlement import CreditRule, OrderColumns, Roster, settle
from services.market.ledger.tables import metadata
from services.market.metrics import MarketMetrics
from services.market.settings import MarketSettings
from services.market.tick_cycle import Tempo
from services.weather.domain.climate import CLIMATES, SeasonalClimate
from services.weather.settings import WeatherSettings
from tests.contract.golden import golden_file

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE, INTERFACES, REQUIREMENTS = (
    ROOT / "docs" / f"{name}.md" for name in ("architecture", "interfaces", "requirements")
)
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

Row = dict[str, str]

# ---------------------------------------------------------------------------- reading a document


@dataclass
class Section:
    """What stands between two headings; tables by column name, code without its fences."""

    text: str = ""
    tables: list[list[Row]] = field(default_factory=list)
    code: list[tuple[str, str]] = field(default_factory=list)

    def json(self) -> list[Any]:
        return [json.loads(body) for language, body in self.code if language == "json"]


@cache
def sections(path: Path) -> dict[str, Section]:
    """The sections of a document by heading."""
    found: dict[str, Section] = {}
    section, language, header = Section(), None, None
    for line in path.read_text().splitlines():
        if line.startswith("```"):
            language = line.removeprefix("```") if language is None else None
            if language is not None:
                section.code.append((language, ""))
        elif language is not None:
            section.code[-1] = (language, section.code[-1][1] + line + "\n")
        elif heading := re.fullmatch(r"#+ (.+)", line):
            assert heading[1] not in found, f"two sections {heading[1]} in {path.name}"
            section = found[heading[1]] = Section()
        elif line.startswith("|"):
            cells = [
                cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]
            ]
            if header is None:
                header = cells
                section.tables.append([])
            elif set("".join(cells)) != {"-"}:
                section.tables[-1].append(dict(zip(header, cells, strict=True)))
            section.text += line + "\n"
            continue
        else:
            section.text += line + "\n"
        header = None
    return found


def named(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", text)


def rows(path: Path, title: str, table: int = 0) -> dict[str, Row]:
    """The rows of a table by the name in their first cell, which stands once."""
    found = {
        next(iter(row.values())).strip("`"): row for row in sections(path)[title].tables[table]
    }
    assert len(found) == len(sections(path)[title].tables[table])
    return found


# ------------------------------------------------------------------------------ commands, settings


def in_words(value: object) -> str:
    """How the documents write a default."""
    words = {"None": "unset", "False": "off", "": "empty"}
    return words.get(str(value), str(value))


def test_every_command_and_every_option_stands_with_its_default() -> None:
    commands: dict[str, Any] = vars(typer.main.get_command(cli.app))["commands"]
    assert {f"energymarket {name}" for name in commands} <= set(rows(INTERFACES, "Commands"))
    said = rows(INTERFACES, "Commands", 1)
    assert {name: row["default"].strip("`") for name, row in said.items()} == {
        option.opts[-1]: in_words(option.default) for option in commands["run"].params
    }


SETTINGS = (Settings, MarketSettings, HomeSettings, WeatherSettings, ExternalSettings)


@pytest.mark.parametrize("kind", SETTINGS, ids=lambda kind: kind.__name__)
def test_every_setting_stands_with_its_default_and_with_what_is_allowed(
    kind: type[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """R24: what is allowed is what the error says."""
    said = rows(INTERFACES, "Settings", SETTINGS.index(kind))
    inherited = set() if kind is Settings else set(Settings.model_fields)
    assert {name: row["default"].strip("`") for name, row in said.items()} == {
        PREFIX + name.upper(): in_words(setting.default)
        for name, setting in kind.model_fields.items()
        if name not in inherited
    }
    for name, row in said.items():
        assert row["allowed"] == allowed(kind, name, monkeypatch), name


def allowed(kind: type[Settings], variable: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the error of a wrong value says, for a value that no setting takes."""
    for wrong in ("\n", "", "x" * 5_000):
        with monkeypatch.context() as patched:
            patched.setenv(variable, wrong)
            try:
                load(kind)
            except SettingsError as error:
                return str(error).partition("; it must be ")[2].removesuffix(".")
    return "any text"


# ------------------------------------------------------------------------------- broker, messages


@pytest.mark.parametrize("message_type", MESSAGE_TYPES, ids=lambda kind: kind.__name__)
def test_every_message_stands_with_its_fields_and_its_golden_example(
    message_type: type[Message],
) -> None:
    section = sections(INTERFACES)[message_type.__name__]
    parts: dict[str, type[msgspec.Struct]] = {"TickOpened": LiveEvent, "Bulletin": EventStart}
    part = parts.get(message_type.__name__)
    for struct, table in zip((message_type, part) if part else (message_type,), section.tables):
        fields = [name for name in struct.__struct_fields__ if name != "version"]
        assert [row["field"].strip("`") for row in table] == fields
    assert section.json() == [json.loads(golden_file(message_type).read_bytes())]


def test_every_reason_of_a_refusal_stands() -> None:
    said = [code for table in (0, 1) for code in rows(INTERFACES, "Refusals", table)]
    pattern = (
        r"(?:Refusal\(|_dead_letter\(\s*delivery, |MessageRefused\(|= \(|refusal or \(\s*)"
        r'"([a-z]+_?[a-z_]*)"'
    )
    sources = [*ROOT.glob("energymarket/**/*.py"), *ROOT.glob("services/market/**/*.py")]
    given = {reason for path in sources for reason in re.findall(pattern, path.read_text())}
    assert {reason.partition("`")[0] for reason in said} == given


TOPOLOGIES = (
    topology.market_topology(1_000),
    topology.fleet_topology("FLEET"),
    topology.listener_topology("weather", "KEY"),
    topology.listener_topology("external", "KEY"),
)


def test_every_exchange_stands_with_its_type() -> None:
    """R25."""
    said = {name: row["type"] for name, row in rows(INTERFACES, "RabbitMQ").items()}
    assert said == {each.name: each.kind for made in TOPOLOGIES for each in made.exchanges}


def test_every_queue_stands_with_its_kind_its_limit_and_what_happens_at_it() -> None:
    def kind(queue: topology.Queue) -> str:
        words = {
            "quorum": f"quorum, delivery limit {queue.delivery_limit}",
            "exclusive": "classic, exclusive",
        }
        return words.get(queue.kind, queue.kind)

    def when_full(queue: topology.Queue) -> str:
        if queue.reject_when_full:
            return "refuses the newest"
        dead = ", into the dead letters" if queue.dead_letter_exchange else ""
        return "drops the oldest" + dead

    said = {
        name: (row["kind"], row["at most"], row["when full"].partition(" (")[0])
        for name, row in rows(INTERFACES, "RabbitMQ", 1).items()
    }
    assert said == {
        queue.name: (kind(queue), str(queue.max_length), when_full(queue))
        for made in TOPOLOGIES
        for queue in made.queues
    }


def test_every_binding_stands() -> None:
    table = sections(INTERFACES)["RabbitMQ"].tables[2]
    said = sorted(tuple(cell.strip("`") for cell in row.values()) for row in table)
    bindings = (binding for made in TOPOLOGIES for binding in made.bindings)
    assert said == sorted((b.exchange, b.queue, b.routing_key) for b in bindings)


def test_every_permission_stands() -> None:
    names = {each.name for made in TOPOLOGIES for each in (*made.exchanges, *made.queues)}
    given = json.loads((ROOT / "deploy/rabbitmq/definitions.json.template").read_text())
    said = rows(INTERFACES, "RabbitMQ", 3)
    columns = {"configure": "may declare", "write": "may write to", "read": "may read from"}
    assert set(said) == {permission["user"] for permission in given["permissions"]}
    for permission in given["permissions"]:
        for kind, column in columns.items():
            covered = {re.sub("FLEET|KEY", "*", n) for n in names if re.match(permission[kind], n)}
            assert set(named(said[permission["user"]][column])) == covered, (permission, kind)


def test_every_key_in_redis_stands() -> None:
    keys = {weather_store.CURRENT_KEY, weather_store.TICKS_KEY, weather_store.RUN_KEY}
    assert set(rows(INTERFACES, "Redis")) == keys


# ------------------------------------------------------------------------ REST, metrics, log lines


@pytest.fixture(scope="module")
def world() -> Iterator[EmbeddedRun]:
    """The run that the answers in the document are from: 7 homes, 40 ticks, one event started."""
    tempo = Tempo(tick_s=0, deadline_s=0, start_homes=7, max_ticks=40)
    log = telemetry.configure("test", level="error", form="text")
    run = EmbeddedRun(WorldPlan(homes=7, tempo=tempo), log=log)
    run.start()
    while not run.finished:
        run.rest_until(run.step())
    strike = EventStart(name="strike", coefficient_neur_per_wh=30_000, ttl_ticks=12)
    run.market.commands.submit(lambda: run.market.start_event(strike))
    run.market.act()
    yield run
    run.stop()


@pytest.fixture(scope="module")
def app(world: EmbeddedRun) -> FastAPI:
    return create_app(world.market, token="a token")


def test_every_call_stands_with_all_its_parameters(app: FastAPI) -> None:
    document = app.openapi()
    calls = {
        f"{m.upper()} {p}": call
        for p, item in document["paths"].items()
        for m, call in item.items()
    }
    assert {
        title for title in sections(INTERFACES) if title.split()[0].isupper() and "/" in title
    } == set(calls)
    for title, call in calls.items():
        for parameter in call.get("parameters", ()):
            assert parameter["name"] in named(sections(INTERFACES)[title].text), (title, parameter)


ASKED = {
    "GET /prices": "/prices?limit=1",
    "GET /prices/{tick}": "/prices/40",
    "GET /homes": "/homes?limit=1&sort=-stock",
    "GET /homes/{home_id}": "/homes/7",
    "GET /homes/{home_id}/receipts": "/homes/7/receipts?limit=1",
    "Errors": "/prices?limit=0",
}
"""What was asked to get the answer in a section, where its title does not say it."""

DIFFERS = {"run", "at", "epoch", "since_tick", "ticks_checked", "settings", "versions", "finished"}
"""What another run, another day or another machine has other values of."""


def test_every_answer_in_the_document_is_what_is_answered(app: FastAPI) -> None:
    async def ask(path: str) -> Any:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://market") as client:
            return (await client.get(path)).json()

    shown = {title: section.json() for title, section in sections(INTERFACES).items()}
    titles = [t for t in shown if shown[t] and (t.startswith("GET /") or t in ASKED)]
    assert len(titles) > len(ASKED)
    for title in titles:
        answer = asyncio.run(ask(ASKED.get(title, title.removeprefix("GET "))))
        (said,) = shown[title]
        assert list(faults(said, answer, title)) == []


def faults(said: Any, true: Any, where: str) -> Iterator[str]:
    """Where a shown answer differs from the true one; a long list may be cut short."""
    if isinstance(said, dict) and isinstance(true, dict):
        if set(said) != set(true):
            yield f"{where} has {sorted(said)}, not {sorted(true)}"
        for name in set(said) & set(true) - DIFFERS:
            yield from faults(said[name], true[name], f"{where}.{name}")
    elif isinstance(said, list) and isinstance(true, list) and bool(said) == bool(true):
        for index, (one, other) in enumerate(zip(said, true, strict=False)):
            yield from faults(one, other, f"{where}[{index}]")
    elif said != true:
        yield f"{where} is {true}, not {said}"


def test_every_metric_stands_with_its_type() -> None:
    registries = (MarketMetrics().registry, ApiMetrics().registry)
    assert {
        n: row["type, labels"].partition(",")[0] for n, row in rows(INTERFACES, "Metrics").items()
    } == {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for registry in registries
        for family in registry.collect()
    }


def test_every_exit_code_stands() -> None:
    codes = {0, runtime.EXIT_FAILED, runtime.EXIT_WRONG_SETTING, runtime.EXIT_INTERRUPTED}
    assert {int(code) for code in rows(INTERFACES, "Exit codes")} == codes


def test_every_log_line_in_the_document_is_what_is_logged() -> None:
    """R22."""
    out = io.StringIO()
    tempo = Tempo(tick_s=0, deadline_s=0, start_homes=7, max_ticks=2)
    log = telemetry.configure("test", level="info", form="text", stream=out)
    try:
        EmbeddedRun(WorldPlan(homes=7, fleets=7, tempo=tempo), log=log).run_to_end()
    finally:
        structlog.reset_defaults()
    after_the_time = slice(len("13:43:41"), None)
    logged = {line[after_the_time] for line in out.getvalue().splitlines()}
    (lines,) = [
        body for language, body in sections(INTERFACES)["Log lines"].code if language == "text"
    ]
    for line in lines.splitlines():
        assert line[after_the_time] in logged


# -------------------------------------------------------------------------- what the code computes


def wh(table: dict[str, Row], column: str) -> list[int]:
    return [int(row[column]) for row in table.values()]


@pytest.mark.parametrize("title", ["too little to give", "more than anybody needs"])
def test_a_worked_example_is_what_the_code_gives(title: str) -> None:
    section = f"Worked example: {title}"
    text = " ".join(sections(ARCHITECTURE)[section].text.split())
    start = re.match(
        r"Tick (\d+) of seed (\d+), price ([\d.]+) EUR/kWh, ([\d.]+) degrees, "
        r"(?:credit limit (\d+) EUR|no credit limit), (?:`(\w+)` at ([\d.]+) EUR/kWh|no event) alive",
        text,
    )
    assert start
    tick, seed, price, degrees, limit, event, coefficient = start.groups()
    orders, said, terms = (rows(ARCHITECTURE, section, number) for number in range(3))
    labels = {policy.label: int(policy) for policy in Policy}
    homes = [int(home) for home in orders]
    money = [int(row["balance, EUR"]) * NEUR_IN_EUR for row in orders.values()]
    roster = Roster(homes, wh(orders, "stock"), money)
    columns = OrderColumns(
        [labels[row["policy"].strip("`")] for row in orders.values()],
        *(wh(orders, name) for name in ("amount", "produced", "consumed", "capacity")),
    )
    price_neur_per_wh = neur_per_wh(price)
    outcome = settle(
        roster,
        columns,
        price_neur_per_wh=price_neur_per_wh,
        seed=int(seed),
        tick=int(tick),
        credit=CreditRule(int(limit) * NEUR_IN_EUR if limit else None),
    )
    for name in ("given", "received", "sold", "bought", "unserved", "spilled"):
        assert wh(said, name) == getattr(outcome, f"{name}_wh"), name
    assert wh(said, "stock after") == outcome.stock_wh
    paid = [before - after for before, after in zip(money, outcome.balance_neur, strict=True)]
    assert [Decimal(row["pays, EUR"]) * NEUR_IN_EUR for row in said.values()] == paid
    gifts = [
        (int(a), int(b), int(c)) for a, c, b in re.findall(r"(\d+) gave (\d+) Wh to (\d+)", text)
    ]
    assert gifts == outcome.gifts(homes)
    live = (
        [LiveEvent(name=event, coefficient_neur_per_wh=neur_per_wh(coefficient), remaining_ticks=1)]
        if event
        else []
    )
    temperature_mdeg = int(Decimal(degrees) * MDEG_IN_DEGREE)
    total, made = next_price(
        Normalised(),
        MarketOutcome(
            price_neur_per_wh,
            temperature_mdeg,
            len(homes),
            sum(outcome.bought_wh),
            sum(outcome.sold_wh),
            live,
        ),
    )
    assert {name: neur_per_wh(row["EUR/kWh"]) for name, row in terms.items()} == {
        **dict(made),
        "sum": total,
    }


def neur_per_wh(eur_per_kwh: str) -> int:
    return int(Decimal(eur_per_kwh) * NEUR_PER_WH_IN_EUR_PER_KWH)


def test_the_constants_of_the_price_models_are_those_of_the_code() -> None:
    table = rows(ARCHITECTURE, "The price", 1)
    for name, model in PRICE_MODELS.items():
        column = f"`{name}`"
        assert neur_per_wh(table["start"][column]) == model.start_neur_per_wh
        assert neur_per_wh(table["floor"][column]) == model.floor_neur_per_wh
    assert neur_per_wh(table["base"]["`normalised`"]) == Normalised.BASE


def test_the_climates_are_those_of_the_code() -> None:
    said = {
        name: [int(Decimal(row[c]) * MDEG_IN_DEGREE) for c in list(row)[1:]]
        for name, row in rows(ARCHITECTURE, "Weather").items()
    }
    assert said == {
        name: [c.mean_mdeg, c.season_mdeg, c.day_night_mdeg, c.anomaly_mdeg, c.hourly_mdeg]
        for name, c in CLIMATES.items()
        if isinstance(c, SeasonalClimate)
    }


@pytest.mark.parametrize("name", ["standard", "classic"])
def test_the_events_are_those_of_the_catalogues(name: str) -> None:
    said = rows(ARCHITECTURE, "External events", ["standard", "classic"].index(name))
    kinds = load_catalogue(name).kinds
    assert list(said) == [kind.name for kind in kinds]
    for kind, row in zip(kinds, said.values(), strict=True):
        assert round(Decimal(row["probability"]) * CERTAIN) == kind.probability_per_2_32
        low, high = row["coefficient, EUR/kWh"].split(" to ")
        assert neur_per_wh(low) == kind.lowest_coefficient_neur_per_wh
        assert neur_per_wh(high) == kind.highest_coefficient_neur_per_wh
        assert row["ticks"] == f"{kind.lowest_ttl_ticks} to {kind.highest_ttl_ticks}"


def test_every_table_of_the_ledger_stands_with_its_columns() -> None:
    said = {name: named(row["columns"]) for name, row in rows(ARCHITECTURE, "The ledger").items()}
    assert said == {name: list(table.columns.keys()) for name, table in metadata.tables.items()}


# --------------------------------------------------------------------------- what is pointed at


def test_there_is_a_row_for_each_requirement_and_each_names_its_code_and_its_tests() -> None:
    (table,) = sections(REQUIREMENTS)["Requirements"].tables
    assert [row["row"] for row in table] == [f"R{number}" for number in range(1, 26)]
    for row in table:
        assert named(row["where"]), row["row"]
        assert any("::" in name for name in named(row["shown by"])), row["row"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_and_every_test_that_is_named_is_there(document: Path) -> None:
    rooms = r"(?:energymarket|services|lab|deploy|tests|docs|bench)/[\w./-]+"
    for name in named(document.read_text()):
        if found := re.fullmatch(rf"({rooms})(?:::(\w+))?", name):
            path, test = ROOT / found[1], found[2]
            assert path.exists(), f"{document.name} names {name}"
            assert test is None or test in functions(path), f"{document.name} names {name}"


@cache
def functions(path: Path) -> set[str]:
    nodes = ast.parse(path.read_text()).body
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_within_the_project_leads_somewhere(document: Path) -> None:
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.exists(), f"{document.name} links to {target}"
        if anchor:
            assert anchor in anchors(path), f"{document.name} links to {target}"


@cache
def anchors(path: Path) -> set[str]:
    """The headings as GitHub names them."""
    kept = (re.sub(r"[^\w\s-]", "", title.lower()) for title in sections(path))
    return {title.replace(" ", "-") for title in kept}


def test_every_room_of_the_house_is_in_its_plan() -> None:
    (plan,) = [body for _, body in sections(ARCHITECTURE)["The house"].code]
    rooms = {
        file.parent
        for top in ("energymarket", "services", "lab", "tests", "bench")
        for file in (ROOT / top).rglob("*.py")
    }
    for room in rooms:
        top = room.relative_to(ROOT).parts
        assert all(f"{part}/" in plan for part in top[:3]), room
