"""Numbers and columns of messages: what is out of range or out of step is refused."""

from __future__ import annotations

import time
from typing import Any, Final

import pytest

from energymarket.codec import decode, encode
from energymarket.messages import (
    MESSAGE_TYPES,
    Bulletin,
    Join,
    Message,
    Receipts,
    Refused,
    TickOpened,
    Welcome,
)
from tests.message_bodies import JOIN, as_json, example, refusal

TYPES = pytest.mark.parametrize("message_type", MESSAGE_TYPES, ids=lambda t: t.__name__)

# ------------------------------------------------------------------------------------ out of range

LIMITS: Final[dict[str, tuple[int, int]]] = {
    "tick": (0, 2**53),
    "epoch": (0, 10**9),
    "seed": (0, 2**63 - 1),
    "homes": (0, 10**9),
    "absent": (0, 10**9),
    "home": (1, 2**31 - 1),
    "policy": (1, 6),
    "present": (0, 1),
    "giver": (1, 2**31 - 1),
    "taker": (1, 2**31 - 1),
    "ticks": (1, 100_000),
    "wh": (0, 10**8),
    "net_wh": (-2 * 10**8, 2 * 10**8),
    "neur": (-9 * 10**18, 9 * 10**18),
    "per_wh": (-(10**10), 10**10),
    "mdeg": (-273_150, 1_000_000),
    "Join.homes": (1, 1_000_000),
    **{f"TickSettled.{what}_wh": (0, 2**62) for what in ("given", "sold", "bought", "spilled")},
    "TickSettled.unserved_wh": (0, 2**62),
    **{
        f"Receipts.{what}_wh": (0, 2 * 10**8)
        for what in ("given", "received", "sold", "bought", "spilled", "unserved", "gift")
    },
}
"""Lowest and highest by name; the longest end of a name that is listed counts."""


def _limits(message_type: type[Message], name: str) -> tuple[int, int]:
    words = name.split("_")
    ends = [f"{message_type.__name__}.{name}", *("_".join(words[i:]) for i in range(len(words)))]
    return next(LIMITS[end] for end in ends if end in LIMITS)


def _integers(message_type: type[Message]) -> list[str]:
    """Fields and columns of integers, the version aside."""
    return [
        name
        for name, value in example(message_type).items()
        if name != "version"
        and type(value[0] if isinstance(value, list) and value else value) is int
    ]


def _with(message_type: type[Message], name: str, number: object) -> dict[str, Any]:
    """The example with a number in its field, or at the end of its column."""
    fields = example(message_type)
    fields[name] = [*fields[name][:-1], number] if isinstance(fields[name], list) else number
    return fields


@TYPES
def test_the_numbers_at_the_ends_of_a_range_are_taken(message_type: type[Message]) -> None:
    for name in _integers(message_type):
        for number in _limits(message_type, name):
            body = as_json(_with(message_type, name, number))
            assert encode(decode(body)) == body


@TYPES
def test_numbers_out_of_range_are_refused(message_type: type[Message]) -> None:
    """Next to the range, beyond 64 bits, and larger than any machine's."""
    for name in _integers(message_type):
        low, high = _limits(message_type, name)
        for number in (low - 1, high + 1, 2**63, 2**64, -(2**63) - 1, 10**400, -(10**400)):
            assert f"$.{name}" in str(refusal(_with(message_type, name, number))), number


@pytest.mark.parametrize(
    ("message_type", "name"),
    [
        (TickOpened, "coefficient_neur_per_wh"),
        (TickOpened, "remaining_ticks"),
        (Bulletin, "coefficient_neur_per_wh"),
        (Bulletin, "ttl_ticks"),
    ],
)
def test_numbers_of_an_event_have_their_ranges_too(message_type: type[Message], name: str) -> None:
    """R19."""
    low, high = _limits(message_type, name)
    fields = example(message_type)
    for number in (low, high):
        fields["events"][0][name] = number
        assert decode(as_json(fields))
    for number in (low - 1, high + 1, 2**64, 10**400):
        fields["events"][0][name] = number
        assert f".{name}" in str(refusal(fields))


