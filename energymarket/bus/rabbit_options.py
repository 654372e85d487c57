"""How the bus treats its connection to RabbitMQ."""

from __future__ import annotations

from dataclasses import dataclass

from energymarket.bus.pulse import BEAT_S


@dataclass(frozen=True, slots=True)
class RabbitOptions:
    """Times in seconds; the defaults suit a broker on the same network.

    ``heartbeat_s``: the broker forgets a connection that was silent for two to three times as long.
    ``beat_s``: how often to look whether the broker is still there; it is asked every third time,
    and given up after seven times without a word.
    ``blocked_timeout_s``: how long the broker may refuse to read (an alarm) before it is given up.
    ``missing_retry_s``: how often to look for an exchange that its owner has yet to declare.
    ``max_unconfirmed``: publications that may wait for the broker's word; more are dropped.
    ``corked``: what is sent together goes out in few writes.
    ``confirms``: the broker confirms what is published. Without, it counts as confirmed when it is
    sent, and a frame and a wake-up are saved for each: for who is answered by somebody else, and
    repeats itself until then.
    ``own_thread``: the connection has a thread of its own. Without, its owner serves it whenever it
    polls: for one that never computes for longer than a heartbeat.
    """

    heartbeat_s: int = 15
    beat_s: float = BEAT_S
    blocked_timeout_s: float = 30.0
    connect_timeout_s: float = 5.0
    first_retry_s: float = 0.2
    longest_retry_s: float = 3.0
    missing_retry_s: float = 0.5
    max_unconfirmed: int = 50_000
    corked: bool = True
    confirms: bool = True
    own_thread: bool = True
