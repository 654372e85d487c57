"""One example of each message, and the files that hold their bytes.

``python -m tests.contract.golden`` writes the files anew. What changes in them changes on the wire:
programs of others read these bytes, so a new ``version`` and a line in CHANGELOG.md go with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from energymarket.codec import encode
from energymarket.messages import (
    Bulletin,
    EventStart,
    Join,
    Leave,
    LiveEvent,
    Message,
    Offers,
    OpenedTick,
    Receipts,
    Refused,
    Requests,
    TickAwaited,
    TickOpened,
    TickSettled,
    Welcome,
)
from energymarket.policies import Policy

FOLDER: Final = Path(__file__).parent / "golden"

_RUN: Final = "9f86d081884c7d65"
_FLEET: Final = "2c26b46b68ffc68ff99b453c1d304134"
_SECRET: Final = "fcde2b2edba56bf408601fb721fe9b5c"
_PRICE: Final = 213_400

_OPENED: Final = TickOpened(
    run=_RUN,
    epoch=2,
    seed=42,
    tick=7,
    price_neur_per_wh=_PRICE,
    temperature_mdeg=-1_250,
    events=[
        LiveEvent(name="war", coefficient_neur_per_wh=20_000, remaining_ticks=12),
        LiveEvent(name="renewable_surplus", coefficient_neur_per_wh=-15_000, remaining_ticks=1),
    ],
    homes=4,
    degraded=False,
)

# One tick: 3 gives 8 what it lacks and spills what its stock cannot hold, 5 sells, 9 is absent.
EXAMPLES: Final[dict[type[Message], Message]] = {
    type(message): message
    for message in (
        TickAwaited(run=_RUN, epoch=2, seed=42, tick=7, missing=["external", "weather"]),
        _OPENED,
        TickSettled(
            run=_RUN,
            epoch=2,
            tick=7,
            price_neur_per_wh=_PRICE,
            next_price_neur_per_wh=239_758,
            homes=4,
            absent=1,
            given_wh=700,
            sold_wh=250,
            bought_wh=0,
            spilled_wh=50,
            unserved_wh=0,
            head_hash="8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4",
        ),
        Join(fleet=_FLEET, instance="home-1", homes=4),
        Leave(run=_RUN, fleet=_FLEET, secret=_SECRET),
        Welcome(
            run=_RUN,
            seed=42,
            fleet=_FLEET,
            secret=_SECRET,
            first_tick=3,
            settled_tick=6,
            home=[3, 5, 8, 9],
            stock_wh=[400, 0, 0, 0],
            opened=_OPENED,
        ),
        Offers(
            run=_RUN,
            fleet=_FLEET,
            secret=_SECRET,
            tick=7,
            home=[3, 5],
            policy=[Policy.GIVE_ONLY, Policy.SELL_ONLY],
            amount_wh=[1_150, 250],
            produced_wh=[1_500, 1_200],
            consumed_wh=[750, 950],
            stock_wh=[400, 0],
            capacity_wh=[400, 0],
        ),
        Requests(
            run=_RUN,
            fleet=_FLEET,
            secret=_SECRET,
            tick=7,
            home=[8],
            policy=[Policy.BUY_IF_NONE],
            amount_wh=[700],
            produced_wh=[100],
            consumed_wh=[800],
            stock_wh=[0],
            capacity_wh=[2_000],
        ),
        Receipts(
            run=_RUN,
            fleet=_FLEET,
            tick=7,
            price_neur_per_wh=_PRICE,
            late=False,
            home=[3, 5, 8, 9],
            present=[1, 1, 1, 0],
            net_wh=[-700, -250, 700, 0],
            given_wh=[700, 0, 0, 0],
            received_wh=[0, 0, 700, 0],
            sold_wh=[0, 250, 0, 0],
            bought_wh=[0, 0, 0, 0],
            spilled_wh=[50, 0, 0, 0],
            unserved_wh=[0, 0, 0, 0],
            stock_wh=[400, 0, 0, 0],
            charged_neur=[0, -53_350_000, 0, 0],
            balance_neur=[0, 106_700_000, -1_280_400_000, 0],
            gift_giver=[3],
            gift_taker=[8],
            gift_wh=[700],
            opened=OpenedTick(
                epoch=2, seed=42, tick=8, price_neur_per_wh=214_000, temperature_mdeg=-1_500
            ),
        ),
        Refused(
            run=_RUN,
            fleet=_FLEET,
            tick=7,
            reason="stock_mismatch",
            detail="the stock is not that of the home's last receipt",
            home=[9],
            stock_wh=[0],
        ),
        Bulletin(
            run=_RUN,
            tick=7,
            events=[
                EventStart(name="renewable_surplus", coefficient_neur_per_wh=-15_000, ttl_ticks=1),
            ],
        ),
    )
}


def golden_file(message_type: type[Message]) -> Path:
    """Where the bytes of a type's example are kept, with a line break at their end."""
    return FOLDER / f"{message_type.__name__}.json"


def write() -> None:
    """Writes every golden file."""
    FOLDER.mkdir(exist_ok=True)
    for message_type, message in EXAMPLES.items():
        golden_file(message_type).write_bytes(encode(message) + b"\n")


if __name__ == "__main__":
    write()
