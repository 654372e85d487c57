"""The six trading policies, by the number that an order carries."""

from __future__ import annotations

from enum import IntEnum


class Policy(IntEnum):
    """What a home does with a surplus (1 to 3) or with a need (4 to 6).

    ``GIVE_ONLY``     gives its surplus; what finds no taker goes to the stock
    ``SELL_ONLY``     sells its surplus to the market
    ``SELL_IF_NONE``  gives first, sells what found no taker
    ``ASK_ONLY``      waits for a giver; what finds none stays unserved
    ``BUY_ONLY``      buys its need from the market
    ``BUY_IF_NONE``   asks first, buys the rest
    """

    GIVE_ONLY = 1
    SELL_ONLY = 2
    SELL_IF_NONE = 3
    ASK_ONLY = 4
    BUY_ONLY = 5
    BUY_IF_NONE = 6

    @property
    def label(self) -> str:
        """The name that settings, logs and the API use."""
        return self.name.lower()


SURPLUS_POLICIES = (Policy.GIVE_ONLY, Policy.SELL_ONLY, Policy.SELL_IF_NONE)
NEED_POLICIES = (Policy.ASK_ONLY, Policy.BUY_ONLY, Policy.BUY_IF_NONE)
