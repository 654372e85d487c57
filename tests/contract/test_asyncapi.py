"""docs/asyncapi.json and docs/messages.md say what the code does, in the format that they claim.

After a change of a message or of the topology: ``python -m lab.asyncapi`` writes both anew.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from energymarket.messages import MESSAGE_TYPES, Message
from lab import asyncapi, message_flows, message_page
from lab.message_flows import FLOWS
from tests.contract.golden import golden_file

OFFICIAL = Path(__file__).parents[1] / "vendor" / "asyncapi" / "3.0.0.json"


@cache
def document() -> Any:
    return json.loads(asyncapi.FILE.read_text())


@cache
def official() -> Draft7Validator:
    return Draft7Validator(json.loads(OFFICIAL.read_text()))


def test_the_document_and_its_page_are_those_of_the_code() -> None:
    """R25: other programs are written against them."""
    made = asyncapi.document()
    assert asyncapi.FILE.read_text() == asyncapi.text_of(made), "run python -m lab.asyncapi"
    assert asyncapi.PAGE.read_text() == message_page.page(made), "run python -m lab.asyncapi"


def test_the_document_is_asyncapi_3_by_the_official_schema() -> None:
    assert [error.message for error in official().iter_errors(document())] == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda spoiled: spoiled.update(asyncapi="2.6.0"),
        lambda spoiled: spoiled["info"].pop("version"),
        lambda spoiled: spoiled["operations"]["home-sends-offers"].update(action="shout"),
        lambda spoiled: spoiled["channels"]["offers"]["bindings"]["amqp"].update(colour="red"),
    ],
)
def test_the_official_schema_would_notice_a_fault(spoil: Any) -> None:
    spoiled = copy.deepcopy(document())
    spoil(spoiled)
    assert list(official().iter_errors(spoiled))


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for each in node.values():
            yield from references(each)
    elif isinstance(node, list):
        for each in node:
            yield from references(each)


def test_every_reference_in_the_document_leads_somewhere() -> None:
    found = set(references(document()))
    assert found
    for reference in found:
        node = document()
        for step in reference.removeprefix("#/").split("/"):
            assert step in node, reference
            node = node[step]


@pytest.mark.parametrize("message_type", MESSAGE_TYPES, ids=lambda kind: kind.__name__)
def test_a_golden_example_fits_its_payload_and_is_its_example(message_type: type[Message]) -> None:
    name = message_type.__name__
    golden = json.loads(golden_file(message_type).read_bytes())
    Draft7Validator({**document(), "$ref": f"#/components/schemas/{name}"}).validate(golden)
    (example,) = document()["components"]["messages"][name]["examples"]
    assert example["payload"] == golden


def test_every_message_is_sent_by_somebody_and_read_by_somebody() -> None:
    assert {message for flow in FLOWS for message in flow.messages} == set(MESSAGE_TYPES)
    for flow in FLOWS:
        assert message_flows.readers(flow.exchange), flow.exchange


def test_every_service_is_among_those_that_a_message_can_be_from() -> None:
    """Weather too, whose only messages are dead letters."""
    traits = document()["components"]["messageTraits"]
    senders = traits["sent"]["x-amqp-properties"]["properties"]["app_id"]["description"]
    assert set(re.findall(r"\w+", senders)) >= set(message_flows.SERVICES)


def test_a_dead_letter_need_not_say_of_which_type_it_is() -> None:
    """Its body may be no message at all."""
    components = document()["components"]
    (trait,) = components["messages"]["DeadLetter"]["traits"]
    sent, put_aside = (
        set(components["messageTraits"][name]["x-amqp-properties"]["required"])
        for name in ("sent", trait["$ref"].rpartition("/")[2])
    )
    assert sent - put_aside == {"type"}


def test_every_field_with_a_unit_in_its_name_has_it_in_the_document() -> None:
    for name, schema in document()["components"]["schemas"].items():
        for field, its in schema["properties"].items():
            if field.endswith(("_wh", "_neur", "_mdeg", "_ticks")):
                assert its["x-unit"], f"{name}.{field}"
            assert its.get("description") or "$ref" in its or "anyOf" in its, f"{name}.{field}"
