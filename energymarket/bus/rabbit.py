"""The bus on RabbitMQ. The only file that knows pika.

``threaded_bus`` is the owner's half. Here is the other one, a thread that runs pika's loop: pika's
callbacks only collect, and ``_drain`` does all the sending, once per batch of work. So heartbeats
go on while the owner computes.

pika's errors end here: a connection that cannot be had is no error to the owner, only a
``Disconnected`` and one line in the log, and the link tries again for as long as the bus is open.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from typing import Any, Final

import pika  # type: ignore[import-untyped]  # it has annotations, but no py.typed
from pika import exceptions, spec
from pika.adapters.select_connection import IOLoop  # type: ignore[import-untyped]

from energymarket.backoff import Backoff
from energymarket.bus.amqp_frames import Arrived, Publisher
from energymarket.bus.amqp_session import Names, Session
from energymarket.bus.amqp_tags import Batch, Outgoing
from energymarket.bus.amqp_topology import (
    MAX_PREFETCH,
    consumer_arguments,
    declare,
    to_declare_again,
)
from energymarket.bus.amqp_wire import Wire
from energymarket.bus.broker_trouble import (
    ACCESS_REFUSED,
    INTERNAL_ERROR,
    NOT_ALLOWED,
    NOT_FOUND,
    Retries,
    facts,
)
from energymarket.bus.counters import BusCounters
from energymarket.bus.inbox import Inbox
from energymarket.bus.loop_drivers import LoopDriver, OwnerDriver, ThreadDriver
from energymarket.bus.port import Connected, Disconnected, Returned, TopologyMaker
from energymarket.bus.pulse import Finding, Pulse
from energymarket.bus.rabbit_options import RabbitOptions
from energymarket.bus.threaded import Arrivals, ThreadedBus
from energymarket.clock import Clock, SystemClock
from energymarket.errors import BusError
from energymarket.settings import without_password
from energymarket.telemetry import Log
from energymarket.topology import DEAD, Topology
from energymarket.tracing import trace_in

_CODES: Final[dict[type, int]] = {
    exceptions.ProbableAuthenticationError: ACCESS_REFUSED,
    exceptions.ProbableAccessDeniedError: NOT_ALLOWED,
}
_HANG_UP_S: Final = 0.4


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
        parameters = _parameters(url, name, app_id, options)
        names = Names(app_id, clock)
        backoff = Backoff(options.first_retry_s, options.longest_retry_s)
        retries = Retries(log, clock, without_password(url), backoff)
        link = _Link(parameters, options, names, retries, log)
        super().__init__(link, link.inbox, link.counters, options.max_unconfirmed)


class _Link:
    """The half that runs in the I/O loop; only ``start``, ``submit`` and ``stop`` do not."""

    def __init__(
        self, parameters: Any, options: RabbitOptions, names: Names, retries: Retries, log: Log
    ) -> None:
        logging.getLogger("pika").setLevel(logging.CRITICAL)  # what it says is said here, once
        owner = None if options.own_thread else OwnerDriver()
        self._driver: LoopDriver = owner or ThreadDriver("rabbit-bus")
        self.inbox: Arrivals = Inbox(owner)
        self.counters = BusCounters()
        self.generation = 0
        self._parameters = parameters
        self._names = names
        self._log = log
        self._options = options
        self._retries = retries
        self._loop: Any = None
        self._retry_timer: Any = None
        self._maker: TopologyMaker = Topology
        self._connection: _Connection | None = None
        self._session: Session | None = None
        self._in_place: tuple[Any, Iterator[Topology]] = None, cycle(())
        self._unserved = ""  # the queue that it failed over
        self._work: deque[Batch] = deque()
        self._scheduled = False
        self._stopping = False

    @property
    def is_up(self) -> bool:
        return self._session is not None

    def start(self, topology: TopologyMaker) -> None:
        self._maker = topology
        self._loop = IOLoop()
        self._driver.start(self._loop, self._connect, self._stumbled)

    def submit(self, batch: Batch) -> None:
        self._work.append(batch)
        self._schedule()

    def stop(self, timeout_s: float) -> None:
        self._driver.call(self._shut_down)
        if not self._driver.stop(timeout_s):
            self._log.warning("the connection to the broker did not close in time")

    def _stumbled(self) -> None:
        self._log.exception("the connection stumbled; starting it anew")
        self._hang_up("internal error")

    def _connect(self) -> None:
        self._connection = connection = _Connection(
            self._parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_end,
            on_close_callback=self._on_end,
            custom_ioloop=self._loop,
        )
        connection.pulse = Pulse()
        connection.after_read = self.inbox.rouse
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)

    def _on_open(self, connection: _Connection) -> None:
        self._loop.call_later(self._options.beat_s, partial(self._beat, connection))
        self._open_channel(connection)

    def _beat(self, connection: _Connection) -> None:
        """Looks whether the broker is still there, and asks it where that cannot be seen."""
        if connection is not self._connection or not connection.is_open:
            return
        finding = connection.pulse.beat(connection.bytes_received)
        if finding is Finding.GIVE_UP:
            connection.abort(connection.pulse.why)
            return
        if finding is Finding.ASK:
            self._ask(connection.pulse)
        self._loop.call_later(self._options.beat_s, partial(self._beat, connection))

    def _ask(self, pulse: Pulse) -> None:
        """Declares what is ours again, one part after the other: what was deleted is back, and the
        broker has to answer.

        Nobody else would notice that an exchange or a binding is gone which this process only
        reads from. Whatever is missing and not ours closes the channel, which is noticed.
        """
        channel, parts = self._in_place
        if self._session is None or not channel.is_open:
            pulse.answered()
            return
        part = next(parts)
        declare(channel, part)
        prefetch = _prefetch(part)
        channel.basic_qos(prefetch_count=prefetch, callback=lambda _: pulse.answered())

    def _on_blocked(self, connection: _Connection, frame: Any) -> None:
        connection.pulse.blocked()
        self._retries.blocked(frame.method.reason)

    def _on_unblocked(self, connection: _Connection, _frame: Any) -> None:
        connection.pulse.unblocked()
        self._retries.unblocked()

    def _on_end(self, connection: _Connection, error: Exception) -> None:
        """The connection could not be made, broke, or is closed."""
        if connection is not self._connection:
            return
        self._connection = None
        code, reason = facts(error, _CODES)
        if code == INTERNAL_ERROR or connection.pulse.why:
            self._unserved = connection.pulse.unserved
        self._end_session(reason)
        if self._stopping:
            self._driver.end()
            return
        if not isinstance(error, exceptions.ConnectionClosedByClient):
            self._retries.failed(code, reason)
        self._retry()

    def _retry(self) -> None:
        if self._retry_timer is not None:
            self._loop.remove_timeout(self._retry_timer)
        self._retry_timer = self._loop.call_later(self._retries.wait_s(), self._connect)

    def _shut_down(self) -> None:
        self._stopping = True
        self._drain()
        if self._connection is None:
            self._driver.end()
        else:
            self._hang_up("closed")

    def _hang_up(self, reason: str) -> None:
        """Closes the connection; a broker that does not answer to that is left without a word."""
        self._end_session(reason)
        connection = self._connection
        if connection is None:
            self._retry()
            return
        if not (connection.is_closing or connection.is_closed):
            connection.close()
        self._loop.call_later(_HANG_UP_S, partial(connection.abort, reason))

    def _end_session(self, reason: str) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        session.end()
        self._lose_work()
        self._retries.lost()
        if not self._stopping:
            self.inbox.put(Disconnected(reason))

    def _open_channel(self, connection: _Connection) -> None:
        if connection is self._connection and connection.is_open:
            channel = connection.channel(on_open_callback=self._on_channel_open)
            channel.add_on_close_callback(self._on_channel_closed)

    def _on_channel_open(self, channel: Any) -> None:
        # Not from within pika, which would take an error of the maker's for one of the network's.
        self._loop.add_callback_threadsafe(partial(self._set_up, channel))

    def _set_up(self, channel: Any) -> None:
        """Asks for everything at once; the answer to the last question says that all is there."""
        topology = self._maker()
        if not channel.is_open:
            return
        channel.add_on_cancel_callback(self._on_cancelled)
        if self._options.confirms:
            channel.confirm_delivery(self._on_confirm)
        self._delete_unserved(channel, topology)
        declare(channel, topology)
        ready = partial(self._on_ready, channel, topology)
        channel.basic_qos(prefetch_count=_prefetch(topology), callback=ready)

    def _delete_unserved(self, channel: Any, topology: Topology) -> None:
        """A quorum queue whose broker died as it was made may never find a leader again: it is
        there, and whoever wants to consume it is thrown out. Only making it anew helps."""
        name, self._unserved = self._unserved, ""
        if any(queue.name == name and queue.said_again for queue in topology.queues):
            self._log.warning("the broker cannot serve a queue; making it anew", queue=name)
            channel.queue_delete(name)

    def _on_ready(self, channel: Any, topology: Topology, _frame: Any) -> None:
        self.generation += 1
        self.counters.connects += 1
        self._retries.connected()
        session = Session(
            channel,
            self.generation,
            self.counters,
            self._publisher(channel),
            confirms=self._options.confirms,
        )
        self._session = session
        self._in_place = channel, cycle(to_declare_again(topology))
        channel.add_on_return_callback(partial(self._on_return, topology))
        self.inbox.put(Connected(self.generation, topology))
        pulse = channel.connection.pulse
        pulse.consume(topology.consumes)
        done_with = {queue.name for queue in topology.queues if queue.acknowledged_on_delivery}
        arguments = consumer_arguments(topology, self.generation)
        for queue in topology.consumes:
            done = queue in done_with
            take = partial(self._take, session, queue, done)
            channel.connection.deliveries[queue.encode()] = take
            channel.basic_consume(
                queue,
                partial(_by_the_driver, take),
                auto_ack=done,
                consumer_tag=queue,
                arguments=arguments,
                callback=lambda frame: pulse.serves(frame.method.consumer_tag),
            )

    def _on_channel_closed(self, _channel: Any, error: Exception) -> None:
        connection = self._connection
        if connection is None or not connection.is_open:
            return  # the connection's own end says why
        code, reason = facts(error, _CODES)
        self._retries.failed(code, reason)
        if code == NOT_FOUND and self._session is None:
            retry = partial(self._open_channel, connection)
            self._loop.call_later(self._options.missing_retry_s, retry)
        else:
            self._hang_up(reason)

    def _on_cancelled(self, frame: Any) -> None:
        queue = frame.method.consumer_tag
        self._log.warning("a queue was deleted; declaring it again", queue=queue)
        self._hang_up(f"queue {queue} was deleted")

    def _publisher(self, channel: Any) -> Callable[[Outgoing], None]:
        """Publishes on the channel: as frames made here, or what has headers as the driver does."""
        names, connection = self._names, channel.connection
        frame_max = connection.params.frame_max
        publisher = Publisher(channel.channel_number, frame_max, names)

        def publish(message: Outgoing) -> None:
            if message.headers is None and channel.is_open:
                connection.send_frames(publisher.frames(message))
                return
            properties = spec.BasicProperties(**names.properties(message))
            exchange, key = message.exchange, message.routing_key
            channel.basic_publish(exchange, key, message.body, properties, message.mandatory)

        return publish

    def _take(self, session: Session, queue: str, done: bool, came: Arrived) -> None:
        if not done:
            session.unacknowledged.add(came.tag)
        self.inbox.add(
            (
                session.generation,
                queue,
                came.exchange,
                came.routing_key,
                came.redelivered,
                came.tag,
                came.body,
                came.trace,
            )
        )

    def _on_return(
        self, topology: Topology, _channel: Any, method: Any, properties: Any, _body: bytes
    ) -> None:
        self.counters.returned += 1
        self.inbox.put(Returned(method.exchange, method.routing_key, properties.type or ""))
        if method.exchange == DEAD and any(b.exchange == DEAD for b in topology.bindings):
            # Its queue is ours, and gone. The confirm that follows would acknowledge the original.
            self._log.warning("a dead letter found no queue; declaring it again")
            self._hang_up("the queue of dead letters was deleted")

    def _on_confirm(self, frame: Any) -> None:
        session, method = self._session, frame.method
        if session is None:
            return
        confirmed = isinstance(method, spec.Basic.Ack)
        if session.on_confirm(method.delivery_tag, multiple=method.multiple, confirmed=confirmed):
            self._schedule()
        self.inbox.nudge()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._driver.call(self._drain)

    def _drain(self) -> None:
        """Sends all that was submitted, then settles what has been confirmed."""
        self._scheduled = False  # first: what is submitted from here on schedules another
        session, connection = self._session, self._connection
        if session is None or connection is None:
            self._lose_work()
            return
        if self._options.corked:
            connection.cork()
        try:
            session.settle()  # before what is newer, so that a confirm of that says this is done
            while self._work:
                session.send(self._work.popleft())
            session.settle()
        finally:
            connection.uncork()

    def _lose_work(self) -> None:
        while self._work:
            self.counters.lost += len(self._work.popleft().messages)
        self.inbox.nudge()


class _Connection(Wire, pika.SelectConnection):  # type: ignore[misc]  # untyped base
    """pika's connection, which can also end without a word."""

    pulse: Pulse

    def abort(self, reason: str) -> None:
        """Ends the connection without waiting for the broker's answer."""
        if not self.is_closed:
            self._terminate_stream(exceptions.StreamLostError(reason))


def _by_the_driver(
    take: Callable[[Arrived], None], _channel: Any, method: Any, properties: Any, body: bytes
) -> None:
    tag, again, trace = method.delivery_tag, method.redelivered, trace_in(properties.headers)
    take(Arrived(0, b"", tag, again, method.exchange, method.routing_key, body, trace))


def _prefetch(topology: Topology) -> int:
    return min(topology.prefetch, MAX_PREFETCH)


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
