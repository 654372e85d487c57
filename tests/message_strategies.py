"""Any message that this system could send, as Hypothesis makes them up."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect as types

from energymarket.messages import MESSAGE_TYPES, Message

_LONGEST_COLUMN = 5


def messages(message_type: type[Message] | None = None) -> st.SearchStrategy[Message]:
    """Messages of one type, or of any; all columns of a message are of one length."""
    if message_type is None:
        return st.sampled_from(MESSAGE_TYPES).flatmap(messages)
    return _rows(message_type).flatmap(lambda rows: _structs(message_type, rows))


def _rows(message_type: type[Message]) -> st.SearchStrategy[tuple[int, int]]:
    """How long a message's columns are, and how long those of its gifts."""
    return st.tuples(st.integers(0, _LONGEST_COLUMN), st.integers(0, _LONGEST_COLUMN))


def _structs(struct: type[msgspec.Struct], rows: tuple[int, int]) -> st.SearchStrategy[Any]:
    fields = {
        field.name: _values(field.type, rows[field.name.startswith("gift_")], rows)
        for field in _fields(struct)
    }
    return st.builds(struct, **fields)


@cache
def _fields(struct: type[msgspec.Struct]) -> tuple[types.Field, ...]:
    described = types.type_info(struct)
    assert isinstance(described, types.StructType)
    return described.fields


def _values(kind: types.Type, length: int, rows: tuple[int, int]) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one for each kind
    match kind:
        case types.IntType(ge=low, le=high):
            return st.integers(low, high)
        case types.StrType(pattern=None, max_length=longest):
            return st.text(max_size=longest)
        case types.StrType(pattern=str() as pattern, max_length=longest):
            # A message's own patterns end in $, which would let a line break pass.
            texts = st.from_regex(pattern.removesuffix("$") + r"\Z", fullmatch=True)
            return texts.filter(lambda text: longest is None or len(text) <= longest)
        case types.BoolType():
            return st.booleans()
        case types.LiteralType(values=values):
            return st.sampled_from(values)
        case types.ListType(item_type=types.IntType() as item):
            return st.lists(_values(item, 0, rows), min_size=length, max_size=length)
        case types.ListType(item_type=item):
            return st.lists(_values(item, 0, rows), max_size=_LONGEST_COLUMN)
        case types.StructType(cls=struct):
            return _structs(struct, rows)
        case types.UnionType(types=options):
            return st.one_of(*(_values(option, 0, rows) for option in options))
        case types.NoneType():
            return st.none()
    raise TypeError(f"no strategy for {kind}: add one here")
