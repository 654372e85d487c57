"""What a bus counts; every bus has one as ``counters``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class BusCounters:
    """Totals since the bus was made. Written by the bus alone; any thread may read.

    ``published`` went out; each of them becomes ``confirmed``, ``rejected`` (the broker refused it,
    a queue being full) or ``lost`` (the connection broke first; it may have arrived). A bus that
    asks for no confirms, as homes have, counts as ``confirmed`` what it has sent. ``dropped`` never
    went out: the broker was away, or too much was unconfirmed. ``returned`` are confirmed too:
    mandatory, and no queue wanted them. ``connects`` and ``disconnects`` differ by one while there
    is a connection. ``encode_s`` and ``decode_s`` are the owner's time between messages and bytes,
    in seconds, taken once per batch.
    """

    published: int = 0
    confirmed: int = 0
    rejected: int = 0
    lost: int = 0
    returned: int = 0
    dropped: int = 0
    delivered: int = 0
    refused: int = 0
    dead_lettered: int = 0
    connects: int = 0
    disconnects: int = 0
    encode_s: float = 0.0
    decode_s: float = 0.0

    @property
    def reconnects(self) -> int:
        """Connections after the first."""
        return max(self.connects - 1, 0)

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self.connects > self.disconnects
