"""Long columns, and the short way that a long body of them takes through the codec."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energymarket import codec, codec_arrays
from energymarket.codec import decode, encode
from energymarket.column_arrays import parsed
from energymarket.columns import (
    Rows,
    ascend,
    count_of_zeros,
    greatest,
    is_long,
    least,
    long_column,
    total,
)
from energymarket.errors import MessageRefused
from energymarket.messages import MAX_MONEY_NEUR, Message, Offers, Receipts, Requests, Welcome
from tests.contract.golden import EXAMPLES
from tests.message_bodies import as_json, example

BITS_64 = st.integers(-(2**63), 2**63 - 1)
OF_COLUMNS: tuple[type[Message], ...] = (Offers, Requests, Receipts, Welcome)
ROWS = 4_000


@given(st.lists(BITS_64 | st.integers(-3, 3)))
def test_a_long_column_answers_as_the_list_of_its_numbers(numbers: list[int]) -> None:
    """Sums are exact also where they leave 64 bits."""
    column = long_column(numbers)
    assert list(column) == numbers
    for question in (total, least, greatest, count_of_zeros, ascend):
        assert question(column) == question(numbers), question.__name__


@given(st.lists(st.integers(1, 50), unique=True).map(sorted), st.integers(-1, 55))
def test_a_home_is_found_in_its_row_and_nowhere_else(homes: list[int], home: int) -> None:
    for column in (homes, long_column(homes)):
        rows = Rows(column)
        assert rows.of(home) == (homes.index(home) if home in homes else None)


@given(
    st.lists(st.integers(1, 12), unique=True).map(sorted),
    st.lists(st.integers(1, 12), unique=True).map(sorted),
)
def test_a_stretch_holds_exactly_the_homes_that_were_asked_for(
    roster: list[int], homes: list[int]
) -> None:
    stretch = Rows(roster).stretch(homes)
    if stretch is not None:
        assert roster[stretch] == homes


# ---------------------------------------------------------------------------- text to numbers


def _text(numbers: list[int]) -> bytes:
    return json.dumps(numbers, separators=(",", ":")).encode()


@given(st.integers(1, 4), st.lists(BITS_64, max_size=30))
def test_json_arrays_of_integers_are_read_as_they_are(times: int, numbers: list[int]) -> None:
    rows = parsed([_text(numbers)] * times)
    assert rows is not None
    assert rows.tolist() == [numbers] * times


NOT_PLAIN = [b"[1.0]", b"[1e3]", b"[true]", b'["1"]', b"[null]", b"[[1]]", b"[ ]", b"[ 1]", b"7"]


@pytest.mark.parametrize("text", [*NOT_PLAIN, b"[]", b"[1,2]"])
def test_what_are_not_plainly_equal_arrays_of_integers_is_left_to_the_other_way(
    text: bytes,
) -> None:
    for texts in ([text, b"[5]"], [b"[5]", text], [b"[5]", text, b"[5]"]):
        assert parsed(texts) is None


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_a_number_beyond_64_bits_is_beyond_every_limit_of_a_message(number: int) -> None:
    rows = parsed([_text([number])])
    assert rows is not None
    assert abs(int(rows[0, 0])) > MAX_MONEY_NEUR


# ------------------------------------------------------------------------------- long messages


def _long(kind: type[Message], **changes: Any) -> dict[str, Any]:
    """The golden example of a type with its columns repeated until they are long."""
    fields = example(kind)
    for name, value in fields.items():
        if isinstance(value, list):
            # A message without gifts has empty columns of them.
            fields[name] = (value * ROWS)[:ROWS]
    fields.update({"opened": None} if kind is Welcome else {}, **changes)
    return fields


def _plainly(body: bytes) -> Message | None:
    """What msgspec alone makes of a body; None where it refuses."""
    try:
        message: Message = codec._decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return message


def _as_lists(message: Message) -> dict[str, Any]:
    values = msgspec.structs.asdict(message)
    return {n: list(v) if isinstance(v, list) or is_long(v) else v for n, v in values.items()}


@pytest.mark.parametrize("kind", OF_COLUMNS)
def test_a_long_message_comes_back_with_long_columns_and_the_same_bytes(
    kind: type[Message],
) -> None:
    body = as_json(_long(kind))
    message = decode(body)
    plain = _plainly(body)
    assert plain is not None
    assert is_long(getattr(message, "home"))  # noqa: B009 - not every message has one
    assert _as_lists(message) == _as_lists(plain)
    assert encode(message) == encode(plain) == body


SPOILT: dict[str, Any] = {
    "a policy that there is not": {"policy": [7] * ROWS},
    "a home without a number": {"home": [0] * ROWS},
    "too much energy": {"amount_wh": [10**8 + 1] * ROWS},
    "less than nothing": {"consumed_wh": [-1] * ROWS},
    "a number beyond 64 bits": {"stock_wh": [2**64] * ROWS},
    "a float": {"stock_wh": [1.0] * ROWS},
    "a truth": {"capacity_wh": [True] * ROWS},
    "a text": {"capacity_wh": ["1"] * ROWS},
    "an array within": {"capacity_wh": [[1]] * ROWS},
    "no column": {"capacity_wh": 5},
    "a column of another length": {"capacity_wh": [5] * (ROWS - 1)},
    "a column that is empty": {"capacity_wh": []},
    "an unknown field": {"rumour": [5] * ROWS},
    "a tick below zero": {"tick": -1},
    "a wrong run": {"run": "a b"},
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_long_message_with_one_thing_wrong_is_refused(what: str) -> None:
    body = as_json(_long(Offers, **SPOILT[what]))
    with pytest.raises(MessageRefused) as refused:
        decode(body)
    assert refused.value.reason == "malformed"


def test_a_long_message_with_a_field_less_or_twice_is_refused() -> None:
    fields = _long(Offers)
    body = as_json(fields)
    twice = body[:-1] + b',"tick":1}'
    del fields["capacity_wh"]
    for bad in (as_json(fields), twice, body[:-1]):
        with pytest.raises(MessageRefused):
            decode(bad)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_long_message_with_one_byte_changed_is_taken_as_every_other_body_is(
    data: st.DataObject,
) -> None:
    """Both ways through the codec take the same bodies, and read the same in them."""
    kind: type[Message] = data.draw(st.sampled_from(OF_COLUMNS))
    body = bytearray(as_json(_long(kind)))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] = data.draw(st.sampled_from(b'0123456789,-.eE[]{}":tn ') | st.integers(0, 255))
    changed = bytes(body)
    plain = _plainly(changed)
    try:
        message = decode(changed)
    except MessageRefused:
        # msgspec alone does not see fields that are given twice, or columns of two lengths.
        assert plain is None or codec._uneven(plain) or b":" in body[place : place + 1]  # type: ignore[arg-type]
    else:
        assert plain is not None
        assert _as_lists(message) == _as_lists(plain)


def test_a_short_message_has_lists() -> None:
    for kind in OF_COLUMNS:
        assert isinstance(getattr(decode(encode(EXAMPLES[kind])), "home"), list)  # noqa: B009


def test_the_short_way_knows_the_ranges_of_every_column() -> None:
    """A column without both limits could not be checked."""
    for kind in codec._MADE_OF_COLUMNS:
        _, groups = codec_arrays._reader(kind)
        assert tuple(tuple(each.name for each in group) for group in groups) == codec._GROUPS[kind]
        for each in (each for group in groups for each in group):
            assert -(2**63) < each.low < each.high < 2**63 - 1
            assert each.max_length


def test_what_is_no_part_of_a_message_cannot_be_sent() -> None:
    with pytest.raises(TypeError, match="object is no part of a message"):
        encode(msgspec.structs.replace(EXAMPLES[Offers], run=object()))
