"""The ledger: the one place with SQL. One transaction per tick, synced before it returns."""

from services.market.ledger.history import Headline, History, PriceRow, StoredEvent
from services.market.ledger.inspection import Inspection
from services.market.ledger.ledger import Ledger, World
from services.market.ledger.retention import Retention
from services.market.ledger.tables import TEMPORARY

__all__ = [
    "TEMPORARY",
    "Headline",
    "History",
    "Inspection",
    "Ledger",
    "PriceRow",
    "Retention",
    "StoredEvent",
    "World",
]
