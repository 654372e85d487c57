"""Bodies of messages to spoil: the golden examples as dictionaries, and what becomes of them."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from energymarket.codec import decode, encode
from energymarket.errors import MessageRefused
from energymarket.messages import Message
from tests.contract.golden import EXAMPLES

JOIN: Final = b'{"type":"Join","version":1,"fleet":"f","instance":"i","homes":1}'


def example(message_type: type[Message]) -> dict[str, Any]:
    """The golden example of a type."""
    fields: dict[str, Any] = json.loads(encode(EXAMPLES[message_type]))
    return fields


def as_json(fields: object) -> bytes:
    """As the codec itself writes it."""
    return json.dumps(fields, separators=(",", ":")).encode()


def refusal(body: bytes | dict[str, Any]) -> MessageRefused:
    """Why a body is refused; the test fails where it is not."""
    with pytest.raises(MessageRefused) as refused:
        decode(body if isinstance(body, bytes) else as_json(body))
    return refused.value
