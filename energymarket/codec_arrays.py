"""The short way from a long body to a message: its columns as arrays. Called by ``codec`` only.

msgspec checks the whole body, fields that are no columns also for their ranges, and leaves the
columns as text; these are read, and held against the ranges of their type, a column at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import inspect as types

from energymarket.column_arrays import parsed
from energymarket.messages import AnyMessage, Message


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of a message type, and what its type allows."""

    name: str
    low: int
    high: int
    max_length: int


@lru_cache(maxsize=32)
def _reader(kind: type[Message]) -> tuple[msgspec.json.Decoder[Any], tuple[_Column, ...]]:
    """Decodes a message of this kind with its columns left as text; and these columns."""
    columns = []
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for field in msgspec.structs.fields(kind):
        described = types.type_info(field.type)
        if isinstance(described, types.ListType) and isinstance(described.item_type, types.IntType):
            columns.append(_column(field.name, described, described.item_type))
            fields.append((field.name, msgspec.Raw))
        elif field.default is msgspec.NODEFAULT:
            fields.append((field.name, field.type))
        else:
            fields.append((field.name, field.type, field.default))
    unread = msgspec.defstruct(
        f"Unread{kind.__name__}",
        fields,
        kw_only=True,
        forbid_unknown_fields=True,
        tag=kind.__name__,
        tag_field="type",
    )
    return msgspec.json.Decoder(unread), tuple(columns)


def _column(name: str, described: types.ListType, numbers: types.IntType) -> _Column:
    low, high, most = numbers.ge, numbers.le, described.max_length
    assert low is not None
    assert high is not None
    assert most is not None
    return _Column(name, int(low), int(high), most)


def decode(body: bytes, kind: type[Message]) -> AnyMessage | None:
    """The message of this kind in ``body``; None if it is none, or not one for this way."""
    decoder, columns = _reader(kind)
    try:
        unread = decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    values = msgspec.structs.asdict(unread)
    for column in columns:
        numbers = parsed(bytes(values[column.name]), column.low, column.high)
        if numbers is None or len(numbers) > column.max_length:
            return None
        values[column.name] = numbers
    message: AnyMessage = kind(**values)  # type: ignore[assignment]
    return message
