"""Every message of the system: frozen, versioned, in integers.

An event is named in the past tense (``TickOpened``), a demand in the imperative (``Join``). The
homes of one process, a *fleet*, travel as columns: ``home[i]``, ``amount_wh[i]``, … belong
together, and all columns of a message have the same length. A column is a list or, if
it is long, an ``array`` (``columns``). ``codec`` turns messages into JSON and back and enforces the
limits stated here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

# Limits. Wide enough for any home or price that makes sense (100 MWh in an hour, 10,000 EUR/kWh),
# narrow enough that what a tick costs a home, and sums over a million homes, fit into 64 bits.
MAX_HOMES_PER_FLEET = 1_000_000
MOST_HOMES_PER_MESSAGE = 50_000
"""So many receipts, with two gifts to a home, fit into a body (``codec.MAX_BODY_BYTES``) however
long their numbers are; a larger fleet divides its orders, and asks for its receipts so."""
MAX_ENERGY_WH = 10**8
MAX_PRICE_NEUR_PER_WH = 10**10
MAX_MONEY_NEUR = 9 * 10**18

Tick = Annotated[int, Meta(ge=0, le=2**53)]
Count = Annotated[int, Meta(ge=0, le=10**9)]
EnergyWh = Annotated[int, Meta(ge=0, le=MAX_ENERGY_WH)]
# What a tick does to a home comes from its stock and its production together.
OutcomeWh = Annotated[int, Meta(ge=0, le=2 * MAX_ENERGY_WH)]
SignedOutcomeWh = Annotated[int, Meta(ge=-2 * MAX_ENERGY_WH, le=2 * MAX_ENERGY_WH)]
TotalWh = Annotated[int, Meta(ge=0, le=2**62)]
PriceNeurPerWh = Annotated[int, Meta(ge=-MAX_PRICE_NEUR_PER_WH, le=MAX_PRICE_NEUR_PER_WH)]
MoneyNeur = Annotated[int, Meta(ge=-MAX_MONEY_NEUR, le=MAX_MONEY_NEUR)]
TemperatureMdeg = Annotated[int, Meta(ge=-273_150, le=1_000_000)]
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]
HomeId = Annotated[int, Meta(ge=1, le=2**31 - 1)]
PolicyId = Annotated[int, Meta(ge=1, le=6)]
# $ alone would let a last line break pass.
Key = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$(?!\n)")]
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$(?!\n)")]
Text = Annotated[str, Meta(max_length=500)]

HomeColumn = Annotated[Sequence[HomeId], Meta(max_length=MAX_HOMES_PER_FLEET)]
EnergyColumn = Annotated[Sequence[EnergyWh], Meta(max_length=MAX_HOMES_PER_FLEET)]
OutcomeColumn = Annotated[Sequence[OutcomeWh], Meta(max_length=MAX_HOMES_PER_FLEET)]
SignedOutcomeColumn = Annotated[Sequence[SignedOutcomeWh], Meta(max_length=MAX_HOMES_PER_FLEET)]
MoneyColumn = Annotated[Sequence[MoneyNeur], Meta(max_length=MAX_HOMES_PER_FLEET)]
PolicyColumn = Annotated[Sequence[PolicyId], Meta(max_length=MAX_HOMES_PER_FLEET)]


class Message(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True, tag_field="type"
):
    """Base of all messages. ``type`` in the JSON is the class name, ``version`` the schema's."""

    version: Literal[1] = 1


class EventStart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An external event as it begins: what a live event adds to the price each tick, how long."""

    name: Name
    coefficient_neur_per_wh: PriceNeurPerWh
    ttl_ticks: Annotated[int, Meta(ge=1, le=100_000)]


class LiveEvent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An external event that is alive in a tick; ``remaining_ticks`` counts this tick too."""

    name: Name
    coefficient_neur_per_wh: PriceNeurPerWh
    remaining_ticks: Annotated[int, Meta(ge=1, le=100_000)]


