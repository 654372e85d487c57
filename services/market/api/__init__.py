"""The market's REST API and its page, on FastAPI, in a thread of its own.

It reads the market's view and the ledger's history, and changes something only by a command that
the market's thread carries out between two steps. It never touches the bus.
"""

from services.market.api.app import create_app
from services.market.api.server import ApiServer

__all__ = ["ApiServer", "create_app"]
