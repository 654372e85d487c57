"""The short way from a long body to a message: its columns as arrays. Called by ``codec`` only.

msgspec checks the whole body, fields that are no columns also for their ranges, and leaves the
columns as text; these are read, and held against the ranges of their type, a column at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import inspect as types

from energymarket.column_arrays import Numbers, column, parsed
from energymarket.messages import AnyMessage, Message

_READ_AT_ONCE_BYTES: Final = 128 * 1024
"""In a larger body each column is read alone, while it is in the processor's cache."""


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of a message type, and what its type allows."""

    name: str
    low: int
    high: int
    max_length: int


@lru_cache(maxsize=32)
def _reader(kind: type[Message]) -> tuple[msgspec.json.Decoder[Any], tuple[list[_Column], ...]]:
    """Decodes a message of this kind with its columns left as text; and these columns, those that
    are of one length together."""
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
    groups: dict[bool, list[_Column]] = {}
    for each in columns:
        groups.setdefault(each.name.startswith("gift_"), []).append(each)
    return msgspec.json.Decoder(unread), tuple(groups.values())


def _column(name: str, described: types.ListType, numbers: types.IntType) -> _Column:
    low, high, most = numbers.ge, numbers.le, described.max_length
    assert low is not None
    assert high is not None
    assert most is not None
    return _Column(name, int(low), int(high), most)


def decode(body: bytes, kind: type[Message]) -> AnyMessage | None:
    """The message of this kind in ``body``; None if it is none, or not one for this way."""
    decoder, groups = _reader(kind)
    try:
        unread = decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    values: dict[str, Any] = msgspec.structs.asdict(unread)
    if len(body) > _READ_AT_ONCE_BYTES:
        groups = tuple([each] for group in groups for each in group)
    for group in groups:
        numbers = parsed([bytes(values[each.name]) for each in group])
        if numbers is None or not _within_limits(numbers, group):
            return None
        values.update((each.name, column(row)) for each, row in zip(group, numbers, strict=True))
    message: AnyMessage = kind(**values)  # type: ignore[assignment]
    return message


def _within_limits(numbers: Numbers, columns: list[_Column]) -> bool:
    """Whether each row of numbers is what its column's type allows."""
    length = numbers.shape[1]
    if not length:
        return True
    least = numbers.min(axis=1).tolist()
    greatest = numbers.max(axis=1).tolist()
    for each, low, high in zip(columns, least, greatest, strict=True):
        if low < each.low or high > each.high or length > each.max_length:
            return False
    return True
