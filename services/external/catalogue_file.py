"""Catalogues as TOML files: human numbers in, integers out, and one sentence for what is wrong.

A file holds one table per kind of event::

    [war]
    title = "War"
    description = "Imports stop, everyone stocks up."
    probability_per_tick = 0.002             # 0 to 1
    coefficient_eur_per_kwh = [0.01, 0.03]   # lowest and highest; below zero lowers the price
    ttl_ticks = [12, 48]                     # lowest and highest

Numbers are read as decimals and turned into integers exactly: no float is involved.
"""

from __future__ import annotations

import tomllib
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from energymarket.errors import SettingsError
from energymarket.messages import Name
from energymarket.units import NEUR_PER_WH_IN_EUR_PER_KWH
from services.external.domain.catalogue import CERTAIN, Catalogue, EventKind

SHIPPED_FOLDER: Final = Path(__file__).parent / "catalogues"

MAX_FILE_BYTES: Final = 1_000_000
MAX_KINDS: Final = 100
"""As many events as one bulletin may hold, for each kind can start in the same tick."""

MAX_COEFFICIENT_EUR_PER_KWH: Final = 1_000
MAX_TTL_TICKS: Final = 100_000
MAX_TEXT_CHARACTERS: Final = 500

_FIELDS: Final = (
    "title",
    "description",
    "probability_per_tick",
    "coefficient_eur_per_kwh",
    "ttl_ticks",
)

Number = TypeVar("Number", int, Decimal)


def shipped_catalogues() -> tuple[str, ...]:
    """The names of the catalogues that come with the service."""
    return tuple(sorted(path.stem for path in SHIPPED_FOLDER.glob("*.toml")))


def load_catalogue(name_or_path: str) -> Catalogue:
    """The shipped catalogue of that name, or else the one in that file.

    Raises ``SettingsError`` with a sentence that names the file, the kind, the field, its value and
    what is allowed.
    """
    shipped = name_or_path in shipped_catalogues()
    path = SHIPPED_FOLDER / f"{name_or_path}.toml" if shipped else Path(name_or_path)
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1).decode()
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"ENERGYMARKET_CATALOGUE is {name_or_path!r}, which cannot be read ({error}); it must "
            f"be the path of a TOML file, or one of {', '.join(shipped_catalogues())}."
        ) from error
    return parse_catalogue(name_or_path, text)


def parse_catalogue(name: str, text: str) -> Catalogue:
    """The catalogue in ``text``; raises ``SettingsError`` as ``load_catalogue`` does."""
    if len(text) > MAX_FILE_BYTES:
        raise SettingsError(f"catalogue {name} has more than {MAX_FILE_BYTES} bytes.")
    try:
        tables = tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"catalogue {name} is not a TOML file: {error}.") from error
    if not 1 <= len(tables) <= MAX_KINDS:
        raise SettingsError(
            f"catalogue {name} has {len(tables)} kinds of events; it must have 1 to {MAX_KINDS}."
        )
    return Catalogue(name, tuple(_Kind(name, key, table).parse() for key, table in tables.items()))


class _Kind:
    """One table of the file, as it is being read."""

    def __init__(self, catalogue: str, name: str, table: Any) -> None:
        self._catalogue = catalogue
        self._name = name
        self._table = table

    def parse(self) -> EventKind:
        try:
            msgspec.convert(self._name, Name)
        except msgspec.ValidationError:
            self._refuse(
                "the name", _shown(self._name), "lower-case letters, digits and _, at most 64"
            )
        if not isinstance(self._table, dict):
            self._refuse("the entry", _shown(self._table), f"a table [{self._name}]")
        self._check_fields()
        lowest_price, highest_price = self._coefficients_neur_per_wh()
        lowest_ttl, highest_ttl = self._range("ttl_ticks", int, 1, MAX_TTL_TICKS)
        return EventKind(
            name=self._name,
            title=self._text("title"),
            description=self._text("description"),
            probability_per_2_32=self._probability_per_2_32(),
            lowest_coefficient_neur_per_wh=lowest_price,
            highest_coefficient_neur_per_wh=highest_price,
            lowest_ttl_ticks=lowest_ttl,
            highest_ttl_ticks=highest_ttl,
        )

    def _check_fields(self) -> None:
        for field in _FIELDS:
            if field not in self._table:
                self._refuse(field, "missing", "given")
        for field in self._table:
            if field not in _FIELDS:
                self._refuse(field, "unknown", f"one of {', '.join(_FIELDS)}")

    def _text(self, field: str) -> str:
        text = self._table[field]
        if not isinstance(text, str) or not 1 <= len(text) <= MAX_TEXT_CHARACTERS:
            self._refuse(field, _shown(text), f"a text of 1 to {MAX_TEXT_CHARACTERS} characters")
        return text

    def _probability_per_2_32(self) -> int:
        field = "probability_per_tick"
        value = self._table[field]
        probability = _decimal(value)
        if probability is None or not 0 <= probability <= 1:
            self._refuse(field, _shown(value), "a number from 0 to 1")
        return int((probability * CERTAIN).to_integral_value(ROUND_HALF_EVEN))

    def _coefficients_neur_per_wh(self) -> tuple[int, int]:
        field = "coefficient_eur_per_kwh"
        bound = Decimal(MAX_COEFFICIENT_EUR_PER_KWH)
        ends = [
            end * NEUR_PER_WH_IN_EUR_PER_KWH for end in self._range(field, Decimal, -bound, bound)
        ]
        if any(end != int(end) for end in ends):
            self._refuse(field, _shown(self._table[field]), "of at most six decimals")
        return int(ends[0]), int(ends[1])

    def _range(
        self, field: str, kind: type[Number], lowest: Number, highest: Number
    ) -> tuple[Number, Number]:
        value = self._table[field]
        allowed = f"two numbers from {lowest} to {highest}, the lower one first"
        if kind is int:
            allowed = allowed.replace("numbers", "whole numbers")
        if not isinstance(value, list) or len(value) != 2:
            self._refuse(field, _shown(value), allowed)
        ends = [_decimal(end) for end in value]
        low, high = ends
        if low is None or high is None or not lowest <= low <= high <= highest:
            self._refuse(field, _shown(value), allowed)
        if kind is int and not all(isinstance(end, int) for end in value):
            self._refuse(field, _shown(value), allowed)
        return kind(low), kind(high)

    def _refuse(self, field: str, found: str, allowed: str) -> NoReturn:
        raise SettingsError(
            f"catalogue {self._catalogue}: {field} of [{self._name}] is {found}; "
            f"it must be {allowed}."
        )


def _decimal(value: Any) -> Decimal | None:
    """A finite number as a decimal; None for anything else (a boolean is no number here)."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    return number if number.is_finite() else None


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_shown(item) for item in value)}]"
    return str(value) if isinstance(value, Decimal) else repr(value)
