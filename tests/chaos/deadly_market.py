"""The market with a weakness: ``python -m tests.chaos.deadly_market``.

It is the market as it runs anywhere else, but that one body kills it: as a fault in a decoder would
that ends the process, or one that takes all the memory. Nothing is caught, nothing is cleaned up.
"""

from __future__ import annotations

import os
import signal
from typing import Final

from energymarket import runtime
from energymarket.bus import threaded
from energymarket.codec import decode
from energymarket.messages import AnyMessage
from services.market.__main__ import run

DEADLY: Final = b"this body kills its reader"


def decode_or_die(body: bytes) -> AnyMessage:
    """``decode``, until the one body comes."""
    if body == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    return decode(body)


if __name__ == "__main__":
    threaded.decode = decode_or_die  # type: ignore[attr-defined]  # it is not exported there
    runtime.main(run)
