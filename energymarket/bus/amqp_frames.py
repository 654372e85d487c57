"""The two things that a busy connection does all day, as bytes of AMQP 0-9-1: one publishes a
message, one reads a delivery. No driver.

The driver makes and takes objects for each of their frames, which costs more than all the rest of
a small message. What this does not know (several body frames coming in, headers, a delivery that
is not all there) it leaves to the driver, which sees the same bytes. Frames are laid out in
chapter 4 of the specification, the properties of a message in section 1.8 of its reference.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

from energymarket.bus.amqp_session import PERSISTENT, TRANSIENT, Names
from energymarket.bus.amqp_tags import Outgoing
from energymarket.codec import CONTENT_TYPE

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
KINDS: Final = frozenset((METHOD, HEADER, BODY, HEARTBEAT))

_FRAME: Final = Struct(">BHI")
_PUBLISH: Final = Struct(">HHH")
_BASIC, _PUBLISH_METHOD, _DELIVER = 60, 40, b"\0\x3c\0\x3c"
_CONTENT: Final = Struct(">HHQH")
_TIMESTAMP: Final = Struct(">Q")
_LENGTH: Final = Struct(">I")
_TAG: Final = Struct(">QB")
_OVERHEAD: Final = _FRAME.size + 1
"""Bytes of a frame that are not its content."""

_HAS_HEADERS: Final = 1 << 13
_PROPERTIES: Final = 1 << 15 | 1 << 12 | 1 << 7 | 1 << 6 | 1 << 5 | 1 << 3
"""Content type, delivery mode, message id, timestamp, type and application: in this order."""

_MOST_ROUTES: Final = 4_096


class Arrived(NamedTuple):
    """A whole delivery; ``end`` is where the bytes after it begin, ``trace`` as in ``Delivery``."""

    end: int
    consumer: bytes
    tag: int
    redelivered: bool
    exchange: str
    routing_key: str
    body: bytes
    trace: str = ""


def frame_end(data: bytes, begin: int) -> int:
    """Where the frame that begins there ends; 0 if it is not all there."""
    if len(data) - begin < _OVERHEAD:
        return 0
    end = begin + _OVERHEAD + _LENGTH.unpack_from(data, begin + 3)[0]
    return end if end <= len(data) else 0


def delivery_at(data: bytes, begin: int) -> Arrived | None:
    """The delivery whose method frame begins there; None if it is none, or one for the driver."""
    method = begin + _FRAME.size
    if data[begin] != METHOD or data[method : method + 4] != _DELIVER:
        return None
    header = frame_end(data, begin)
    content = header and frame_end(data, header)
    if not content or data[header] != HEADER:
        return None
    _, _, size, flags = _CONTENT.unpack_from(data, header + _FRAME.size)
    end = frame_end(data, content) if size else content
    if flags & _HAS_HEADERS or not end or (size and end - content != size + _OVERHEAD):
        return None
    consumer, at = _short_string(data, method + 4)
    tag, redelivered = _TAG.unpack_from(data, at)
    exchange, at = _short_string(data, at + _TAG.size)
    key, _ = _short_string(data, at)
    body = data[content + _FRAME.size : end - 1] if size else b""
    return Arrived(end, consumer, tag, bool(redelivered), exchange.decode(), key.decode(), body)


def _short_string(data: bytes, at: int) -> tuple[bytes, int]:
    """The short string that begins there, and where it ends."""
    begin = at + 1
    end = begin + data[at]
    return data[begin:end], end


class Publisher:
    """Frames for the publications of one channel; ``frame_max`` bytes are the most of each."""

    def __init__(self, channel_number: int, frame_max: int, names: Names) -> None:
        self._channel, self._body_max = channel_number, frame_max - _OVERHEAD
        self._names = names
        self._before = _as_short(CONTENT_TYPE)
        self._modes = {True: bytes((PERSISTENT,)), False: bytes((TRANSIENT,))}
        self._after = _as_short(names.app_id)
        self._routes: dict[tuple[str, str, bool], bytes] = {}

    def frames(self, message: Outgoing) -> bytes:
        """All frames of a message without headers."""
        route = message.exchange, message.routing_key, message.mandatory
        method = self._routes.get(route)
        if method is None:
            if len(self._routes) >= _MOST_ROUTES:
                self._routes.clear()
            method = self._routes[route] = self._method(*route)
        body = message.body
        properties = b"".join(
            (
                _CONTENT.pack(_BASIC, 0, len(body), _PROPERTIES),
                self._before,
                self._modes[message.persistent],
                _as_short(self._names.next_name()),
                _TIMESTAMP.pack(int(self._names.now())),
                _as_short(message.kind),
                self._after,
            )
        )
        parts = [method, self._frame(HEADER, properties)]
        parts += [
            self._frame(BODY, body[begin : begin + self._body_max])
            for begin in range(0, len(body), self._body_max)
        ]
        return b"".join(parts)

    def _method(self, exchange: str, routing_key: str, mandatory: bool) -> bytes:
        names = _as_short(exchange) + _as_short(routing_key)
        begin = _PUBLISH.pack(_BASIC, _PUBLISH_METHOD, 0)
        return self._frame(METHOD, begin + names + (b"\1" if mandatory else b"\0"))

    def _frame(self, kind: int, content: bytes) -> bytes:
        return b"%b%b\xce" % (_FRAME.pack(kind, self._channel, len(content)), content)


def _as_short(text: str) -> bytes:
    """Raises ``ValueError`` beyond 255 bytes."""
    encoded = text.encode()
    return bytes((len(encoded),)) + encoded
