"""The documents say what the code says: each of these fails when one of the two moves alone."""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from fastapi import FastAPI
from fastapi.testclient import TestClient

from energymarket import runtime, telemetry, topology, weather_store
from energymarket.errors import SettingsError
from energymarket.messages import MESSAGE_TYPES, EventStart, LiveEvent, Message, OpenedTick
from energymarket.policies import Policy
from energymarket.refusals import DEAD_LETTER_REASONS, REFUSAL_REASONS
from energymarket.settings import PREFIX, Settings, load
from energymarket.units import MDEG_IN_DEGREE, NEUR_IN_EUR, NEUR_PER_WH_IN_EUR_PER_KWH
from lab.embedded import EmbeddedRun, WorldPlan
from services.external.catalogue_file import load_catalogue
from services.external.domain.catalogue import CERTAIN
from services.external.settings import ExternalSettings
from services.home.settings import HomeSettings
from services.market.api import create_app
from services.market.domain.pricing import PRICE_MODELS, MarketOutcome, Normalised, next_price
from services.market.domain.settlement import CreditRule, OrderColumns, Roster, settle
from services.market.ledger.tables import metadata
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


@dataclass
class Section:
    """What stands between two headings; tables by column, code with its language."""

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
            section.code[-1] = (language, f"{section.code[-1][1]}{line}\n")
        elif heading := re.fullmatch(r"#+ (.+)", line):
            assert heading[1] not in found, f"two sections {heading[1]} in {path.name}"
            section = found[heading[1]] = Section()
        elif line.startswith("|"):
            cells = [c.strip().replace("\\|", "|") for c in re.split(r"(?<!\\)\|", line)[1:-1]]
            if header is None:
                header = cells
                section.tables.append([])
            elif set("".join(cells)) != {"-"}:
                section.tables[-1].append(dict(zip(header, cells, strict=True)))
            continue
        else:
            section.text += f"{line}\n"
        header = None
    return found


