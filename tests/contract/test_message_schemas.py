"""docs/messages says exactly what the types say, and the golden examples are what it describes.

After a change of a message: ``python -m lab.message_schemas`` writes the schemas anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from energymarket.messages import MESSAGE_TYPES, Message
from lab.message_schemas import FOLDER, file_of, text_of
from tests.contract.golden import golden_file

TYPES = pytest.mark.parametrize("message_type", MESSAGE_TYPES, ids=lambda t: t.__name__)


def _validator(message_type: type[Message]) -> Draft202012Validator:
    return Draft202012Validator(json.loads(file_of(message_type).read_text()))


def _golden(message_type: type[Message]) -> dict[str, Any]:
    example: dict[str, Any] = json.loads(golden_file(message_type).read_bytes())
    return example


@TYPES
def test_the_schema_in_the_docs_is_that_of_the_type(message_type: type[Message]) -> None:
    """R25: other programs are written against it."""
    file = file_of(message_type)
    assert file.is_file(), f"{file.name} is missing; python -m lab.message_schemas writes it"
    assert file.read_text() == text_of(message_type), "run python -m lab.message_schemas"


def test_the_docs_hold_no_schema_of_a_message_that_is_gone() -> None:
    kept = {file.name for file in FOLDER.glob("*.schema.json")}
    assert kept == {file_of(message_type).name for message_type in MESSAGE_TYPES}


@TYPES
def test_every_schema_is_a_schema(message_type: type[Message]) -> None:
    Draft202012Validator.check_schema(json.loads(file_of(message_type).read_text()))


@TYPES
def test_a_golden_example_fits_its_schema(message_type: type[Message]) -> None:
    _validator(message_type).validate(_golden(message_type))


_SPOILS: dict[str, Callable[[dict[str, Any]], None]] = {
    "another type": lambda message: message.update(type="Rumour"),
    "another version": lambda message: message.update(version=2),
    "an unknown field": lambda message: message.update(rumour=1),
    "no type": lambda message: message.pop("type"),
    "a field less": lambda message: message.pop(list(message)[-1]),
    "a field that is null": lambda message: message.update({list(message)[2]: None}),
}


@TYPES
@pytest.mark.parametrize("spoil", _SPOILS)
def test_what_the_codec_would_refuse_does_not_fit_the_schema(
    message_type: type[Message], spoil: str
) -> None:
    message = _golden(message_type)
    _SPOILS[spoil](message)
    with pytest.raises(ValidationError):
        _validator(message_type).validate(message)


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("Welcome", ["home, stock_wh"]),
        (
            "Receipts",
            [
                "home, present, net_wh, given_wh, received_wh, sold_wh, bought_wh, spilled_wh, "
                "unserved_wh, stock_wh, charged_neur, balance_neur",
                "gift_giver, gift_taker, gift_wh",
            ],
        ),
        ("TickAwaited", []),
    ],
)
def test_a_schema_names_the_columns_that_are_of_one_length(name: str, groups: list[str]) -> None:
    """A schema has no words for that, so its description says it."""
    schema = json.loads((FOLDER / f"{name}.schema.json").read_text())
    lines = schema["$defs"][name]["description"].splitlines()
    assert [line for line in lines if line.startswith("Columns of one length")] == [
        f"Columns of one length: {group}." for group in groups
    ]
