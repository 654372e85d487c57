"""The list of planted bugs keeps step with the code, and its planting does catch one."""

from __future__ import annotations

import pytest

from tests.planted.garden import ROOT, Bug, Garden, bugs

BUGS = {bug.name: bug for bug in bugs()}
AT_LEAST = 20


def test_there_are_enough_of_them_and_none_twice() -> None:
    assert len(BUGS) == len(bugs()) >= AT_LEAST
    assert len({(bug.file, bug.after) for bug in bugs()}) == len(BUGS)


@pytest.mark.parametrize("name", BUGS)
def test_its_place_in_the_code_is_there_exactly_once(name: str) -> None:
    bug = BUGS[name]
    assert (ROOT / bug.file).read_text().count(bug.before) == 1
    assert bug.before != bug.after
    for test in bug.caught_by:
        assert (ROOT / test.partition("::")[0]).is_file(), test


def test_a_bug_that_is_planted_is_caught_and_pulled_out_again() -> None:
    bug = BUGS["a stock holds more than its capacity"]
    with Garden() as garden:
        assert garden.caught_by(bug)
        assert (garden.folder / bug.file).read_text() == (ROOT / bug.file).read_text()


def test_what_is_no_bug_is_not_caught() -> None:
    """Else the table would mean nothing."""
    harmless = Bug(
        name="a comment",
        file="services/market/domain/settlement.py",
        before="        if policy == ABSENT:\n            continue\n",
        after="        if policy == ABSENT:\n            continue  # nothing to settle\n",
        caught_by=("tests/unit/test_order_book.py",),
    )
    with Garden() as garden:
        assert garden.caught_by(harmless) is None


@pytest.mark.long
@pytest.mark.timeout(2 * 3600)
def test_every_planted_bug_is_caught() -> None:
    with Garden() as garden:
        missed = [bug.name for bug in bugs() if garden.caught_by(bug) is None]
    assert missed == []
