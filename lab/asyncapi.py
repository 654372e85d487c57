"""AsyncAPI 3.0: all messages and exchanges for programs, read off message types and topology.

``python -m lab.asyncapi`` writes docs/asyncapi.json, and from it docs/messages.md, anew; a test
sees to it that it is done. The schema of the format: https://www.asyncapi.com/docs/reference.
"""

from __future__ import annotations

import inspect
import json
import re
from typing import Any, Final

import energymarket
from energymarket import topology
from energymarket.codec import CONTENT_TYPE
from energymarket.messages import MESSAGE_TYPES, Message
from energymarket.topology import Exchange, Queue
from energymarket.tracing import HEADER
from lab import message_page
from lab.message_flows import FLOWS, SERVICES, Flow, carried, exchanges, queues, sources
from lab.message_schemas import schema_of
from lab.message_words import DOCS, example, meaning, plain, unit

FILE: Final = DOCS / "asyncapi.json"
PAGE: Final = DOCS / "messages.md"
VHOST: Final = "energymarket"
DEAD_LETTER: Final = "DeadLetter"

_BINDING: Final = {"bindingVersion": "0.3.0"}
_TEXT: Final = {"type": "string"}
_PARAMETERS: Final = {
    "fleet": "Key of a fleet, one home process; new for each connection, and unguessable.",
    "key": "New for each connection.",
}
_PROPERTIES: Final[dict[str, Any]] = {
    "type": "object",
    "description": "Properties of AMQP (basic.properties), which are no application headers.",
    "required": ["content_type", "delivery_mode", "type", "app_id", "message_id", "timestamp"],
    "properties": {
        "content_type": {"type": "string", "const": CONTENT_TYPE},
        "delivery_mode": {
            "type": "integer",
            "enum": [1, 2],
            "description": "2 outlives a restart of the broker.",
        },
        "type": {**_TEXT, "description": "Name of the message, as in the body."},
        "app_id": {
            **_TEXT,
            "description": "Who sent it: market, home, weather, external, or load.",
        },
        "message_id": {**_TEXT, "description": "Unique; a message sent again has another one."},
        "timestamp": {
            "type": "integer",
            "description": "When it was sent.",
            "x-unit": "seconds since 1970",
        },
    },
}
_PROPERTIES_OF_THE_DEAD: Final = {
    **_PROPERTIES,
    "required": [name for name in _PROPERTIES["required"] if name != "type"],
    "properties": {
        **_PROPERTIES["properties"],
        "type": {**_TEXT, "description": "Name of the message; empty for a body that is none."},
        "app_id": {**_TEXT, "description": "Who could not take it."},
    },
}
"""As a service puts it aside. One that the broker puts aside keeps what it came with."""

_HEADERS: Final = {
    "type": "object",
    "properties": {
        HEADER: {
            **_TEXT,
            "description": "W3C trace context of what sent it; only where ticks are traced.",
        }
    },
}
_HEADERS_OF_THE_DEAD: Final = {
    "type": "object",
    "properties": {
        "x-reason": {**_TEXT, "description": "Why it could not be taken."},
        "x-exchange": {**_TEXT, "description": "Where it had been published."},
        "x-routing-key": {**_TEXT, "description": "With which key."},
        "x-death": {"type": "array", "description": "The broker's own, where the broker made it."},
    },
}


def document() -> dict[str, Any]:
    """The whole document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "energymarket",
            "version": energymarket.__version__,
            "description": "Messages of a local energy market: homes, market, weather and external "
            "events over RabbitMQ. Each operation carries the service that it is of as a tag.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "rabbitmq": {
                "host": "127.0.0.1:5672",
                "pathname": f"/{VHOST}",
                "protocol": "amqp",
                "protocolVersion": "0-9-1",
                "description": "RabbitMQ 3.10 to 4.x, as ENERGYMARKET_AMQP_URL says.",
                "security": [{"$ref": "#/components/securitySchemes/user"}],
            }
        },
        "channels": {
            **{channel_id(each.name): _exchange_channel(each) for each in exchanges()},
            **{channel_id(each.name): _queue_channel(each) for _, each in queues()},
        },
        "operations": dict(_operations()),
        "components": {
            "schemas": _schemas(),
            "messages": {
                **{kind.__name__: _message(kind) for kind in MESSAGE_TYPES},
                DEAD_LETTER: _dead_letter(),
            },
            "parameters": {name: {"description": text} for name, text in _PARAMETERS.items()},
            "messageTraits": {
                "sent": {"x-amqp-properties": _PROPERTIES},
                "putAside": {"x-amqp-properties": _PROPERTIES_OF_THE_DEAD},
            },
            "securitySchemes": {"user": {"type": "userPassword"}},
        },
    }


def text_of(document: dict[str, Any]) -> str:
    """The document as its file has it."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def channel_id(name: str) -> str:
    """Name of an exchange's or a queue's channel within the document: ``market-orders``."""
    return name.removeprefix("energymarket.").replace(".", "-").replace("{", "").replace("}", "")


# ---------------------------------------------------------------------------------------- channels


def _exchange_channel(exchange: Exchange) -> dict[str, Any]:
    keys = {flow.routing_key for flow in FLOWS if flow.exchange == exchange.name}
    address = keys.pop() if keys else ""
    assert not keys, f"{exchange.name} has several forms of keys"
    dead = exchange.name == topology.DEAD
    names = [DEAD_LETTER] if dead else [kind.__name__ for kind in carried(exchange.name)]
    return {
        "address": address,
        "title": f"exchange {exchange.name}",
        "messages": {name: _ref("messages", name) for name in names},
        **_parameters(address),
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {
                    "name": exchange.name,
                    "type": exchange.kind,
                    "durable": True,
                    "autoDelete": False,
                    "vhost": VHOST,
                },
                **_BINDING,
            }
        },
    }


