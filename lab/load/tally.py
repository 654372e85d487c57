"""What a worker counts between two samples."""

from __future__ import annotations

from dataclasses import dataclass, field

from energymarket.bus.counters import BusCounters
from lab.load.latencies import Latencies


@dataclass(slots=True)
class Tally:
    """Counts and times since the last ``clear``; the moments are kept for good."""

    orders: int = 0
    absent: int = 0
    refused: int = 0
    repeated: int = 0
    unanswered: int = 0
    compute_s: float = 0.0
    held_s: float = 0.0
    messages_out: int = 0
    messages_in: int = 0
    latencies: Latencies = field(default_factory=Latencies)
    first_sent_at: float = 0.0
    last_receipt_at: float = 0.0
    encoded_s: float = 0.0
    decoded_s: float = 0.0
    cpu_s: float = 0.0

    def sent(self, now: float) -> None:
        """Orders that count went out."""
        self.first_sent_at = self.first_sent_at or now

    def settled(self, orders: int, latency_s: float, now: float) -> None:
        """That many orders of a tick that counts have their receipts."""
        self.orders += orders
        self.latencies.record(latency_s, orders)
        self.last_receipt_at = now

    def clear(self, counters: BusCounters, cpu_s: float) -> None:
        """Begins anew; the totals of bus and processor are those up to here."""
        self.orders = self.absent = self.refused = self.repeated = self.unanswered = 0
        self.messages_out = self.messages_in = 0
        self.compute_s = self.held_s = 0.0
        self.encoded_s, self.decoded_s = counters.encode_s, counters.decode_s
        self.cpu_s = cpu_s
