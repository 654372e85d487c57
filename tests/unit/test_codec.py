"""Messages to bytes and back; what is not exactly a message is refused, with a reason.

A refusal is always ``MessageRefused``: any other error would take down whoever reads the queue, and
the broker would give the next reader the same body.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energymarket import codec
from energymarket.codec import MAX_BODY_BYTES, decode, encode
from energymarket.errors import MessageRefused
from energymarket.messages import MESSAGE_TYPES, Message, Refused, Welcome
from tests.contract.golden import EXAMPLES
from tests.message_bodies import JOIN, as_json, example, refusal
from tests.message_strategies import messages

TYPES = pytest.mark.parametrize("message_type", MESSAGE_TYPES, ids=lambda t: t.__name__)

WITH_EVENTS = pytest.mark.parametrize(
    "message_type", [t for t in MESSAGE_TYPES if "events" in t.__struct_fields__]
)


unhurried = settings(deadline=None)

# --------------------------------------------------------------------------------- there and back


@given(messages())
@unhurried
def test_any_message_comes_back_as_it_was_sent(message: Message) -> None:
    decoded = decode(encode(message))
    assert decoded == message
    assert type(decoded) is type(message)


@given(messages())
@unhurried
def test_encoding_is_canonical(message: Message) -> None:
    """A copy that is sent again is the same bytes, so that a reader can tell it for a copy."""
    body = encode(message)
    assert encode(decode(body)) == body


@given(messages())
@settings(max_examples=50, deadline=None)
def test_spaces_and_the_order_of_fields_do_not_matter(message: Message) -> None:
    """Other programs write JSON as their libraries do."""
    fields = json.loads(encode(message))
    loose = json.dumps(dict(reversed(fields.items())), indent=2)
    assert decode(loose.encode()) == message


@TYPES
def test_the_version_may_be_left_out(message_type: type[Message]) -> None:
    fields = example(message_type)
    del fields["version"]
    assert decode(as_json(fields)) == EXAMPLES[message_type]


def test_text_in_any_script_comes_back() -> None:
    refused = EXAMPLES[Refused]
    for detail in ("déjà vu", "漢字", "\U0001f50b", 'a "b" \\ c', "line\nbreak", "\0", '":":":":'):
        message = msgspec.structs.replace(refused, detail=detail)
        assert decode(encode(message)) == message


def test_an_escaped_name_means_what_it_spells() -> None:
    assert decode(JOIN.replace(b'"fleet"', b'"fl\\u0065et"')) == decode(JOIN)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@unhurried
def test_any_bytes_are_a_message_or_refused_and_nothing_else(body: bytes) -> None:
    with contextlib.suppress(MessageRefused):
        assert type(decode(body)) in MESSAGE_TYPES


@given(messages(), st.data())
@unhurried
def test_a_message_with_one_byte_changed_is_a_message_or_refused(
    message: Message, data: st.DataObject
) -> None:
    """What is taken all the same is a whole message, which can be sent on."""
    body = bytearray(encode(message))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode(bytes(body))
    except MessageRefused:
        return
    assert decode(encode(decoded)) == decoded


@TYPES
def test_a_message_cut_short_at_any_byte_is_refused(message_type: type[Message]) -> None:
    body = encode(EXAMPLES[message_type])
    for length in range(len(body)):
        assert refusal(body[:length]).reason == "malformed"


# ---------------------------------------------------------------------------------------- too large


def test_a_body_over_the_limit_is_refused_before_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class NoParser:
        def decode(self, body: bytes) -> Message:
            raise AssertionError("it was parsed")

    monkeypatch.setattr(codec, "_decoder", NoParser())
    refused = refusal(b" " * (MAX_BODY_BYTES + 1))
    assert refused.reason == "oversized"
    assert str(refused) == "body of 16777217 bytes; at most 16777216 are taken"


def test_a_body_of_exactly_the_limit_is_taken() -> None:
    assert decode(JOIN + b" " * (MAX_BODY_BYTES - len(JOIN))) == decode(JOIN)


def test_a_message_that_nobody_would_take_is_not_sent() -> None:
    homes = 2_000_000
    message = msgspec.structs.replace(
        EXAMPLES[Welcome], home=[10**9] * homes, stock_wh=[10**9] * homes
    )
    with pytest.raises(MessageRefused) as refused:
        encode(message)
    assert refused.value.reason == "oversized"


# ----------------------------------------------------------------------------------- not a message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"1",
        b'"Join"',
        b"[]",
        b"{}",
        b"{",
        b"Join",
        JOIN + b"x",
        JOIN + JOIN,
        b"[" + JOIN + b"]",
        b"\xef\xbb\xbf" + JOIN,
        JOIN.replace(b'"f"', b"'f'"),
        JOIN.replace(b"}", b",}"),
        JOIN.decode().encode("utf-16"),
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    assert refusal(body).reason == "malformed"


@pytest.mark.parametrize(
    "text", [b"\xff", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\\ud800"]
)
def test_text_that_is_not_utf_8_is_refused(text: bytes) -> None:
    """Also too long a form, half of a surrogate pair, and what lies beyond Unicode."""
    body = encode(EXAMPLES[Refused]).replace(b"the stock is not", text)
    assert text in body
    assert refusal(body).reason == "malformed"
    assert refusal(JOIN.replace(b'"f"', b'"' + text + b'"')).reason == "malformed"


@pytest.mark.parametrize("body", [b"[" * 200_000, b"[" * 200_000 + b"]" * 200_000])
def test_two_hundred_thousand_brackets_are_refused_at_once(body: bytes) -> None:
    assert refusal(body).reason == "malformed"
    assert refusal(JOIN.replace(b":1}", b":" + body + b"}")).reason == "malformed"


@pytest.mark.parametrize(
    "body",
    [
        b'{"x":' * 200_000,
        b'{"x":' + b"[" * 200_000,
        b'{"x":' + b"[" * 200_000 + b"]" * 200_000 + b',"type":"Join"}',
    ],
)
def test_brackets_that_stand_before_the_type_are_refused_too(body: bytes) -> None:
    """Whoever looks for the type has to get past them."""
    assert refusal(body).reason == "malformed"


@TYPES
@pytest.mark.parametrize("name", ["", "Rumour", "join", "Message", "Orders", "LiveEvent", 1, None])
def test_an_unknown_type_is_refused(message_type: type[Message], name: object) -> None:
    assert refusal(example(message_type) | {"type": name}).reason == "malformed"


@TYPES
def test_a_message_without_a_type_is_refused(message_type: type[Message]) -> None:
    fields = example(message_type)
    del fields["type"]
    assert "type" in str(refusal(fields))


@TYPES
@pytest.mark.parametrize("version", [0, 2, -1, 10**30, 1.5, "1", True, None])
def test_another_version_is_refused(message_type: type[Message], version: object) -> None:
    assert "version" in str(refusal(example(message_type) | {"version": version}))


@TYPES
def test_an_unknown_field_is_refused(message_type: type[Message]) -> None:
    assert "rumour" in str(refusal(example(message_type) | {"rumour": 1}))


@pytest.mark.parametrize(
    "message_type", [t for t in MESSAGE_TYPES if "events" in t.__annotations__]
)
def test_an_unknown_field_of_an_event_is_refused(message_type: type[Message]) -> None:
    fields = example(message_type)
    fields["events"][0]["rumour"] = 1
    assert "rumour" in str(refusal(fields))


@TYPES
def test_a_missing_field_is_refused_by_its_name(message_type: type[Message]) -> None:
    for name in set(example(message_type)) - {"type", "version"}:
        fields = example(message_type)
        del fields[name]
        assert f"`{name}`" in str(refusal(fields))


@TYPES
def test_a_field_of_another_kind_is_refused(message_type: type[Message]) -> None:
    for name, value in example(message_type).items():
        others: tuple[object, ...] = (None, {}, [[]], "?", 0.5, True)
        for other in others:
            if type(other) is type(value) or (name == "opened" and other is None):
                continue
            assert refusal(example(message_type) | {name: other}).reason == "malformed"


# -------------------------------------------------------------------------------- repeated names


@TYPES
def test_a_field_that_is_given_twice_is_refused(message_type: type[Message]) -> None:
    """The last of two would win here and the first elsewhere: two readers, two truths."""
    body = encode(EXAMPLES[message_type])
    for name, value in example(message_type).items():
        field = f"{json.dumps(name)}:{json.dumps(value, separators=(',', ':'))}".encode()
        assert body.count(field) >= 1
        assert refusal(body.replace(field, field + b"," + field, 1)).reason == "malformed"


@pytest.mark.parametrize(
    "message_type", [t for t in MESSAGE_TYPES if "events" in t.__annotations__]
)
def test_a_field_of_an_event_that_is_given_twice_is_refused(message_type: type[Message]) -> None:
    body = encode(EXAMPLES[message_type])
    body = body.replace(b'"coefficient_neur', b'"name":"x","coefficient_neur', 1)
    assert str(refusal(body)) == "a field is given twice"


def test_a_name_that_is_spelled_in_two_ways_is_still_the_same_name() -> None:
    body = JOIN.replace(b'"instance"', b'"fl\\u0065et":"g","instance"')
    assert refusal(body).reason == "malformed"


_REPEATED: dict[str, Callable[[bytes], bytes]] = {
    "with a space before each colon": lambda body: body.replace(b":", b" :"),
    "with a tab before each colon": lambda body: body.replace(b":", b"\t:"),
    "without a version": lambda body: body.replace(b'"version":1,', b""),
}


@pytest.mark.parametrize("writing", _REPEATED)
def test_a_field_given_twice_is_refused_however_the_body_is_written(writing: str) -> None:
    body = JOIN.replace(b'"instance"', b'"fleet":"g","instance"')
    assert refusal(_REPEATED[writing](body)).reason == "malformed"