class OpenedTick(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of a ``TickOpened``, what a home acts on."""

    epoch: Count
    seed: Seed
    tick: Tick
    price_neur_per_wh: PriceNeurPerWh
    temperature_mdeg: TemperatureMdeg


# ------------------------------------------------------------------ from the market, to everyone


class TickAwaited(Message, frozen=True, kw_only=True):
    """The market wants to open ``tick`` and still lacks what ``missing`` names.

    ``missing`` holds any of ``weather``, ``external``, ``homes``. Said again until they are there,
    so that a service that starts late, or lost its memory, knows where to begin.
    """

    run: Key
    epoch: Count
    seed: Seed
    tick: Tick
    missing: Annotated[list[Name], Meta(max_length=8)]


class TickOpened(Message, frozen=True, kw_only=True):
    """Trading period ``tick`` is open at ``price``; orders for it are awaited."""

    run: Key
    epoch: Count
    seed: Seed
    tick: Tick
    price_neur_per_wh: PriceNeurPerWh
    temperature_mdeg: TemperatureMdeg
    events: Annotated[list[LiveEvent], Meta(max_length=1_000)]
    homes: Count
    degraded: bool


class TickSettled(Message, frozen=True, kw_only=True):
    """``tick`` is in the ledger; sums over all homes, and the price of the tick after it."""

    run: Key
    epoch: Count
    tick: Tick
    price_neur_per_wh: PriceNeurPerWh
    next_price_neur_per_wh: PriceNeurPerWh
    homes: Count
    absent: Count
    given_wh: TotalWh
    sold_wh: TotalWh
    bought_wh: TotalWh
    spilled_wh: TotalWh
    unserved_wh: TotalWh
    head_hash: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]


# ----------------------------------------------------------------------- membership of a fleet


class Join(Message, frozen=True, kw_only=True):
    """A fleet asks for ``homes`` home ids.

    ``fleet`` is unguessable and new for each connection; ``instance`` is stable over restarts and
    brings the same homes back. With ``homes_per_message`` the receipts of a tick come in messages
    of at most so many homes; 0, as when it is left out: as many as fit.
    """

    fleet: Key
    instance: Key
    homes: Annotated[int, Meta(ge=1, le=MAX_HOMES_PER_FLEET)]
    homes_per_message: Annotated[int, Meta(ge=0, le=MAX_HOMES_PER_FLEET)] | UnsetType = UNSET


class Leave(Message, frozen=True, kw_only=True):
    """A fleet says good-bye; its homes are free for the next from the coming tick on."""

    run: Key
    fleet: Key
    secret: Key


class Welcome(Message, frozen=True, kw_only=True):
    """The market's answer to ``Join``: the fleet's homes, each with its stock.

    The fleet's homes are in the roster from ``first_tick`` on; the stocks are those after
    ``settled_tick``. ``opened`` is the tick that is open now, if one is.
    """

    run: Key
    seed: Seed
    fleet: Key
    secret: Key
    first_tick: Tick
    settled_tick: Tick
    home: HomeColumn
    stock_wh: EnergyColumn
    opened: TickOpened | None


# ------------------------------------------------------------------------------------- trading


class Orders(Message, frozen=True, kw_only=True):
    """What ``Offers`` and ``Requests`` share: one row per home.

    ``policy[i]`` directs ``amount_wh[i]``, which comes from the meter reading beside it:
    ``stock_wh + produced_wh - consumed_wh`` is what the home has, or, below zero, what it lacks.
    """

    run: Key
    fleet: Key
    secret: Key
    tick: Tick
    home: HomeColumn
    policy: PolicyColumn
    amount_wh: EnergyColumn
    produced_wh: EnergyColumn
    consumed_wh: EnergyColumn
    stock_wh: EnergyColumn
    capacity_wh: EnergyColumn


class Offers(Orders, frozen=True, kw_only=True):
    """Homes that have enough: each offers ``amount_wh``, 0 being its check-in."""


class Requests(Orders, frozen=True, kw_only=True):
    """Homes that lack energy: each requests ``amount_wh``, the whole of what it lacks."""


class Receipts(Message, frozen=True, kw_only=True):
    """What a tick did to each home of a fleet, and who gave to whom.

    ``present[i]`` is 1 when the home traded, 0 when it was recorded absent. ``net_wh`` is the
    signed amount: given or sold below zero, received or bought above. ``charged_neur`` is what the
    home pays (below zero: earns), ``balance_neur`` its money after that. ``late`` marks the answer
    to an order that came after its tick was settled without it. ``opened`` is the tick that opened
    in the same moment, if one did; of a fleet's several messages the last one has it.
    """

    run: Key
    fleet: Key
    tick: Tick
    price_neur_per_wh: PriceNeurPerWh
    late: bool
    home: HomeColumn
    present: Annotated[Sequence[Annotated[int, Meta(ge=0, le=1)]], Meta(max_length=1_000_000)]
    net_wh: SignedOutcomeColumn
    given_wh: OutcomeColumn
    received_wh: OutcomeColumn
    sold_wh: OutcomeColumn
    bought_wh: OutcomeColumn
    spilled_wh: OutcomeColumn
    unserved_wh: OutcomeColumn
    stock_wh: EnergyColumn
    charged_neur: MoneyColumn
    balance_neur: MoneyColumn
    gift_giver: Annotated[Sequence[HomeId], Meta(max_length=2_000_000)]
    gift_taker: Annotated[Sequence[HomeId], Meta(max_length=2_000_000)]
    gift_wh: Annotated[Sequence[OutcomeWh], Meta(max_length=2_000_000)]
    opened: OpenedTick | None


class Refused(Message, frozen=True, kw_only=True):
    """Orders that were not taken: for the homes in ``home``, or for the whole message if empty.

    ``stock_wh`` gives those homes' true stocks, so that a home with a wrong one can mend it.
    """

    run: Key
    fleet: Key
    tick: Tick
    reason: Name
    detail: Text
    home: HomeColumn
    stock_wh: EnergyColumn


# ------------------------------------------------------------------------------ external events


class Bulletin(Message, frozen=True, kw_only=True):
    """The external events that start in ``tick``; most often none."""

    run: Key
    tick: Tick
    events: Annotated[list[EventStart], Meta(max_length=100)]


AnyMessage = (
    TickAwaited
    | TickOpened
    | TickSettled
    | Join
    | Leave
    | Welcome
    | Offers
    | Requests
    | Receipts
    | Refused
    | Bulletin
)

MESSAGE_TYPES: tuple[type[Message], ...] = (
    TickAwaited,
    TickOpened,
    TickSettled,
    Join,
    Leave,
    Welcome,
    Offers,
    Requests,
    Receipts,
    Refused,
    Bulletin,
)
