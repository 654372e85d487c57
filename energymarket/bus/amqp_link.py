"""A bus's half that runs in its I/O loop: it connects, puts the topology in place, sends and takes,
and does all of it anew for as long as the bus is open. The other half is ``threaded``.

The library's callbacks only collect, and ``_drain`` does all the sending, once per batch of work.
The library itself is behind ``AmqpLibrary``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from typing import Any, Final

from energymarket.bus.amqp_frames import Arrived, Publisher
from energymarket.bus.amqp_library import AmqpLibrary
from energymarket.bus.amqp_session import Names, Session
from energymarket.bus.amqp_tags import Outgoing, Part
from energymarket.bus.amqp_topology import (
    MAX_PREFETCH,
    consumer_arguments,
    declare,
    to_declare_again,
)
from energymarket.bus.broker_trouble import INTERNAL_ERROR, NOT_FOUND, Retries
from energymarket.bus.counters import BusCounters
from energymarket.bus.inbox import Inbox
from energymarket.bus.loop_drivers import LoopDriver, OwnerDriver, ThreadDriver
from energymarket.bus.port import Connected, Disconnected, Returned, TopologyMaker
from energymarket.bus.pulse import Finding, Pulse
from energymarket.bus.rabbit_options import RabbitOptions
from energymarket.bus.threaded import Arrivals
from energymarket.telemetry import Log
from energymarket.topology import DEAD, Topology

_HANG_UP_S: Final = 0.4


class Link:
    """The half that runs in the I/O loop; only ``start``, ``submit`` and ``stop`` do not."""

    def __init__(
        self, library: AmqpLibrary, options: RabbitOptions, names: Names, retries: Retries, log: Log
    ) -> None:
        owner = None if options.own_thread else OwnerDriver()
        self._driver: LoopDriver = owner or ThreadDriver("rabbit-bus")
        self.inbox: Arrivals = Inbox(owner)
        self.counters = BusCounters()
        self.generation = 0
        self._library = library
        self._names = names
        self._log = log
        self._options = options
        self._retries = retries
        self._loop: Any = None
        self._retry_timer: Any = None
        self._maker: TopologyMaker = Topology
        self._connection: Any = None
        self._session: Session | None = None
        self._in_place: tuple[Any, Iterator[Topology]] = None, cycle(())
        self._unserved = ""  # the queue that it failed over
        self._work: deque[Part] = deque()
        self._scheduled = False
        self._stopping = False

    @property
    def is_up(self) -> bool:
        return self._session is not None

    def start(self, topology: TopologyMaker) -> None:
        self._maker = topology
        self._loop = self._library.new_loop()
        self._driver.start(self._loop, self._connect, self._stumbled)

    def submit(self, part: Part) -> None:
        self._work.append(part)
        self._schedule()

    def stop(self, timeout_s: float) -> None:
        self._driver.call(self._shut_down)
        if not self._driver.stop(timeout_s):
            self._log.warning("the connection to the broker did not close in time")

    def _stumbled(self) -> None:
        self._log.exception("the connection stumbled; starting it anew")
        self._hang_up("internal error")

    def _connect(self) -> None:
        connection = self._library.connect(self._loop, self._on_open, self._on_end)
        self._connection = connection
        connection.pulse = Pulse()
        connection.after_read = self.inbox.rouse
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)

    def _on_open(self, connection: Any) -> None:
        self._loop.call_later(self._options.beat_s, partial(self._beat, connection))
        self._open_channel(connection)

    def _beat(self, connection: Any) -> None:
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

    def _on_blocked(self, connection: Any, frame: Any) -> None:
        connection.pulse.blocked()
        self._retries.blocked(frame.method.reason)

    def _on_unblocked(self, connection: Any, _frame: Any) -> None:
        connection.pulse.unblocked()
        self._retries.unblocked()

    def _on_end(self, connection: Any, error: Exception) -> None:
        """The connection could not be made, broke, or is closed."""
        if connection is not self._connection:
            return
        self._connection = None
        code, reason = self._library.facts(error)
        if code == INTERNAL_ERROR or connection.pulse.why:
            self._unserved = connection.pulse.unserved
        self._end_session(reason)
        if self._stopping:
            self._driver.end()
            return
        if not self._library.was_closed_by_us(error):
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

    def _open_channel(self, connection: Any) -> None:
        if connection is self._connection and connection.is_open:
            channel = connection.channel(on_open_callback=self._on_channel_open)
            channel.add_on_close_callback(self._on_channel_closed)

    def _on_channel_open(self, channel: Any) -> None:
        # Not from within the library: it would take an error of the maker's for the network's.
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
                self._library.taking(take),
                auto_ack=done,
                consumer_tag=queue,
                arguments=arguments,
                callback=lambda frame: pulse.serves(frame.method.consumer_tag),
            )

    def _on_channel_closed(self, _channel: Any, error: Exception) -> None:
        connection = self._connection
        if connection is None or not connection.is_open:
            return  # the connection's own end says why
        code, reason = self._library.facts(error)
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
        """Publishes on the channel: as frames made here, or by the library if it has headers."""
        names, connection = self._names, channel.connection
        frame_max = connection.params.frame_max
        publisher = Publisher(channel.channel_number, frame_max, names)

        def publish(message: Outgoing) -> None:
            if message.headers is None and channel.is_open:
                connection.send_frames(publisher.frames(message))
                return
            self._library.publish(channel, message, names.properties(message))

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
        confirmed = self._library.is_ack(method)
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


def _prefetch(topology: Topology) -> int:
    return min(topology.prefetch, MAX_PREFETCH)
