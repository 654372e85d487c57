"""The OpenAPI document is valid, complete and true: what it says is what is answered."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from services.market.api.routes import ROUTERS
from tests.live_api import PROBLEM, TOKEN, LiveApi
from tests.world import World

HOOKS = '''
import schemathesis


@schemathesis.hook
def map_query(context, query):
    """from_tick <= to_tick is the one rule that a schema cannot state."""
    ends = [(query or {}).get(name) for name in ("from_tick", "to_tick")]
    if all(type(end) is int for end in ends):
        query["from_tick"], query["to_tick"] = sorted(ends)
    return query
'''


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveApi]:
    """A market that has settled some ticks."""
    world = World(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/ledger.db", homes=4)
    world.turn_until_tick(20)
    live = LiveApi(world)
    yield live
    live.close()


@pytest.fixture(scope="module")
def document(api: LiveApi) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/openapi.json")
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def test_every_call_that_is_promised_is_documented(document: dict[str, Any]) -> None:
    """R25: the names that users and other programs depend on."""
    promised = {
        ("get", "/price"),
        ("get", "/prices"),
        ("get", "/prices/{tick}"),
        ("get", "/homes"),
        ("get", "/homes/{home_id}"),
        ("get", "/homes/{home_id}/receipts"),
        ("get", "/trades"),
        ("get", "/flows"),
        ("get", "/stream"),
        ("get", "/ledger"),
        ("get", "/weather"),
        ("get", "/events"),
        ("post", "/events"),
        ("get", "/run"),
        ("get", "/clock"),
        ("patch", "/clock"),
        ("post", "/clock/step"),
        ("get", "/audit"),
        ("get", "/livez"),
        ("get", "/readyz"),
        ("get", "/metrics"),
    }
    assert promised <= {(method, path) for path, method, _ in operations(document)}


def test_every_call_and_every_field_is_explained(document: dict[str, Any]) -> None:
    """R24: a summary and a description each, and a unit where a number has one."""
    for path, method, operation in operations(document):
        assert operation["summary"], path
        assert operation["description"], path
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (method, path, parameter["name"])
    for name, schema in document["components"]["schemas"].items():
        assert schema.get("description"), name


def test_every_error_is_documented_as_a_problem(document: dict[str, Any]) -> None:
    """R24: with its media type and schema; the framework's own error schema is nowhere."""
    for path, _, operation in operations(document):
        errors = {status for status in operation["responses"] if status >= "400"}
        assert errors >= {"422", "500"}, path
        for status in errors:
            content = operation["responses"][status]["content"]
            assert content == {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert not {"HTTPValidationError", "ValidationError"} & set(document["components"]["schemas"])


def test_problems_are_what_their_schema_says(api: LiveApi, document: dict[str, Any]) -> None:
    """R24: a wrong parameter, a missing thing, a wrong method."""
    schema = document["components"]["schemas"]["Problem"]
    for path in ("/prices?limit=0", "/prices/99999", "/nowhere"):
        jsonschema_rs.validate(schema, api.ask(path).json())


def test_answers_are_what_their_examples_look_like(document: dict[str, Any]) -> None:
    """R24: an example in the document satisfies the schema that it stands in."""
    schemas = document["components"]["schemas"]
    examples = {name: schema["example"] for name, schema in schemas.items() if "example" in schema}
    assert {"Price", "PriceRow", "PriceTerms", "Weather", "EventBody"} <= set(examples)
    for name, example in examples.items():
        jsonschema_rs.validate({"$ref": f"#/$defs/{name}", "$defs": _local(schemas)}, example)


def _local(schemas: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(schemas).replace("#/components/schemas/", "#/$defs/")
    local: dict[str, Any] = json.loads(text)
    return local


def test_reads_need_no_token_and_writes_do_and_so_does_the_whole_ledger(
    document: dict[str, Any],
) -> None:
    """R24: and the document says so."""
    for path, method, operation in operations(document):
        guarded = method != "get" or path == "/ledger"
        assert bool(operation.get("security")) == guarded, path
        assert ("401" in operation["responses"]) == guarded, path


def test_no_router_is_forgotten(document: dict[str, Any]) -> None:
    """R25: all that is routed is documented."""
    routed = {route.path for router in ROUTERS for route in router.routes}  # type: ignore[attr-defined]  # routes here have paths
    assert routed == set(document["paths"])


def test_the_document_is_valid_and_the_api_keeps_to_it_whatever_it_is_asked(
    api: LiveApi, tmp_path: Path
) -> None:
    """R24, R25: schemathesis makes requests from the document, right and wrong ones, and checks
    each answer against it: status, media type, headers, schema, refusals, authorisation."""
    (tmp_path / "hooks.py").write_text(HOOKS)
    (tmp_path / "schemathesis.toml").write_text('hooks = "hooks"\n')
    with api.ticking(pause_s=0.02):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "schemathesis.cli",
                "run",
                f"{api.server.url}/openapi.json",
                "--checks=all",
                "--max-time=30",
                "--exclude-path=/stream",  # it never ends
                "--continue-on-failure",
                "--generation-database=none",
                "--seed=1",
                "--no-color",
                f"--header=Authorization: Bearer {TOKEN}",
            ],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: 20" in done.stdout, done.stdout
    assert api.world.log.saying("the API failed") == []
    assert api.get("/audit")["ok"]
