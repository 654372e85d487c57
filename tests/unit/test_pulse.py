"""When a link asks its broker, and when it gives up; one beat is one look."""

from __future__ import annotations

from energymarket.bus.pulse import (
    ASK_EVERY_BEATS,
    MOST_SILENT_BEATS,
    MOST_UNSERVED_BEATS,
    Finding,
    Pulse,
)


def beats(pulse: Pulse, count: int, received_bytes: int = 0) -> list[Finding]:
    """What ``count`` beats find while nothing new comes."""
    return [pulse.beat(received_bytes) for _ in range(count)]


def test_a_broker_is_asked_now_and_then_even_while_it_talks() -> None:
    pulse = Pulse()
    found = []
    for received_bytes in range(1, 4 * ASK_EVERY_BEATS + 1):
        found.append(pulse.beat(received_bytes))
        pulse.answered()
    assert found.count(Finding.ASK) == 4
    assert Finding.GIVE_UP not in found


def test_one_question_is_open_at_a_time() -> None:
    pulse = Pulse()
    found = [pulse.beat(received_bytes) for received_bytes in range(1, 50)]
    assert found.count(Finding.ASK) == 1
    assert Finding.GIVE_UP not in found


def test_a_broker_that_says_nothing_is_given_up_after_it_was_asked() -> None:
    pulse = Pulse()
    found = beats(pulse, MOST_SILENT_BEATS)
    assert found[-1] is Finding.GIVE_UP
    assert Finding.ASK in found[: MOST_SILENT_BEATS - 3]
    assert Finding.GIVE_UP not in found[:-1]
    assert "no word" in pulse.why


def test_any_word_is_as_good_as_an_answer() -> None:
    pulse = Pulse()
    beats(pulse, MOST_SILENT_BEATS - 1)
    assert pulse.beat(8) is not Finding.GIVE_UP
    assert Finding.GIVE_UP not in beats(pulse, MOST_SILENT_BEATS - 1, 8)


def test_a_broker_that_has_stopped_reading_is_neither_asked_nor_given_up() -> None:
    pulse = Pulse()
    beats(pulse, MOST_SILENT_BEATS - 1)
    pulse.blocked()
    assert set(beats(pulse, 100)) == {Finding.NOTHING}
    pulse.unblocked()
    assert Finding.GIVE_UP not in beats(pulse, MOST_SILENT_BEATS - 1)


def test_a_broker_that_does_not_serve_a_queue_is_given_up_by_that_name() -> None:
    pulse = Pulse()
    pulse.consume(["market.orders", "market.external"])
    pulse.serves("market.external")
    found = [pulse.beat(received_bytes) for received_bytes in range(1, MOST_UNSERVED_BEATS + 1)]
    assert found == [Finding.NOTHING] * (MOST_UNSERVED_BEATS - 1) + [Finding.GIVE_UP]
    assert pulse.unserved == "market.orders"
    assert "market.orders" in pulse.why


def test_a_queue_that_is_served_late_is_no_trouble() -> None:
    pulse = Pulse()
    pulse.consume(["market.orders"])
    beats(pulse, MOST_UNSERVED_BEATS - 1)
    pulse.serves("market.orders")
    assert pulse.beat(0) is not Finding.GIVE_UP
    assert pulse.unserved == ""
