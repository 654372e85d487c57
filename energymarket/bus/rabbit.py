"""The bus on RabbitMQ. The only file that knows pika.

``threaded`` is the owner's half of a bus, ``amqp_link`` the one in the I/O loop; here is what both
leave to the library. So heartbeats go on while the owner computes.

pika's errors end here: a connection that cannot be had is no error to the owner, only a
``Disconnected`` and one line in the log, and the link tries again for as long as the bus is open.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pika  # type: ignore[import-untyped]  # it has annotations, but no py.typed
from pika import exceptions, spec
from pika.adapters.select_connection import IOLoop  # type: ignore[import-untyped]

from energymarket.backoff import Backoff
from energymarket.bus.amqp_frames import Arrived
from energymarket.bus.amqp_link import Link
from energymarket.bus.amqp_session import Names
from energymarket.bus.amqp_tags import Outgoing
from energymarket.bus.amqp_wire import Wire
from energymarket.bus.broker_trouble import ACCESS_REFUSED, NOT_ALLOWED, Retries, Trouble, facts
from energymarket.bus.pulse import Pulse
from energymarket.bus.rabbit_options import RabbitOptions
from energymarket.bus.threaded import ThreadedBus
from energymarket.clock import Clock, SystemClock
from energymarket.errors import BusError
from energymarket.settings import without_password
from energymarket.telemetry import Log
from energymarket.tracing import trace_in

_CODES: Final[dict[type, int]] = {
    exceptions.ProbableAuthenticationError: ACCESS_REFUSED,
    exceptions.ProbableAccessDeniedError: NOT_ALLOWED,
}


class RabbitBus(ThreadedBus):
    """The ``Bus`` port on a RabbitMQ broker, 3.10 to 4.x."""

    def __init__(
        self,
        *,
        url: str,
        name: str,
        app_id: str,
        log: Log,
        options: RabbitOptions | None = None,
        clock: Clock | None = None,
    ) -> None:
        """``name`` is what the broker shows for the connection; raises ``BusError`` for a bad URL.

        Nothing connects before ``open``.
        """
        options = options or RabbitOptions()
        clock = clock or SystemClock()
        library = _Pika(_parameters(url, name, app_id, options))
        names = Names(app_id, clock)
        backoff = Backoff(options.first_retry_s, options.longest_retry_s)
        self._retries = Retries(log, clock, without_password(url), backoff)
        link = Link(library, options, names, self._retries, log)
        super().__init__(link, link.inbox, link.counters, options.max_unconfirmed)

    @property
    def trouble(self) -> Trouble | None:
        """Why there is no connection, as far as is known; any thread may ask."""
        return self._retries.trouble


class _Pika:
    """pika, as the link asks for it."""

    def __init__(self, parameters: Any) -> None:
        logging.getLogger("pika").setLevel(logging.CRITICAL)  # what it says the link says, once
        self._parameters = parameters

    def new_loop(self) -> Any:
        return IOLoop()

    def connect(
        self,
        loop: Any,
        on_open: Callable[[Any], None],
        on_end: Callable[[Any, Exception], None],
    ) -> _Connection:
        return _Connection(
            self._parameters,
            on_open_callback=on_open,
            on_open_error_callback=on_end,
            on_close_callback=on_end,
            custom_ioloop=loop,
        )

    def facts(self, error: Exception) -> tuple[int, str]:
        return facts(error, _CODES)

    def was_closed_by_us(self, error: Exception) -> bool:
        return isinstance(error, exceptions.ConnectionClosedByClient)

    def is_ack(self, method: Any) -> bool:
        return isinstance(method, spec.Basic.Ack)

    def publish(self, channel: Any, message: Outgoing, properties: dict[str, Any]) -> None:
        exchange, key = message.exchange, message.routing_key
        header = spec.BasicProperties(**properties)
        channel.basic_publish(exchange, key, message.body, header, message.mandatory)

    def taking(self, take: Callable[[Arrived], None]) -> Callable[..., None]:
        return partial(_taken, take)


def _taken(
    take: Callable[[Arrived], None], _channel: Any, method: Any, properties: Any, body: bytes
) -> None:
    tag, again, trace = method.delivery_tag, method.redelivered, trace_in(properties.headers)
    take(Arrived(0, b"", tag, again, method.exchange, method.routing_key, body, trace))


class _Connection(Wire, pika.SelectConnection):  # type: ignore[misc]  # untyped base
    """pika's connection, which can also end without a word."""

    pulse: Pulse

    def abort(self, reason: str) -> None:
        """Ends the connection without waiting for the broker's answer."""
        if not self.is_closed:
            self._terminate_stream(exceptions.StreamLostError(reason))


def _parameters(url: str, name: str, app_id: str, options: RabbitOptions) -> Any:
    try:
        parameters = pika.URLParameters(url)
    except (ValueError, TypeError) as error:
        raise BusError(f"{without_password(url)} is not an AMQP URL; see pika's URLs") from error
    if parameters.heartbeat is None:  # what the URL says of it stands
        parameters.heartbeat = options.heartbeat_s
    parameters.blocked_connection_timeout = options.blocked_timeout_s
    parameters.socket_timeout = options.connect_timeout_s
    parameters.stack_timeout = options.connect_timeout_s
    parameters.connection_attempts = 1
    parameters.client_properties = {"connection_name": name, "product": app_id}
    return parameters