def coded(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def rows(path: Path, title: str, table: int = 0) -> dict[str, Row]:
    """The rows of a table by what their first cells name, each of them once."""
    found: dict[str, Row] = {}
    for row in sections(path)[title].tables[table]:
        first = next(iter(row.values()))
        name = coded(first)[0] if "`" in first else first
        assert name not in found, f"{name} stands twice in {title}"
        found[name] = row
    return found


WORDS = {"None": "unset", "False": "off", "": "empty"}
SETTINGS = (Settings, MarketSettings, HomeSettings, WeatherSettings, ExternalSettings)


@pytest.mark.parametrize("kind", SETTINGS, ids=lambda kind: kind.__name__)
def test_every_setting_stands_with_its_default_and_with_what_is_allowed(
    kind: type[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """R24: what is allowed is what the error says."""
    said = rows(INTERFACES, "Settings", SETTINGS.index(kind))
    inherited = set() if kind is Settings else set(Settings.model_fields)
    assert {name: row["default"].strip("`") for name, row in said.items()} == {
        PREFIX + name.upper(): WORDS.get(str(setting.default), str(setting.default))
        for name, setting in kind.model_fields.items()
        if name not in inherited
    }
    for name, row in said.items():
        assert row["allowed"] == allowed(kind, name, monkeypatch), name


def allowed(kind: type[Settings], variable: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the error about a wrong value says; most settings take none of these."""
    for wrong in ("\n", "", "x" * 5_000):
        with monkeypatch.context() as patched:
            patched.setenv(variable, wrong)
            try:
                load(kind)
            except SettingsError as error:
                return str(error).partition("; it must be ")[2].removesuffix(".")
    return "any text"


PARTS: dict[str, type[msgspec.Struct]] = {
    "TickOpened": LiveEvent,
    "Receipts": OpenedTick,
    "Bulletin": EventStart,
}
"""What stands within some messages, which then has the second table of their section."""


@pytest.mark.parametrize("message_type", MESSAGE_TYPES, ids=lambda kind: kind.__name__)
def test_every_message_stands_with_its_fields_their_ranges_and_its_golden_example(
    message_type: type[Message],
) -> None:
    name = message_type.__name__
    structs = [message_type, *([PARTS[name]] if name in PARTS else [])]
    assert len(sections(INTERFACES)[name].tables) == len(structs)
    for table, struct in enumerate(structs):
        said = rows(INTERFACES, name, table)
        assert list(said) == [each for each in struct.__struct_fields__ if each != "version"]
        schema = msgspec.json.schema(struct)["$defs"][struct.__name__]["properties"]
        for each, row in said.items():
            limits = schema[each].get("items", schema[each])
            found = limits.get("minimum"), limits.get("maximum")
            assert integer_range(row["kind"]) == found, f"{each} of {name}"
    assert sections(INTERFACES)[name].json() == [json.loads(golden_file(message_type).read_bytes())]


def integer_range(kind: str) -> tuple[int | None, int | None]:
    """The range of a kind of values, which its cell or the table of kinds gives in words."""
    kind = re.sub("^(column|list): ", "", kind).partition(",")[0]
    words = rows(INTERFACES, "Messages").get(kind, {}).get("is", kind)
    numbers = re.match(r"integer from (-?[\d^* ]+) to ([\d^* -]+)", words)
    low, high = (eval(n.replace("^", "**")) for n in numbers.groups()) if numbers else (None, None)
    return low, high


def test_every_reason_of_a_refusal_stands() -> None:
    assert tuple(rows(INTERFACES, "Refusals")) == REFUSAL_REASONS
    assert tuple(rows(INTERFACES, "Refusals", 1)) == DEAD_LETTER_REASONS


def test_every_reason_of_a_refusal_is_given_somewhere() -> None:
    files = ("services/market/front_desk.py", "services/market/domain/order_book.py")
    kernel = ("energymarket/codec.py", "energymarket/listening.py")
    text = "".join((ROOT / file).read_text() for file in files + kernel)
    for reason in {*REFUSAL_REASONS, *DEAD_LETTER_REASONS}:
        assert f'"{reason}"' in text, reason


MADE = (
    topology.market_topology(1_000),
    topology.fleet_topology("FLEET"),
    *(topology.listener_topology(name, "KEY") for name in ("weather", "external")),
)


def test_every_exchange_queue_and_binding_stands() -> None:
    """R25."""
    exchanges, queues, bindings, _ = (
        [[cell.strip("`") for cell in row.values()] for row in table]
        for table in sections(INTERFACES)["RabbitMQ"].tables
    )
    assert [row[:2] for row in exchanges] == [[e.name, e.kind] for t in MADE for e in t.exchanges]
    assert [row[:4] for row in queues] == [queue_in_words(q) for t in MADE for q in t.queues]
    assert bindings == [[b.exchange, b.queue, b.routing_key] for t in MADE for b in t.bindings]


def queue_in_words(queue: topology.Queue) -> list[str]:
    quorum = f"quorum, delivery limit {queue.delivery_limit}"
    kind = {"quorum": quorum, "exclusive": "classic, exclusive"}.get(queue.kind, queue.kind)
    when_full = "refuses the newest" if queue.reject_when_full else "drops the oldest"
    if queue.dead_letter_exchange and not queue.reject_when_full:
        when_full += ", into the dead letters"
    return [queue.name, kind, f"{queue.max_length:,}", when_full]


def test_every_permission_stands() -> None:
    names = [*rows(INTERFACES, "RabbitMQ"), *rows(INTERFACES, "RabbitMQ", 1)]
    given = json.loads((ROOT / "deploy/rabbitmq/definitions.json.template").read_text())
    said = rows(INTERFACES, "RabbitMQ", 3)
    columns = {"configure": "may declare", "write": "may write to", "read": "may read from"}
    assert set(said) == {permission["user"] for permission in given["permissions"]}
    for permission in given["permissions"]:
        for kind, column in columns.items():
            covered = {re.sub("FLEET|KEY", "*", n) for n in names if re.match(permission[kind], n)}
            assert set(coded(said[permission["user"]][column])) == covered, (permission, kind)


PLAN = WorldPlan(homes=7, fleets=7, tempo=Tempo(0, deadline_s=0, start_homes=7, max_ticks=40))
ASKED = {
    "GET /prices": "/prices?limit=1",
    "GET /prices/{tick}": "/prices/40",
    "GET /homes": "/homes?limit=1&sort=-stock",
    "GET /homes/{home_id}": "/homes/7",
    "GET /homes/{home_id}/receipts": "/homes/7/receipts?limit=1",
    "Errors": "/prices?limit=0",
}
"""What was asked to get the answer in a section, where its title does not say it."""

_OF_THE_RUN = "run at epoch since_tick ticks_checked settings versions finished"
DIFFERS = {*_OF_THE_RUN.split(), "ticks_per_s", "orders_per_s", "tick_ms_p50", "tick_ms_p99"}
"""What another run, another day or another machine has other values of."""


@pytest.fixture(scope="module")
def app() -> Iterator[FastAPI]:
    """The run that the answers in the document are from, with one event started at its end."""
    run = EmbeddedRun(PLAN, log=telemetry.configure("test", level="error", form="text"))
    run.start()
    while not run.finished:
        run.rest_until(run.step())
    strike = EventStart(name="strike", coefficient_neur_per_wh=30_000, ttl_ticks=12)
    run.market.commands.submit(lambda: run.market.start_event(strike))
    run.market.act()
    yield create_app(run.market, token="a token")
    run.stop()


def test_every_call_stands_with_all_its_parameters(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    calls = {f"{m.upper()} {path}": call for path in paths for m, call in paths[path].items()}
    assert {title for title in sections(INTERFACES) if re.match("[A-Z]+ /", title)} == set(calls)
    for title, call in calls.items():
        said = {name.lower() for name in coded(sections(INTERFACES)[title].text)}
        assert said >= {each["name"] for each in call.get("parameters", ())}, title


def test_every_answer_in_the_document_is_what_is_answered(app: FastAPI) -> None:
    client = TestClient(app)
    shown = {title: section.json() for title, section in sections(INTERFACES).items()}
    assert shown["POST /events"][1:] == shown["GET /events"][0]["coming"]
    for title in {t for t in shown if t.startswith("GET /") and shown[t]} | set(ASKED):
        true = client.get(ASKED.get(title, title.removeprefix("GET "))).json()
        assert list(faults(shown[title][0], true, title)) == []


def faults(said: Any, true: Any, where: str) -> Iterator[str]:
    """Where a shown answer differs from the true one; a long list may be cut short."""
    if isinstance(said, dict) and isinstance(true, dict):
        if set(said) != set(true):
            yield f"{where} has {sorted(true)}, not {sorted(said)}"
        for name in set(said) & set(true) - DIFFERS:
            yield from faults(said[name], true[name], f"{where}.{name}")
    elif isinstance(said, list) and isinstance(true, list) and bool(said) == bool(true):
        for index, (one, other) in enumerate(zip(said, true, strict=False)):
            yield from faults(one, other, f"{where}[{index}]")
    elif said != true:
        yield f"{where} is {true}, not {said}"


def test_every_exit_code_and_every_key_in_redis_stands() -> None:
    codes = {0, runtime.EXIT_FAILED, runtime.EXIT_WRONG_SETTING, runtime.EXIT_INTERRUPTED}
    assert {int(code) for code in rows(INTERFACES, "Exit codes")} == codes
    keys = {weather_store.CURRENT_KEY, weather_store.TICKS_KEY, weather_store.RUN_KEY}
    assert set(rows(INTERFACES, "Redis")) == keys


def test_every_log_line_in_the_document_is_what_is_logged() -> None:
    """R22."""
    out = io.StringIO()
    log = telemetry.configure("test", level="info", form="text", stream=out)
    try:
        EmbeddedRun(PLAN, log=log).run_to_end()
    finally:
        structlog.reset_defaults()
    logged = {line.partition(" ")[2] for line in out.getvalue().splitlines()}
    (said,) = (body for name, body in sections(INTERFACES)["Log lines"].code if name == "text")
    assert {line.partition(" ")[2] for line in said.splitlines()} <= logged


def neur_per_wh(eur_per_kwh: str) -> int:
    return int(Decimal(eur_per_kwh) * NEUR_PER_WH_IN_EUR_PER_KWH)


@pytest.mark.parametrize("title", ["too little to give", "more than anybody needs"])
def test_a_worked_example_is_what_the_code_gives(title: str) -> None:
    section = f"Worked example: {title}"
    text = " ".join(sections(ARCHITECTURE)[section].text.split())
    begin = re.match(
        r"Tick (\d+) of seed (\d+), price ([\d.]+) EUR/kWh, ([\d.]+) degrees, "
        r"(?:credit limit (\d+) EUR|no credit limit), "
        r"(?:`(\w+)` at ([\d.]+) EUR/kWh|no event) alive",
        text,
    )
    assert begin
    tick, seed, price, degrees, limit, event, coefficient = begin.groups()
    orders, said, terms = (rows(ARCHITECTURE, section, table) for table in range(3))
    homes = [int(home) for home in orders]
    money = [int(row["balance, EUR"]) * NEUR_IN_EUR for row in orders.values()]
    policies = [int(Policy[row["policy"].strip("`").upper()]) for row in orders.values()]

    def column(table: dict[str, Row], name: str) -> list[int]:
        return [int(row[name]) for row in table.values()]

    numbers = (column(orders, name) for name in ("amount", "produced", "consumed", "capacity"))
    out = settle(
        Roster(homes, column(orders, "stock"), money),
        OrderColumns(policies, *numbers),
        price_neur_per_wh=neur_per_wh(price),
        seed=int(seed),
        tick=int(tick),
        credit=CreditRule(int(limit) * NEUR_IN_EUR if limit else None),
    )
    for name in ("given", "received", "sold", "bought", "unserved", "spilled"):
        assert column(said, name) == getattr(out, f"{name}_wh"), name
    assert column(said, "stock after") == out.stock_wh
    paid = [before - after for before, after in zip(money, out.balance_neur, strict=True)]
    assert [Decimal(row["pays, EUR"]) * NEUR_IN_EUR for row in said.values()] == paid
    gifts = re.findall(r"(\d+) gave (\d+) Wh to (\d+)", text)
    assert [(int(giver), int(taker), int(wh)) for giver, wh, taker in gifts] == out.gifts(homes)
    live = [(event, neur_per_wh(coefficient))] if event else []
    events = [LiveEvent(name=n, coefficient_neur_per_wh=c, remaining_ticks=1) for n, c in live]
    temperature_mdeg = int(Decimal(degrees) * MDEG_IN_DEGREE)
    traded = sum(out.bought_wh), sum(out.sold_wh)
    before = MarketOutcome(neur_per_wh(price), temperature_mdeg, len(homes), *traded, events)
    total, made = next_price(Normalised(), before)
    assert {n: neur_per_wh(r["EUR/kWh"]) for n, r in terms.items()} == {**dict(made), "sum": total}


def test_the_constants_of_prices_and_climates_are_those_of_the_code() -> None:
    prices, climates = rows(ARCHITECTURE, "The price", 1), rows(ARCHITECTURE, "Weather")
    for name, model in PRICE_MODELS.items():
        assert neur_per_wh(prices["start"][f"`{name}`"]) == model.start_neur_per_wh
        assert neur_per_wh(prices["floor"][f"`{name}`"]) == model.floor_neur_per_wh
    assert neur_per_wh(prices["base"]["`normalised`"]) == Normalised.BASE
    seasonal = [astuple(c) for c in CLIMATES.values() if isinstance(c, SeasonalClimate)]
    for (name, row), climate in zip(climates.items(), seasonal, strict=True):
        said = [int(Decimal(cell) * MDEG_IN_DEGREE) for cell in list(row.values())[1:]]
        assert (name, *said) == climate


@pytest.mark.parametrize(("table", "name"), [(0, "standard"), (1, "classic")])
def test_the_events_are_those_of_the_catalogues(table: int, name: str) -> None:
    said = rows(ARCHITECTURE, "External events", table)
    assert list(said) == [kind.name for kind in load_catalogue(name).kinds]
    for kind in load_catalogue(name).kinds:
        row = said[kind.name]
        low, high = row["coefficient, EUR/kWh"].split(" to ")
        assert round(Decimal(row["probability"]) * CERTAIN) == kind.probability_per_2_32
        assert neur_per_wh(low) == kind.lowest_coefficient_neur_per_wh
        assert neur_per_wh(high) == kind.highest_coefficient_neur_per_wh
        assert row["ticks"] == f"{kind.lowest_ttl_ticks} to {kind.highest_ttl_ticks}"


def test_every_table_of_the_ledger_stands_with_its_columns() -> None:
    said = {name: coded(row["columns"]) for name, row in rows(ARCHITECTURE, "The ledger").items()}
    assert said == {name: list(table.columns.keys()) for name, table in metadata.tables.items()}


def test_each_requirement_has_a_row_that_names_code_and_tests() -> None:
    table = rows(REQUIREMENTS, "Requirements")
    assert list(table) == [f"R{number}" for number in range(1, 26)]
    for name, row in table.items():
        assert coded(row["where"]), name
        assert any("::" in each for each in coded(row["shown by"])), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_every_file_and_every_test_that_is_named_is_there(document: Path) -> None:
    rooms = r"(?:energymarket|services|lab|deploy|tests|docs|bench)/[\w./-]+"
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    for name in coded(text):
        if found := re.fullmatch(rf"({rooms})(?:::(\w+))?", name):
            path, test = ROOT / found[1], found[2]
            assert path.exists(), f"{document.name} names {name}"
            assert test is None or test in functions(path), f"{document.name} names {name}"
    for target in re.findall(r"\]\((?![a-z]+:)([^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.exists(), f"{document.name} links to {target}"
        assert not anchor or anchor in anchors(path), f"{document.name} links to {target}"


@cache
def functions(path: Path) -> set[str]:
    nodes = ast.parse(path.read_text()).body
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


@cache
def anchors(path: Path) -> set[str]:
    """The headings as GitHub names them."""
    kept = (re.sub(r"[^\w\s-]", "", title.lower()) for title in sections(path))
    return {title.replace(" ", "-") for title in kept}


def test_every_room_of_the_house_is_in_its_plan() -> None:
    (plan,) = (body for _, body in sections(ARCHITECTURE)["The house"].code)
    for top in ("energymarket", "services", "lab", "tests", "bench"):
        for room in {file.parent.relative_to(ROOT) for file in (ROOT / top).rglob("*.py")}:
            assert all(f"{part}/" in plan for part in room.parts[:3]), room
