"""The page's benchmark measures what it says. How much that is decides no test."""

from __future__ import annotations

from bench import page


def test_the_benchmark_of_the_page_measures_it_beside_an_empty_one() -> None:
    plan = page.Plan(homes=2, ticks_before=3, ticks=20, loads=1)
    result = page.run(plan)
    (comparison,) = result.comparisons
    assert comparison.columns == (page.OURS, page.FLOOR)
    *loaded, after = comparison.rows
    for row in loaded:
        values = [row.values[column] for column in comparison.columns]
        assert all(value is not None and value > 0 for value in values), row
    ours = after.values[page.OURS]
    assert ours is not None
    assert ours > 0
    assert set(result.versions) == {"browser"}
