"""A plain AMQP client beside the bus: looks into queues, publishes what no bus of ours would."""

from __future__ import annotations

from typing import Any, NamedTuple

import pika  # type: ignore[import-untyped]  # it has annotations, but no py.typed
from pika.exceptions import ChannelClosedByBroker  # type: ignore[import-untyped]


class Found(NamedTuple):
    """A message taken out of a queue."""

    body: bytes
    headers: dict[str, Any]
    properties: Any = None
    exchange: str = ""


class RabbitProbe:
    """One blocking connection; for a single test, on the thread of the test."""

    def __init__(self, url: str) -> None:
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel = self._connection.channel()

    def publish(self, exchange: str, routing_key: str, body: bytes) -> None:
        """Publishes any bytes."""
        self.channel.basic_publish(exchange, routing_key, body)

    def take(self, queue: str) -> list[Found]:
        """All that is ready in ``queue``, oldest first; it is gone from there."""
        found: list[Found] = []
        while True:
            method, properties, body = self.channel.basic_get(queue, auto_ack=True)
            if method is None:
                return found
            found.append(Found(body, properties.headers or {}, properties, method.exchange))

    def ready(self, queue: str) -> int | None:
        """How many messages wait in ``queue``; None if there is no such queue."""
        try:
            declared = self.channel.queue_declare(queue, passive=True)
        except ChannelClosedByBroker as error:
            self.channel = self._connection.channel()
            if error.reply_code == 405:  # somebody's exclusive queue: there, but not for us to see
                return 0
            return None
        return int(declared.method.message_count)

    def given_back(self, queue: str) -> int | None:
        """How many of the messages in ``queue`` have been delivered before and came back; None
        while somebody consumes it. They are all put back, so that a second look counts them all."""
        declared = self.channel.queue_declare(queue, passive=True)
        if declared.method.consumer_count:
            return None
        back = last = 0
        for _ in range(declared.method.message_count):
            method, _properties, _body = self.channel.basic_get(queue)
            if method is None:
                break
            back, last = back + method.redelivered, method.delivery_tag
        if last:
            self.channel.basic_nack(last, multiple=True)
        return back

    def close(self, names: list[str]) -> None:
        """Deletes the queues and exchanges called ``names``, and disconnects."""
        for name in names:
            self.channel.queue_delete(name)
            self.channel.exchange_delete(name)
        self._connection.close()
