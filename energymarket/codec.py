"""Messages to bytes and back. What is not exactly a message is refused with a reason.

A long body of columns takes a shorter way (``codec_arrays``): its columns become arrays without an
object per number. What that way does not know is decoded as every other body, so both ways take
and refuse the same.
"""

from __future__ import annotations

import json
from operator import attrgetter
from typing import Any, Final

import msgspec

from energymarket.columns import is_long
from energymarket.errors import MessageRefused
from energymarket.messages import (
    MESSAGE_TYPES,
    AnyMessage,
    Bulletin,
    Message,
    OpenedTick,
    Receipts,
    TickOpened,
)

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""Checked before anything is parsed; also RabbitMQ 4's own default limit."""

CONTENT_TYPE: Final = "application/json"

LONG_BODY_BYTES: Final = 12 * 1024
"""From so many bytes on, some 400 homes in orders, the shorter way is the quicker one. It is more
than fewer than 96 homes need in any message: their processes do not load NumPy."""


def _numbers(column: Any) -> list[int]:
    """What msgspec asks for a value that it does not know: a long column as a list."""
    if not is_long(column):
        raise TypeError(f"{type(column).__name__} is no part of a message")
    return column.tolist()


_encoder = msgspec.json.Encoder(enc_hook=_numbers)
_decoder: msgspec.json.Decoder[AnyMessage] = msgspec.json.Decoder(AnyMessage)


def _column_groups(message_type: type[Message]) -> tuple[tuple[str, ...], ...]:
    """The groups of equally long columns, read off the field types of ``message_type``."""
    fields = msgspec.structs.fields(message_type)
    columns = [
        field.name
        for field in fields
        if isinstance(msgspec.inspect.type_info(field.type), msgspec.inspect.ListType)
        and field.name not in ("events", "missing")
    ]
    gifts = tuple(name for name in columns if name.startswith("gift_"))
    homes = tuple(name for name in columns if not name.startswith("gift_"))
    return tuple(group for group in (homes, gifts) if group)


_OPENED_COLONS: Final = len(OpenedTick.__struct_fields__)
_GROUPS = {message_type: _column_groups(message_type) for message_type in MESSAGE_TYPES}
_COLUMNS_OF = {
    message_type: [(group, attrgetter(*group)) for group in groups]
    for message_type, groups in _GROUPS.items()
}
_MADE_OF_COLUMNS = {message_type for message_type, groups in _GROUPS.items() if groups}


def _plain(message_type: type[Message]) -> tuple[bytes, int]:
    """How our own encoder begins a body of this type, and how many colons that body has outside of
    nested objects: one per field and one for the type. A body with as many, and those of what is
    nested in it (``_colons_within``), cannot give a field twice. Where a field may be left out, a
    second copy of another could stand in for it: no number of colons is right then, and every body
    is looked through."""
    beginning = f'{{"type":"{message_type.__name__}","version":1,'.encode()
    fields = msgspec.structs.fields(message_type)
    if any(not field.required and field.name != "version" for field in fields):
        return beginning, -1
    return beginning, len(fields) + 1


def _colons_within(message: AnyMessage) -> int:
    """How many colons the objects have that are nested in a message; each has all its fields."""
    match message:
        case TickOpened(events=events) | Bulletin(events=events):
            return 3 * len(events)
        case Receipts(opened=OpenedTick()):
            return _OPENED_COLONS
    return 0


_PLAIN = {message_type: _plain(message_type) for message_type in MESSAGE_TYPES}


def encode(message: Message) -> bytes:
    """The message as JSON bytes; raises ``MessageRefused`` when it would exceed the limit."""
    body = _encoder.encode(message)
    if len(body) > MAX_BODY_BYTES:
        raise MessageRefused("oversized", _oversized(len(body)))
    return body


def decode(body: bytes) -> AnyMessage:
    """The message in ``body``.

    Raises ``MessageRefused`` for a body that is too large, is not JSON, has an unknown type,
    version or field, a number out of range, a field twice, or columns of different lengths.
    """
    if len(body) > MAX_BODY_BYTES:
        raise MessageRefused("oversized", _oversized(len(body)))
    if len(body) >= LONG_BODY_BYTES and (found := _with_long_columns(body)) is not None:
        return found
    try:
        message = _decoder.decode(body)
        kind = type(message)
        beginning, colons = _PLAIN[kind]
        colons_expected = colons + _colons_within(message)
        if not (body.startswith(beginning) and body.count(b":") == colons_expected):
            _refuse_repeated_names(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageRefused("malformed", f"not a message of this system: {error}") from error
    group = _uneven(message)
    if group:
        raise MessageRefused(
            "malformed", f"columns of {kind.__name__} differ in length: {', '.join(group)}"
        )
    return message


def _with_long_columns(body: bytes) -> AnyMessage | None:
    """The message in a long body that begins as our own encoder's do and gives no field twice."""
    for kind, (beginning, colons) in _PLAIN.items():
        if not body.startswith(beginning):
            continue
        nested = body.count(b":") - colons
        if kind not in _MADE_OF_COLUMNS or nested not in (0, _OPENED_COLONS):
            return None
        from energymarket import codec_arrays  # noqa: PLC0415 - see columns

        message = codec_arrays.decode(body, kind)
        if message is None or _uneven(message) or nested != _colons_within(message):
            return None
        return message
    return None


def _uneven(message: AnyMessage) -> tuple[str, ...] | None:
    """The columns of a message that should be of one length and are not."""
    for group, columns_of in _COLUMNS_OF[type(message)]:
        if len(set(map(len, columns_of(message)))) != 1:
            return group
    return None


def _oversized(size_bytes: int) -> str:
    return f"body of {size_bytes} bytes; at most {MAX_BODY_BYTES} are taken"


def _refuse_repeated_names(body: bytes) -> None:
    """msgspec takes the last of two equal names; two readers could then disagree, so refuse."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = dict(pairs)
        if len(names) != len(pairs):
            raise MessageRefused("malformed", "a field is given twice")
        return names

    json.loads(body, object_pairs_hook=unique)