def test_a_number_of_ten_million_digits_is_refused_at_once() -> None:
    """Python alone would take minutes over it, or refuse with an error of its own."""
    began_s = time.monotonic()
    assert refusal(JOIN.replace(b":1}", b":" + b"9" * 10_000_000 + b"}")).reason == "malformed"
    assert time.monotonic() - began_s < 1.0


@TYPES
@pytest.mark.parametrize(
    "literal",
    [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"1e2", b"1.0", b"01", b"+1", b"0x1", b'"1"'],
)
def test_what_is_no_integer_is_refused(message_type: type[Message], literal: bytes) -> None:
    """Python's own JSON takes the first three; a float has no place on the wire."""
    for name in _integers(message_type):
        body = as_json(_with(message_type, name, 987654321)).replace(b"987654321", literal)
        assert refusal(body).reason == "malformed"


@pytest.mark.parametrize(
    "key", ["", "a b", "a/b", "é", "a\n\nb", "x" * 65, "*", "#", "a\x00", "a,b"]
)
@pytest.mark.parametrize("name", ["fleet", "instance"])
def test_a_key_that_could_mean_something_else_on_the_broker_is_refused(name: str, key: str) -> None:
    assert f"$.{name}" in str(refusal(example(Join) | {name: key}))


@pytest.mark.parametrize(
    ("name", "value"),
    [("fleet", "f\n"), ("reason", "stock_mismatch\n"), ("run", "9f86d081884c7d65\n")],
)
def test_a_line_break_at_the_end_of_a_key_or_name_is_refused(name: str, value: str) -> None:
    """It would split a line of the log, and a header of a dead letter."""
    assert f"$.{name}" in str(refusal(example(Refused) | {name: value}))


# ----------------------------------------------------------------------------------------- columns


@TYPES
def test_columns_of_different_length_are_refused(message_type: type[Message]) -> None:
    """Of one length are those of homes, and those of gifts; each of them shorter, and longer."""
    columns = [n for n in _integers(message_type) if isinstance(example(message_type)[n], list)]
    for name in columns:
        column = example(message_type)[name]
        for other in ([], column[:-1], [*column, column[0]]):
            refused = refusal(example(message_type) | {name: other})
            assert f"columns of {message_type.__name__} differ in length" in str(refused)
            assert name in str(refused)


def test_there_may_be_more_gifts_than_homes_and_fewer() -> None:
    """R9, R13: a fleet of one home may have given to many."""
    fields = example(Receipts)
    gifts = {"gift_giver": [3] * 9, "gift_taker": [8] * 9, "gift_wh": [1] * 9}
    assert decode(as_json(fields | gifts))
    assert decode(as_json(fields | {name: [] for name in gifts}))


@pytest.mark.parametrize(
    ("message_type", "name", "most", "item"),
    [
        ("TickAwaited", "missing", 8, "weather"),
        ("Bulletin", "events", 100, {"name": "x", "coefficient_neur_per_wh": 1, "ttl_ticks": 1}),
        (
            "TickOpened",
            "events",
            1_000,
            {"name": "x", "coefficient_neur_per_wh": 1, "remaining_ticks": 1},
        ),
    ],
)
def test_a_list_beyond_its_limit_is_refused(
    message_type: str, name: str, most: int, item: object
) -> None:
    fields = example(next(t for t in MESSAGE_TYPES if t.__name__ == message_type))
    assert decode(as_json(fields | {name: [item] * most}))
    assert f"$.{name}" in str(refusal(fields | {name: [item] * (most + 1)}))


def test_a_column_for_more_than_a_million_homes_is_refused() -> None:
    columns = {"home": [1] * 1_000_001, "stock_wh": [0] * 1_000_001}
    assert "$.home" in str(refusal(example(Welcome) | columns))
