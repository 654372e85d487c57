"""What parent and worker say to each other: MessagePack behind its length, through pipes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, Final

import msgspec

_LENGTH: Final = struct.Struct(">I")


class Begin(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """To a worker, first: what to host. ``sizes`` has the homes of each fleet."""

    amqp_url: str
    instance: str
    sizes: list[int]
    homes_per_message: int


class Go(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """To a worker that has joined: order from now on; see ``pacing.Schedule``.

    In open mode said twice: ``begin_at`` is infinite until the first tick that counts is open.
    """

    base_tick: int
    last_tick: int
    begin_at: float
    pace_s: float


class End(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """To a worker: leave the market, and end."""


class Sample(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """From a worker, once a second and when something has been reached.

    Counts, times and latencies are since the sample before; ``latencies`` as in
    ``latencies.Latencies``; ``held_s`` is how long a fleet has waited for the moments of its
    orders, on average. ``done``: the last tick that counts is settled for all its fleets;
    ``gone``: all have left; ``refusal``: why the broker will never have them, empty while it may.
    Moments are on the monotonic clock, 0 when they have not come.
    """

    run: str
    joined_fleets: int
    first_tick: int
    opened_tick: int
    settled_tick: int
    orders: int
    absent: int
    refused: int
    repeated: int
    unanswered: int
    latencies: dict[int, int]
    compute_s: float
    held_s: float
    encode_s: float
    decode_s: float
    messages_out: int
    messages_in: int
    reconnects: int
    cpu_s: float
    first_sent_at: float
    last_receipt_at: float
    done: bool
    gone: bool
    refusal: str


Command = Begin | Go | End

_encoder = msgspec.msgpack.Encoder()
_commands: Final = msgspec.msgpack.Decoder(Command)
_samples: Final = msgspec.msgpack.Decoder(Sample)


def send(pipe: IO[bytes], message: Command | Sample) -> None:
    """Writes one message; raises ``OSError`` when nobody reads any more."""
    body = _encoder.encode(message)
    pipe.write(_LENGTH.pack(len(body)) + body)
    pipe.flush()


def commands(pipe: IO[bytes]) -> Iterator[Command]:
    """What the parent says, until it closes the pipe or is gone."""
    return map(_commands.decode, _bodies(pipe))


def samples(pipe: IO[bytes]) -> Iterator[Sample]:
    """What a worker says, until it ends."""
    return map(_samples.decode, _bodies(pipe))


def _bodies(pipe: IO[bytes]) -> Iterator[bytes]:
    while len(head := pipe.read(_LENGTH.size)) == _LENGTH.size:
        (length,) = _LENGTH.unpack(head)
        body = pipe.read(length)
        if len(body) < length:
            return
        yield body
