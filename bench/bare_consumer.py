"""The market's half of the floor, once more in plain pika: ``python -m bench.bare_consumer``.

Consumes the market's queue, answers each message with the same bytes, and acknowledges it once the
broker has confirmed the answer, as ``floor.c`` does; nothing is decoded or computed. Where the
broker is, its prefetch and the file of the answer come from the environment.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Final

import pika  # type: ignore[import-untyped]  # it has annotations, but no py.typed
from pika import spec

from bench.bare_loop import AMQP_URL
from energymarket import topology

PREFETCH: Final = "BENCH_PREFETCH"
ANSWER: Final = "BENCH_ANSWER"
READY: Final = "ready"


class _Consumer:
    """Answers are published in the order of the deliveries, so both have the same tags."""

    def __init__(self, url: str, prefetch: int, answer: bytes) -> None:
        self._prefetch, self._answer = prefetch, answer
        self._published = self._acknowledged = 0
        self._confirmed: set[int] = set()
        parameters = pika.URLParameters(url)
        self._connection = pika.SelectConnection(parameters, on_open_callback=self._on_open)

    def run(self) -> None:
        self._connection.ioloop.start()

    def _on_open(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Any) -> None:
        self._channel = channel
        channel.confirm_delivery(self._on_confirm)
        channel.basic_qos(prefetch_count=self._prefetch)
        channel.basic_consume(
            topology.ORDERS_QUEUE, self._on_order, callback=lambda _: print(READY, flush=True)
        )

    def _on_order(self, channel: Any, method: Any, _properties: Any, _body: bytes) -> None:
        self._published += 1
        properties = pika.BasicProperties(
            content_type="application/json",
            delivery_mode=1,
            type="Receipts",
            app_id="bench",
            message_id=f"0123456789abcdef0123456789abcdef-{self._published}",
            timestamp=int(time.time()),
        )
        key = method.routing_key.removeprefix(topology.order_key(""))
        channel.basic_publish(topology.RECEIPTS, key, self._answer, properties, mandatory=True)

    def _on_confirm(self, frame: Any) -> None:
        assert isinstance(frame.method, spec.Basic.Ack)
        before, tag = self._acknowledged, frame.method.delivery_tag
        if frame.method.multiple:
            self._acknowledged = max(tag, before)
            self._confirmed = {each for each in self._confirmed if each > tag}
        else:
            self._confirmed.add(tag)
        while self._acknowledged + 1 in self._confirmed:
            self._acknowledged += 1
            self._confirmed.remove(self._acknowledged)
        if self._acknowledged > before:
            self._channel.basic_ack(self._acknowledged, multiple=True)


if __name__ == "__main__":
    _Consumer(
        os.environ[AMQP_URL], int(os.environ[PREFETCH]), Path(os.environ[ANSWER]).read_bytes()
    ).run()
