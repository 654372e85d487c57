"""Fewer and larger reads and writes for a driver's connection, and a shorter way for deliveries.

To be mixed into pika's connection; no driver here. It steps in at pika's private methods: if one of
them were renamed, nothing here would be called and everything would go the way that it always did.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final

from energymarket.bus.amqp_frames import KINDS, Arrived, delivery_at, frame_end

_MAX_WRITE_BYTES: Final = 64 * 1024
_MAX_READ_BYTES: Final = 64 * 1024
"""pika reads 4 KiB at a time; a large message would be put together from hundreds of pieces."""


class Wire:
    """``deliveries`` has, by consumer tag, who takes a delivery without the driver's help;
    ``after_read`` is called when all that came in at once has been taken."""

    after_read: Callable[[], None] = staticmethod(lambda: None)

    is_closed: bool
    bytes_received: int
    _transport: Any
    _frame_buffer: bytes

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.deliveries: dict[bytes, Callable[[Arrived], None]] = {}
        self._held: list[bytes] | None = None
        self._held_bytes = 0
        super().__init__(*arguments, **named)

    # ----------------------------------------------------------------------------------- writing

    def cork(self) -> None:
        """Holds back frames until ``uncork``, or until there are enough for a write."""
        self._held = []

    def uncork(self) -> None:
        """Writes what is held back; does nothing if not corked."""
        self._write_held()
        self._held = None

    def send_frames(self, frames: bytes) -> None:
        """Writes frames that are bytes already, in their turn."""
        self._output_marshaled_frames([frames])

    def _output_marshaled_frames(self, marshaled_frames: Sequence[bytes]) -> None:
        if self._held is None:
            super()._output_marshaled_frames(marshaled_frames)  # type: ignore[misc]  # pika's
            return
        self._held += marshaled_frames
        self._held_bytes += sum(map(len, marshaled_frames))
        if self._held_bytes >= _MAX_WRITE_BYTES:
            self._write_held()

    def _write_held(self) -> None:
        if self._held:
            super()._output_marshaled_frames([b"".join(self._held)])  # type: ignore[misc]  # pika's
            self._held.clear()
            self._held_bytes = 0

    def _adapter_emit_data(self, data: bytes) -> None:
        """Sends what the socket takes at once, where pika would first ask the poller about it."""
        transport = self._transport
        plain = type(getattr(transport, "_sock", None)) is socket.socket  # not one with TLS
        if plain and not transport.get_write_buffer_size():
            with contextlib.suppress(OSError):  # it takes nothing now, or is broken: pika finds out
                data = data[transport._sock.send(data) :]
        if data:
            super()._adapter_emit_data(data)  # type: ignore[misc]  # pika's

    # ----------------------------------------------------------------------------------- reading

    def _proto_connection_made(self, transport: Any) -> None:
        if hasattr(transport, "_MAX_RECV_BYTES"):
            transport._MAX_RECV_BYTES = _MAX_READ_BYTES
        super()._proto_connection_made(transport)  # type: ignore[misc]  # pika's

    def _on_data_available(self, data_in: bytes) -> None:
        """Takes whole deliveries out of what came in and gives pika the rest, frame by frame: it
        cuts all that it holds anew for each frame, so that it had better not hold many."""
        self._take_in(data_in)
        self.after_read()

    def _take_in(self, data_in: bytes) -> None:
        data = self._frame_buffer + data_in if self._frame_buffer else data_in
        self._frame_buffer = b""
        begin = 0
        while begin < len(data) and not self.is_closed:
            arrived = delivery_at(data, begin) if self.deliveries else None
            take = self.deliveries.get(arrived.consumer) if arrived else None
            if arrived and take:
                self.bytes_received += arrived.end - begin
                begin = arrived.end
                take(arrived)
                continue
            end = frame_end(data, begin) if data[begin] in KINDS else len(data)
            if not end:
                self._frame_buffer = data[begin:]
                return
            super()._on_data_available(data[begin:end])  # type: ignore[misc]  # pika's
            begin = end
