"""Every message has one golden example, and its bytes are what they have always been.

After a change that is meant, ``python -m tests.contract.golden`` writes the files anew. Look at
the difference then: it is what every other program on the broker will see.
"""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from energymarket.codec import decode, encode
from energymarket.messages import MESSAGE_TYPES, AnyMessage, Message
from tests.contract.golden import EXAMPLES, FOLDER, golden_file

TYPES = pytest.mark.parametrize("message_type", MESSAGE_TYPES, ids=lambda t: t.__name__)


def _golden(message_type: type[Message]) -> bytes:
    file = golden_file(message_type)
    assert file.is_file(), f"{file.name} is missing; python -m tests.contract.golden writes it"
    return file.read_bytes()


@TYPES
def test_a_message_is_encoded_byte_for_byte_as_its_golden_example(
    message_type: type[Message],
) -> None:
    """R25: other programs bind to the exchanges and read this."""
    assert encode(EXAMPLES[message_type]) + b"\n" == _golden(message_type)


@TYPES
def test_a_golden_example_is_decoded_to_the_message_that_it_is_of(
    message_type: type[Message],
) -> None:
    decoded = decode(_golden(message_type))
    assert type(decoded) is message_type
    assert decoded == EXAMPLES[message_type]


def test_every_message_type_has_an_example_and_a_file_and_there_are_no_others() -> None:
    names = {message_type.__name__ for message_type in MESSAGE_TYPES}
    assert {message_type.__name__ for message_type in EXAMPLES} == names
    assert {file.name for file in FOLDER.iterdir()} == {f"{name}.json" for name in names}


def test_what_can_be_decoded_is_exactly_what_is_listed_as_a_message_type() -> None:
    assert set(get_args(AnyMessage)) == set(MESSAGE_TYPES)


@TYPES
def test_an_example_leaves_no_field_empty_that_could_show_something(
    message_type: type[Message],
) -> None:
    """An example that says nothing would not notice a change."""
    for name, value in msgspec.structs.asdict(EXAMPLES[message_type]).items():
        assert value not in (None, [], ""), f"{message_type.__name__}.{name}"


@TYPES
def test_messages_cannot_be_changed_once_made(message_type: type[Message]) -> None:
    message = EXAMPLES[message_type]
    with pytest.raises(AttributeError):
        setattr(message, message.__struct_fields__[0], 1)


def test_every_message_says_its_type_first_and_its_version() -> None:
    """A reader in any language can tell what it has before it reads on."""
    for message_type in MESSAGE_TYPES:
        name = message_type.__name__
        assert _golden(message_type).startswith(f'{{"type":"{name}","version":1,'.encode())
