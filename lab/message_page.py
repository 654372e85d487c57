"""docs/messages.md: the AsyncAPI document as a page for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from energymarket import topology
from lab.message_flows import FLOWS, SERVICES, exchanges, queues, readers
from lab.message_words import kind, meaning, unit

_HEAD = """\
# Messages and exchanges

Made by `python -m lab.asyncapi` from the message types, the topology and the tables of
[interfaces.md](interfaces.md), which says more about each. For programs the same is in
[asyncapi.json](asyncapi.json) (AsyncAPI 3.0, for <https://studio.asyncapi.com> or any other tool
of that format) and, message by message, in [messages/](messages/) (JSON Schema).

Everything is JSON over AMQP 0-9-1, virtual host `energymarket`. `{fleet}` stands for the key of a
home process, `{key}` for one of weather or external; both are new for each connection.
"""


def page(document: dict[str, Any]) -> str:
    """The page of a document that ``lab.asyncapi`` has made, as Markdown."""
    components = document["components"]
    parts = [_HEAD, *_exchanges(), _queues(), _properties(components)]
    parts.append("## Messages\n")
    for name, message in components["messages"].items():
        if name in components["schemas"]:
            parts.append(_message(name, message, components["schemas"][name]))
    parts.append("## Parts of messages\n")
    parts += [
        _struct(name, schema)
        for name, schema in components["schemas"].items()
        if name not in components["messages"]
    ]
    return "\n".join(parts).rstrip() + "\n"


def _exchanges() -> Iterator[str]:
    yield "## Exchanges\n"
    for exchange in exchanges():
        rows: list[tuple[str, ...]] = [
            (
                f"[{message.__name__}](#{message.__name__.lower()})",
                flow.sender,
                ", ".join(readers(exchange.name)),
                f"`{flow.routing_key}`" if flow.routing_key else "empty",
                "2" if flow.persistent else "1",
                "yes" if flow.mandatory else "no",
                ", ".join(f"[{each.__name__}](#{each.__name__.lower()})" for each in flow.answers),
            )
            for flow in FLOWS
            if flow.exchange == exchange.name
            for message in flow.messages
        ]
        if exchange.name == topology.DEAD:
            rows = [("any body", "all", "nobody", "that of the original", "2", "yes", "")]
        yield f"### `{exchange.name}`\n\nA durable {exchange.kind} exchange.\n"
        yield _table(
            ("message", "from", "read by", "key", "delivery mode", "mandatory", "answered by"), rows
        )


def _queues() -> str:
    rows = []
    for service, queue in queues():
        made = SERVICES[service]
        bindings = [each for each in made.bindings if each.queue == queue.name]
        bound = (
            f"`{each.exchange}`" + (f" with `{each.routing_key}`" if each.routing_key else "")
            for each in bindings
        )
        rows.append(
            (
                f"`{queue.name}`",
                queue.kind,
                service if queue.name in made.consumes else "nobody",
                "on delivery" if queue.acknowledged_on_delivery else "when done",
                f"{queue.max_length:,}",
                "<br>".join(bound),
            )
        )
    head = ("queue", "kind", "read by", "acknowledged", "at most", "bound to")
    return "## Queues\n\n" + _table(head, rows)


def _properties(components: dict[str, Any]) -> str:
    properties = components["messageTraits"]["sent"]["x-amqp-properties"]["properties"]
    rows = [
        (
            f"`{name}`",
            schema["type"],
            str(schema.get("description", f"`{schema.get('const')}`")),
            schema.get("x-unit", ""),
        )
        for name, schema in properties.items()
    ]
    return (
        "## Properties and headers\n\nEach message carries these properties of AMQP:\n\n"
        + _table(("property", "type", "is", "unit"), rows)
        + "\nA message may carry this header:\n\n"
        + _headers(components["messages"]["TickOpened"])
        + "\nA dead letter that a service made has the service as `app_id`, and an empty `type`\n"
        "where its body is no message. It carries these headers:\n\n"
        + _headers(components["messages"]["DeadLetter"])
    )


def _headers(message: dict[str, Any]) -> str:
    headers = message["headers"]["properties"]
    rows = [(f"`{name}`", schema["description"]) for name, schema in headers.items()]
    return _table(("header", "is"), rows)


def _message(name: str, message: dict[str, Any], schema: dict[str, Any]) -> str:
    example = message["examples"][0]["payload"]
    lines = (f"  {json.dumps(field)}: {json.dumps(value)}" for field, value in example.items())
    body = ",\n".join(lines)
    return f"{_struct(name, schema)}\n```json\n{{\n{body}\n}}\n```\n"


def _struct(name: str, schema: dict[str, Any]) -> str:
    rows = [
        (
            f"`{field}`" + ("" if field in schema["required"] else " (may be left out)"),
            kind(its).replace("|", "\\|"),
            unit(field),
            meaning(name, field),
        )
        for field, its in schema["properties"].items()
    ]
    description = schema["description"].replace("``", "`")
    return f"### {name}\n\n{description}\n\n" + _table(("field", "type", "unit", "is"), rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n".replace("|  |", "| |") for line in lines)
