"""External events: which kinds there are, how often they start, and how a file is refused.

Rows R16, R17 and R19.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymarket.codec import decode, encode
from energymarket.errors import SettingsError
from energymarket.messages import Bulletin, EventStart
from services.external.catalogue_file import load_catalogue, parse_catalogue, shipped_catalogues
from services.external.domain.catalogue import CERTAIN, Catalogue, EventKind, events_starting

STANDARD = load_catalogue("standard")
CLASSIC = load_catalogue("classic")
TICKS = 50_000

GOLDEN_STANDARD = [
    (1, "grid_congestion", 2_511, 4),
    (2, "fuel_glut", -4_651, 14),
    (5, "holiday", -4_359, 24),
    (15, "fuel_shortage", 14_216, 22),
    (37, "holiday", -4_887, 21),
    (38, "interconnector_opened", -6_800, 44),
    (63, "grid_congestion", 5_233, 5),
    (71, "fuel_shortage", 18_488, 21),
    (72, "fuel_shortage", 5_978, 19),
    (81, "war", 15_459, 29),
    (82, "renewable_surplus", -4_723, 9),
    (86, "renewable_surplus", -7_988, 6),
]
GOLDEN_CLASSIC = [
    (3, "fuel_shortage"),
    (5, "fuel_shortage"),
    (6, "fuel_shortage"),
    (8, "fuel_shortage"),
    (9, "fuel_shortage"),
    (11, "war"),
    (11, "fuel_shortage"),
    (12, "fuel_shortage"),
    (14, "fuel_shortage"),
    (15, "fuel_shortage"),
    (23, "war"),
]

WAR = EventKind(
    name="war",
    title="War",
    description="Imports stop.",
    probability_per_2_32=CERTAIN,
    lowest_coefficient_neur_per_wh=-3,
    highest_coefficient_neur_per_wh=4,
    lowest_ttl_ticks=2,
    highest_ttl_ticks=5,
)


def series(
    catalogue: Catalogue, ticks: int = TICKS, seed: int = 42
) -> list[tuple[int, EventStart]]:
    """Every event that starts in ticks 1 to ``ticks``, with its tick."""
    return [
        (tick, event)
        for tick in range(1, ticks + 1)
        for event in events_starting(catalogue, seed, tick)
    ]


@pytest.fixture(scope="module")
def standard_events() -> list[tuple[int, EventStart]]:
    return series(STANDARD)


# -------------------------------------------------------------------------------- the series


def test_the_first_events_of_seed_42_are_what_they_always_were() -> None:
    """R19: a change to the series changes every ledger, so it must not come unnoticed."""
    first = [
        (tick, event.name, event.coefficient_neur_per_wh, event.ttl_ticks)
        for tick, event in series(STANDARD, ticks=100)
    ]

    assert first == GOLDEN_STANDARD


def test_the_first_classic_events_of_seed_42_are_what_they_always_were() -> None:
    """R17."""
    first = [(tick, event.name) for tick, event in series(CLASSIC, ticks=24)]

    assert first == GOLDEN_CLASSIC


def test_events_depend_on_nothing_but_seed_and_tick() -> None:
    """R19: a restarted external says the same again, from whatever tick it begins."""
    forwards = [events_starting(STANDARD, 42, tick) for tick in range(500)]
    backwards = [events_starting(STANDARD, 42, tick) for tick in range(499, -1, -1)]

    assert backwards[::-1] == forwards
    assert [events_starting(STANDARD, 43, tick) for tick in range(500)] != forwards


def test_a_kind_taken_away_leaves_the_events_of_the_others_where_they_were() -> None:
    """R19."""
    fewer = replace(STANDARD, kinds=STANDARD.kinds[1:])
    kept = [pair for pair in series(STANDARD, 2_000) if pair[1].name != STANDARD.kinds[0].name]

    assert series(fewer, 2_000) == kept


@given(seed=st.integers(0, 2**63 - 1), tick=st.integers(0, 2**53))
def test_the_events_of_any_tick_fit_a_bulletin(seed: int, tick: int) -> None:
    """R19."""
    bulletin = Bulletin(run="run", tick=tick, events=list(events_starting(STANDARD, seed, tick)))

    assert decode(encode(bulletin)) == bulletin


def test_what_has_probability_one_always_starts_and_what_has_none_never() -> None:
    always = Catalogue("always", (WAR,))
    never = Catalogue("never", (replace(WAR, probability_per_2_32=0),))

    assert all(events_starting(always, 42, tick) for tick in range(2_000))
    assert not any(events_starting(never, 42, tick) for tick in range(2_000))


def test_coefficients_and_lives_are_drawn_evenly_from_both_ends_of_their_ranges() -> None:
    """R19."""
    events = [event for _, event in series(Catalogue("always", (WAR,)), ticks=8_000)]
    coefficients = Counter(event.coefficient_neur_per_wh for event in events)
    lives = Counter(event.ttl_ticks for event in events)

    assert set(coefficients) == set(range(-3, 5))
    assert all(count == pytest.approx(1_000, abs=150) for count in coefficients.values())
    assert set(lives) == set(range(2, 6))
    assert all(count == pytest.approx(2_000, abs=200) for count in lives.values())


# ------------------------------------------------------------------------- what is shipped


def test_there_are_at_least_eight_kinds_with_war_and_fuel_shortage() -> None:
    """R19."""
    names = [kind.name for kind in STANDARD.kinds]

    assert len(set(names)) == len(names) >= 8
    assert {"war", "fuel_shortage"} <= set(names)


def test_some_kinds_raise_the_price_and_some_lower_it() -> None:
    """R16, R19."""
    raising = [k.name for k in STANDARD.kinds if k.lowest_coefficient_neur_per_wh > 0]
    lowering = [k.name for k in STANDARD.kinds if k.highest_coefficient_neur_per_wh < 0]

    assert len(raising) >= 3
    assert len(lowering) >= 3
    assert len(raising) + len(lowering) == len(STANDARD.kinds)


@pytest.mark.parametrize("kind", STANDARD.kinds, ids=lambda kind: kind.name)
def test_an_event_starts_about_as_often_as_its_probability_says(
    kind: EventKind, standard_events: list[tuple[int, EventStart]]
) -> None:
    """R19: within four standard deviations of the binomial distribution."""
    count = sum(event.name == kind.name for _, event in standard_events)
    probability = kind.probability_per_2_32 / CERTAIN
    expected = TICKS * probability

    assert count == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - probability)))


def test_events_come_at_any_time_not_in_a_rhythm(
    standard_events: list[tuple[int, EventStart]],
) -> None:
    """R19: the gaps between the starts of one kind have the mean and spread of pure chance."""
    ticks = [tick for tick, event in standard_events if event.name == "renewable_surplus"]
    gaps = [later - tick for tick, later in pairwise(ticks)]

    assert statistics.pstdev(gaps) == pytest.approx(statistics.fmean(gaps), rel=0.2)


def test_several_events_are_often_alive_at_once(
    standard_events: list[tuple[int, EventStart]],
) -> None:
    """R19."""
    alive: Counter[int] = Counter()
    for start, event in standard_events:
        alive.update(range(start, start + event.ttl_ticks))
    several = sum(count >= 2 for count in alive.values())

    assert 0.1 < several / TICKS < 0.5
    assert 0.2 < 1 - len(alive) / TICKS < 0.6  # and often there is none


def test_over_a_long_time_events_hardly_move_the_price_on_average(
    standard_events: list[tuple[int, EventStart]],
) -> None:
    """R16: a live event moves a price that keeps 3/4 of itself by four times its coefficient."""
    moved = 4 * sum(e.coefficient_neur_per_wh * e.ttl_ticks for _, e in standard_events) / TICKS

    assert abs(moved) < 10_000  # 0.01 EUR/kWh, of a base price of 0.20


def test_classic_has_war_and_fuel_shortage_for_one_tick_each() -> None:
    """R17: war p = 0.13 and 0.2 EUR/kWh, fuel shortage p = 0.25 and 0.07 EUR/kWh."""
    events = [event for _, event in series(CLASSIC, ticks=20_000)]
    counts = Counter(event.name for event in events)

    assert {(e.name, e.coefficient_neur_per_wh, e.ttl_ticks) for e in events} == {
        ("war", 200_000, 1),
        ("fuel_shortage", 70_000, 1),
    }
    assert counts["war"] / 20_000 == pytest.approx(0.13, abs=0.01)
    assert counts["fuel_shortage"] / 20_000 == pytest.approx(0.25, abs=0.013)


# ---------------------------------------------------------------------------------- the file

KIND = """
[war]
title = "War"
description = "Imports stop."
probability_per_tick = 0.25
coefficient_eur_per_kwh = [-0.01, 0.030001]
ttl_ticks = [3, 48]
"""


def test_human_numbers_become_integers_exactly() -> None:
    """R19: 2**30 is a quarter of 2**32; 0.030001 EUR/kWh is 30,001 nEUR/Wh."""
    assert parse_catalogue("mine", KIND) == Catalogue(
        "mine",
        (
            EventKind(
                name="war",
                title="War",
                description="Imports stop.",
                probability_per_2_32=2**30,
                lowest_coefficient_neur_per_wh=-10_000,
                highest_coefficient_neur_per_wh=30_001,
                lowest_ttl_ticks=3,
                highest_ttl_ticks=48,
            ),
        ),
    )


def test_whole_numbers_need_no_decimal_point() -> None:
    text = KIND.replace("0.25", "1").replace("[-0.01, 0.030001]", "[0, 1]")
    kind = parse_catalogue("mine", text).kinds[0]

    assert kind.probability_per_2_32 == CERTAIN
    assert kind.highest_coefficient_neur_per_wh == 1_000_000


def test_a_catalogue_may_be_any_file(tmp_path: Path) -> None:
    """R24."""
    file = tmp_path / "mine.toml"
    file.write_text(KIND)

    assert load_catalogue(str(file)).kinds == parse_catalogue("mine", KIND).kinds


def test_the_shipped_catalogues_have_names() -> None:
    assert shipped_catalogues() == ("classic", "standard", "war")
    assert STANDARD.name == "standard"


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("0.25", "1.5", "probability_per_tick of [war] is 1.5; it must be a number from 0 to 1"),
        ("0.25", "-0.1", "probability_per_tick of [war] is -0.1"),
        ("0.25", "nan", "probability_per_tick of [war] is NaN"),
        ("0.25", "true", "probability_per_tick of [war] is True"),
        ("0.25", '"often"', "probability_per_tick of [war] is 'often'"),
        ("-0.01,", "0.05,", "coefficient_eur_per_kwh of [war] is [0.05, 0.030001]"),
        ("-0.01,", "-1001,", "two numbers from -1000 to 1000, the lower one first"),
        ("-0.01,", "-inf,", "coefficient_eur_per_kwh of [war] is [-Infinity, 0.030001]"),
        ("0.030001", "0.0300001", "at most six decimals"),
        ("[-0.01, 0.030001]", "0.01", "coefficient_eur_per_kwh of [war] is 0.01"),
        ("[3, 48]", "[0, 48]", "ttl_ticks of [war] is [0, 48]"),
        ("[3, 48]", "[3, 100001]", "two whole numbers from 1 to 100000, the lower one first"),
        ("[3, 48]", "[3.0, 48]", "ttl_ticks of [war] is [3.0, 48]"),
        ("[3, 48]", "[3]", "ttl_ticks of [war] is [3]"),
        ("ttl_ticks = [3, 48]", "", "ttl_ticks of [war] is missing"),
        ("ttl_ticks", "ttl", "ttl_ticks of [war] is missing"),
        ("[3, 48]", "[3, 48]\ncolour = 1", "colour of [war] is unknown"),
        ('"War"', '""', "title of [war] is ''"),
        ('"War"', "7", "title of [war] is 7"),
        ("[war]", "[War]", "the name of [War] is 'War'"),
        ("[war]", "war = 1\n[peace]", "the entry of [war] is 1; it must be a table [war]"),
        ("[war]", "[war", "is not a TOML file"),
        (KIND, "", "has 0 kinds of events; it must have 1 to 100"),
    ],
)
def test_a_wrong_file_is_refused_with_a_sentence_that_names_what_is_wrong(
    before: str, after: str, complaint: str
) -> None:
    """R24."""
    with pytest.raises(SettingsError) as failure:
        parse_catalogue("mine", KIND.replace(before, after))

    assert complaint in str(failure.value)
    assert str(failure.value).startswith("catalogue mine")


def test_more_kinds_than_a_bulletin_can_hold_are_refused() -> None:
    kinds = "".join(KIND.replace("[war]", f"[war_{number}]") for number in range(101))

    with pytest.raises(SettingsError, match="has 101 kinds of events"):
        parse_catalogue("mine", kinds)


@pytest.mark.parametrize("name", ["nonesuch", ".", "/nonesuch/mine.toml"])
def test_a_file_that_cannot_be_read_is_a_wrong_setting(name: str) -> None:
    """R24."""
    with pytest.raises(SettingsError, match=r"ENERGYMARKET_CATALOGUE is .*classic, standard"):
        load_catalogue(name)


def test_a_file_that_is_not_text_is_a_wrong_setting(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(SettingsError, match="cannot be read"):
        load_catalogue(str(file))


def test_the_process_says_what_is_wrong_in_one_line_and_exits() -> None:
    """R24."""
    done = subprocess.run(
        [sys.executable, "-m", "services.external"],
        env={"ENERGYMARKET_CATALOGUE": "nonesuch"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("ENERGYMARKET_CATALOGUE is 'nonesuch'")
    assert done.stderr.count("\n") == 1