def _queue_channel(queue: Queue) -> dict[str, Any]:
    exclusive = queue.kind == "exclusive"
    names = [name for source in sources(queue.name) for name in _names_on(source)]
    return {
        "address": queue.name,
        "title": f"queue {queue.name}",
        "messages": {name: _ref("messages", name) for name in names},
        **_parameters(queue.name),
        "bindings": {
            "amqp": {
                "is": "queue",
                "queue": {
                    "name": queue.name,
                    "durable": not exclusive,
                    "exclusive": exclusive,
                    "autoDelete": False,
                    "vhost": VHOST,
                },
                **_BINDING,
            }
        },
        "x-max-length": queue.max_length,
        "x-overflow": "reject-publish" if queue.reject_when_full else "drop-head",
        "x-bindings": [
            {"exchange": each.exchange, "routingKey": each.routing_key}
            for made in SERVICES.values()
            for each in made.bindings
            if each.queue == queue.name
        ],
    }


def _names_on(exchange: str) -> list[str]:
    if exchange == topology.DEAD:
        return [DEAD_LETTER]
    return [kind.__name__ for kind in carried(exchange)]


def _parameters(address: str) -> dict[str, Any]:
    names = re.findall(r"{(\w+)}", address)
    return {"parameters": {name: _ref("parameters", name) for name in names}} if names else {}


def _ref(room: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{room}/{name}"}


def _in_channel(channel: str, names: list[str]) -> dict[str, Any]:
    """Some messages of a channel, as an operation or its reply names them."""
    return {
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
    }


# -------------------------------------------------------------------------------------- operations


def _operations() -> list[tuple[str, dict[str, Any]]]:
    found = [(f"{flow.sender}-sends-{flow.name}", _send(flow)) for flow in FLOWS]
    for service, made in SERVICES.items():
        for queue in made.queues:
            if queue.name in made.consumes:
                name = f"{service}-receives-{channel_id(queue.name)}"
                found.append((name, _receive(service, queue)))
        found.append((f"{service}-sends-dead", _bury(service)))
    return found


def _send(flow: Flow) -> dict[str, Any]:
    names = [kind.__name__ for kind in flow.messages]
    operation = {
        "action": "send",
        "summary": f"{flow.sender} publishes to {flow.exchange}",
        "tags": [{"name": flow.sender}],
        **_in_channel(channel_id(flow.exchange), names),
        "bindings": _delivery(persistent=flow.persistent, mandatory=flow.mandatory),
    }
    if flow.answers:
        answers = [kind.__name__ for kind in flow.answers]
        operation["reply"] = _in_channel(channel_id(topology.RECEIPTS), answers)
    return operation


def _bury(service: str) -> dict[str, Any]:
    return {
        "action": "send",
        "summary": f"{service} puts aside what it cannot take",
        "tags": [{"name": service}],
        **_in_channel(channel_id(topology.DEAD), [DEAD_LETTER]),
        "bindings": _delivery(persistent=True, mandatory=True),
    }


def _receive(service: str, queue: Queue) -> dict[str, Any]:
    names = [name for source in sources(queue.name) for name in _names_on(source)]
    return {
        "action": "receive",
        "summary": f"{service} reads {queue.name}",
        "tags": [{"name": service}],
        **_in_channel(channel_id(queue.name), names),
        "bindings": {"amqp": {"ack": not queue.acknowledged_on_delivery, **_BINDING}},
    }


def _delivery(*, persistent: bool, mandatory: bool) -> dict[str, Any]:
    mode = 2 if persistent else 1
    return {"amqp": {"deliveryMode": mode, "mandatory": mandatory, "timestamp": True, **_BINDING}}


# ---------------------------------------------------------------------------- messages and schemas


def _message(kind: type[Message]) -> dict[str, Any]:
    name = kind.__name__
    return {
        "name": name,
        "title": name,
        "summary": " ".join(inspect.getdoc(kind).partition("\n\n")[0].split()),  # type: ignore[union-attr]
        "headers": _HEADERS,
        "contentType": CONTENT_TYPE,
        "payload": _ref("schemas", name),
        "bindings": {"amqp": {"messageType": name, **_BINDING}},
        "traits": [_ref("messageTraits", "sent")],
        "examples": [{"name": "golden", "payload": json.loads(example(kind))}],
    }


def _dead_letter() -> dict[str, Any]:
    return {
        "name": DEAD_LETTER,
        "title": DEAD_LETTER,
        "summary": "The body of a message that could not be taken, as it came: any bytes.",
        "headers": _HEADERS_OF_THE_DEAD,
        "payload": {"description": "Any bytes, as they came."},
        "traits": [_ref("messageTraits", "putAside")],
    }


def _schemas() -> dict[str, Any]:
    """The structs of all messages, as in docs/messages/, with unit and meaning of each field."""
    found: dict[str, Any] = {}
    for kind in MESSAGE_TYPES:
        for name, schema in schema_of(kind)["$defs"].items():
            found.setdefault(name, _explained(name, schema))
    return found


def _explained(struct: str, schema: dict[str, Any]) -> dict[str, Any]:
    at_home: dict[str, Any] = json.loads(
        json.dumps(schema).replace("#/$defs/", "#/components/schemas/")
    )
    for field, its in at_home["properties"].items():
        if "$ref" in its:  # beside which nothing may stand
            continue
        its["description"] = plain(meaning(struct, field))
        if unit(field):
            its["x-unit"] = unit(field)
    return at_home


def main() -> None:
    """Writes both files."""
    made = document()
    for file, text in ((FILE, text_of(made)), (PAGE, message_page.page(made))):
        file.write_text(text)
        print(file)


if __name__ == "__main__":
    main()
