"""Frames of AMQP made and read without the driver, held against the driver's own."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import frame, spec  # type: ignore[import-untyped]  # it has no py.typed

from energymarket.bus.amqp_frames import Arrived, Publisher, delivery_at, frame_end
from energymarket.bus.amqp_session import Names
from energymarket.bus.amqp_tags import Outgoing
from energymarket.bus.amqp_wire import Wire
from tests.fakes import FakeClock

FRAME_MAX = 4_096
CHANNEL = 3

short = st.text(max_size=60)
bodies = st.binary(max_size=3 * FRAME_MAX)


class Driver:
    """What pika's connection does with frames, from its own parts: the base under ``Wire``."""

    def __init__(self) -> None:
        self._frame_buffer = b""
        self.bytes_received = 0
        self.is_closed = False
        self.taken: list[Arrived] = []
        self._method: Any = None
        self._size = 0
        self._body = b""

    def _on_data_available(self, data: bytes) -> None:
        self._frame_buffer += data
        while self._frame_buffer:
            consumed, value = frame.decode_frame(self._frame_buffer)
            if not value:
                return
            self._frame_buffer = self._frame_buffer[consumed:]
            self.bytes_received += consumed
            self._put_together(value)

    def _put_together(self, value: Any) -> None:
        match value:
            case frame.Method(method=spec.Basic.Deliver()):
                self._method, self._body = value.method, b""
            case frame.Header():
                self._size = value.body_size
            case frame.Body():
                self._body += value.fragment
        if isinstance(value, frame.Header | frame.Body) and len(self._body) == self._size:
            method = self._method
            self.taken.append(
                Arrived(
                    0,
                    method.consumer_tag.encode(),
                    method.delivery_tag,
                    method.redelivered,
                    method.exchange,
                    method.routing_key,
                    self._body,
                )
            )


class Wired(Wire, Driver):
    """``Wire`` over that driver, with its own way for the consumer ``ours``."""

    def __init__(self) -> None:
        super().__init__()
        self.short_ways = 0
        self.deliveries[b"ours"] = self._take

    def _take(self, arrived: Arrived) -> None:
        self.short_ways += 1
        self.taken.append(arrived._replace(end=0))


def marshalled(body: bytes, *, headers: dict[str, str] | None, consumer: str = "ours") -> bytes:
    """A delivery as the broker sends it."""
    method = spec.Basic.Deliver(consumer, 7, False, "energymarket.offers", "home.0af3")
    properties = spec.BasicProperties(content_type="application/json", headers=headers)
    size = FRAME_MAX - 8
    parts = [
        frame.Method(CHANNEL, method).marshal(),
        frame.Header(CHANNEL, len(body), properties).marshal(),
        *(frame.Body(CHANNEL, body[at : at + size]).marshal() for at in range(0, len(body), size)),
    ]
    return b"".join(parts)


@given(exchange=short, key=short, kind=short, body=bodies, flags=st.tuples(*[st.booleans()] * 2))
def test_a_publication_is_byte_for_byte_what_the_driver_makes_of_it(
    exchange: str, key: str, kind: str, body: bytes, flags: tuple[bool, bool]
) -> None:
    persistent, mandatory = flags
    message = Outgoing(exchange, key, kind, body, persistent, mandatory)
    names, twin = Names("market", FakeClock()), Names("market", FakeClock())
    twin._prefix = names._prefix
    publisher = Publisher(CHANNEL, FRAME_MAX, names)
    method = spec.Basic.Publish(exchange=exchange, routing_key=key, mandatory=mandatory)
    size = FRAME_MAX - 8
    for _ in range(2):  # the second comes from what the first has left
        properties = spec.BasicProperties(**twin.properties(message))
        expected = [
            frame.Method(CHANNEL, method).marshal(),
            frame.Header(CHANNEL, len(body), properties).marshal(),
            *(
                frame.Body(CHANNEL, body[at : at + size]).marshal()
                for at in range(0, len(body), size)
            ),
        ]
        assert publisher.frames(message) == b"".join(expected)


def test_routes_that_were_kept_are_bounded() -> None:
    publisher = Publisher(CHANNEL, FRAME_MAX, Names("market", FakeClock()))
    for number in range(10_000):
        publisher.frames(Outgoing("e", str(number), "Receipts", b"{}", True, True))
    assert len(publisher._routes) <= 4_096


@given(
    deliveries=st.lists(
        st.tuples(
            bodies,
            st.sampled_from([None, {"traceparent": "00-1-2-01"}]),
            st.sampled_from(["ours", "another"]),
        ),
        max_size=6,
    ),
    cuts=st.lists(st.integers(0, 30_000), max_size=8),
)
def test_what_is_read_does_not_depend_on_where_the_stream_is_cut_nor_on_the_way(
    deliveries: list[tuple[bytes, dict[str, str] | None, str]], cuts: list[int]
) -> None:
    beat = frame.Heartbeat().marshal()
    stream = beat.join(
        marshalled(body, headers=headers, consumer=consumer)
        for body, headers, consumer in deliveries
    )
    wired, driver = Wired(), Driver()
    driver._on_data_available(stream)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for begin, end in pairwise(places):
        wired._on_data_available(stream[begin:end])
    assert wired.taken == driver.taken
    assert [one.body for one in wired.taken] == [body for body, _, _ in deliveries]
    assert wired.bytes_received == driver.bytes_received == len(stream)


def test_a_small_delivery_takes_the_short_way_and_one_with_headers_the_drivers() -> None:
    wired = Wired()
    wired._on_data_available(marshalled(b"{}", headers=None) * 3)
    assert (wired.short_ways, len(wired.taken)) == (3, 3)
    wired._on_data_available(marshalled(b"{}", headers={"traceparent": "00-1-2-01"}))
    wired._on_data_available(marshalled(b"x" * FRAME_MAX, headers=None))
    assert (wired.short_ways, len(wired.taken)) == (3, 5)


@pytest.mark.parametrize("consumer", ["ours", "another"])
def test_a_delivery_is_read_only_when_all_of_it_is_there(consumer: str) -> None:
    whole = marshalled(b'{"type":"Offers"}', headers=None, consumer=consumer)
    for length in range(1, len(whole)):
        assert delivery_at(whole[:length], 0) is None
    found = delivery_at(whole + b"more", 0)
    assert found == Arrived(
        len(whole),
        consumer.encode(),
        7,
        False,
        "energymarket.offers",
        "home.0af3",
        b'{"type":"Offers"}',
    )
    assert frame_end(whole, 0) < len(whole)


def test_an_answer_that_is_no_frame_is_the_drivers_to_judge() -> None:
    """An old broker answers with its version instead of a frame."""
    seen: list[bytes] = []

    class Judge(Driver):
        def _on_data_available(self, data: bytes) -> None:
            seen.append(data)

    class WiredJudge(Wire, Judge):
        pass

    WiredJudge()._on_data_available(b"AMQP\x00\x00\x09\x01")
    assert seen == [b"AMQP\x00\x00\x09\x01"]
