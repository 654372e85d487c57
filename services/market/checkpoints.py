"""The named steps of a tick's life, for whoever wants to be called at them.

In production nobody is: the composition root hands in nothing. Tests hand in a function that ends
the process, or raises, at a step of their choice, to show that no step is a bad one to die at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

ORDER_RECEIVED: Final = "order received"
FLEET_STORED: Final = "fleet stored"
TICK_OPENED: Final = "tick opened"
TICK_COMPLETE: Final = "tick complete"
BEFORE_COMMIT: Final = "before commit"
AFTER_COMMIT: Final = "after commit"
RECEIPTS_SENT: Final = "receipts sent"

STEPS: Final = (
    ORDER_RECEIVED,
    FLEET_STORED,
    TICK_OPENED,
    TICK_COMPLETE,
    BEFORE_COMMIT,
    AFTER_COMMIT,
    RECEIPTS_SENT,
)

Checkpoint = Callable[[str], None]


def pass_by(_step: str) -> None:
    """What production does at every step."""
