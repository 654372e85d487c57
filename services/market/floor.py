"""The trading floor: the state that the market's parts share. It holds; others decide."""

from __future__ import annotations

from dataclasses import dataclass, field

from energymarket.bus.port import Delivery
from energymarket.messages import TickOpened
from energymarket.tracing import NO_SPAN, Span, Tracer
from services.market.books import Books
from services.market.checkpoints import Checkpoint
from services.market.domain.membership import Fleet
from services.market.domain.order_book import OrderBook
from services.market.domain.record import Opening, SettledTick
from services.market.domain.settlement import Roster
from services.market.inputs import Inputs
from services.market.metrics import MarketMetrics
from services.market.presence import Presence


@dataclass(slots=True)
class OpenTick:
    """The tick that is open: what it started with, who is in it, what has come in.

    ``held`` are the deliveries that may be acknowledged once the tick is in the ledger; ``settled``
    is set when the orders are complete and only the ledger is still to take them. ``span`` is open
    as long as the tick.
    """

    opening: Opening
    fleets: list[Fleet]
    roster: Roster
    book: OrderBook
    announced: TickOpened
    opened_at: float
    announce_at: float
    held: list[Delivery] = field(default_factory=list)
    settled: SettledTick | None = None
    span: Span = NO_SPAN


@dataclass(slots=True)
class Floor:
    """Books (what is settled), inputs and presence (what is known), and the tick that is open.

    ``checkpoint`` is told each step of a tick's life. ``homes_per_message`` has, by instance, what
    a fleet wants in one message of receipts, where it said so; a restarted market has forgotten it
    and sends as many as fit, which every home understands. ``taking_s`` is the time spent on
    deliveries since the last tick was settled.
    """

    books: Books
    inputs: Inputs
    presence: Presence
    metrics: MarketMetrics
    checkpoint: Checkpoint
    open_tick: OpenTick | None = None
    homes_per_message: dict[str, int] = field(default_factory=dict)
    taking_s: float = 0.0
    tracer: Tracer = field(default_factory=Tracer)

    @property
    def coming_tick(self) -> int:
        """The first tick that is not open yet; a fleet that joins now takes part from it on."""
        return self.books.tick + (2 if self.open_tick else 1)
