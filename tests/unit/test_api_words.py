"""What the API makes of words: media types, windows of ticks, schemas as sentences."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError

from services.market.api.contract import Contract, in_words
from services.market.api.schemas.world import EventBody
from services.market.api.wanted import Window, prefers_csv, window


@pytest.mark.parametrize(
    ("accept", "csv"),
    [
        ("", False),
        ("*/*", False),
        ("text/csv", True),
        ("TEXT/CSV; charset=utf-8", True),
        ("text/csv, application/json", False),
        ("application/json;q=0.5, text/csv", True),
        ("application/json, text/csv;q=0.9", False),
        ("text/csv;q=0", False),
        ("text/csv;q=wrong", False),
    ],
)
def test_csv_is_given_to_whom_prefers_it(accept: str, csv: bool) -> None:
    """R15: quality values count, and without any word JSON is meant."""
    assert prefers_csv(accept) is csv


@pytest.mark.parametrize(
    ("asked", "resolved"),
    [
        ({}, Window(41, 51)),
        ({"to_tick": 21}, Window(11, 21)),
        ({"to_tick": 5}, Window(1, 5)),
        ({"to_tick": 0}, Window(0, 0)),
        ({"from_tick": 7}, Window(7, 51)),
        ({"from_tick": 7, "to_tick": 9}, Window(7, 9)),
        ({"from_tick": 7, "to_tick": 7}, Window(7, 7)),
        ({"from_tick": 900}, Window(900, 900)),
        ({"cursor": "13-17", "from_tick": 1}, Window(13, 17)),
    ],
)
def test_a_window_is_resolved_against_the_newest_tick(
    asked: dict[str, Any], resolved: Window
) -> None:
    """R15: half-open; without from_tick the newest ticks; a cursor takes the place of both."""
    choice = {"from_tick": None, "to_tick": None, "cursor": None, **asked}
    assert window(**choice, newest=50, limit=10) == resolved


def test_before_the_first_tick_the_window_is_empty() -> None:
    """R15: nothing is settled, so nothing is found, and nothing is wrong."""
    asked = window(from_tick=None, to_tick=None, cursor=None, newest=0, limit=10)
    assert asked == Window(1, 1)


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    """R15: it would be silently empty, which hides the mistake."""
    with pytest.raises(RequestValidationError):
        window(from_tick=9, to_tick=3, cursor=None, newest=50, limit=10)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 10}, "an integer from 1 to 10"),
        ({"type": "number", "minimum": 0.5}, "a number of 0.5 or more"),
        ({"type": "number", "maximum": 2}, "a number of 2 or less"),
        ({"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]}, "one of a, b"),
        ({"const": "csv"}, "csv"),
        ({"type": "string", "pattern": "^x$"}, "text that matches ^x$"),
        ({"type": "string", "minLength": 1, "maxLength": 3}, "text of 1 to 3 characters"),
        ({"type": "boolean"}, "a boolean"),
        ({}, "a value"),
    ],
)
def test_a_schema_is_said_in_words(schema: dict[str, Any], words: str) -> None:
    """R24: an error says what is allowed."""
    assert in_words(schema) == words


def test_a_path_finds_its_template_and_a_literal_one_goes_before_a_variable_one() -> None:
    """R24: errors and metrics speak of the operation that was meant."""
    paths: dict[str, Any] = {
        "/things/{id}": {"get": {}, "delete": {}},
        "/things/new": {"post": {}},
        "/things/{id}/parts": {"get": {}},
    }
    contract = Contract(lambda: {"paths": paths})
    assert contract.template_at("/things/7") == "/things/{id}"
    assert contract.template_at("/things/new") == "/things/new"
    assert contract.template_at("/things/7/parts") == "/things/{id}/parts"
    assert contract.template_at("/things/7/parts/8") == "other"
    assert contract.methods_at("/things/7") == {"GET", "DELETE"}


@pytest.mark.parametrize(
    ("eur_per_kwh", "neur_per_wh"),
    [
        (0.1, 100_000),
        (-0.02, -20_000),
        (0.0000005, 0),
        (0.0000015, 2),
        (1e-300, 0),
        (1_000_000, 10**12),
        (0.123456, 123_456),
        (999_999.999999, 999_999_999_999),
    ],
)
def test_a_coefficient_is_taken_to_the_nearest_unit(eur_per_kwh: float, neur_per_wh: int) -> None:
    """R19: six decimals are exact, whatever a float is inside; halves go to even."""
    body = EventBody(name="war", coefficient_eur_per_kwh=eur_per_kwh, ttl_ticks=1)
    assert body.start().coefficient_neur_per_wh == neur_per_wh


def test_a_whole_number_with_a_decimal_point_is_an_integer() -> None:
    """R19: JSON has one kind of number, and OpenAPI calls 3.0 an integer."""
    body = '{"name": "war", "coefficient_eur_per_kwh": 1, "ttl_ticks": 3.0}'
    assert EventBody.model_validate_json(body).start().ttl_ticks == 3
    assert EventBody.model_validate(json.loads(body)).start().ttl_ticks == 3
