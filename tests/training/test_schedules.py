"""How long a run is: budgets as steps or seconds, and the steps between evaluations."""

import pytest

from lmkit.training.schedules import Budget, evaluation_interval


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (Budget(60.0, "s"), (None, 60.0)), (Budget(160.0, "tokens"), (5, None)), (Budget(100.0, "tokens"), (3, None)),
        (Budget(6400.0, "flops"), (2, None)), (Budget(1.0, "flops"), (1, None)),
    ],
)  # fmt: skip
def test_a_budget_is_a_length(budget, expected):
    assert budget.length(32, 100) == expected


@pytest.mark.parametrize(
    ("every", "steps", "needed", "expected"),
    [(7, 100, False, 7), (0, 100, False, 0), (0, 100, True, 10), (0, None, True, 50), (0, 3, True, 1)],
)
def test_evaluations_are_as_often_as_needed(every, steps, needed, expected):
    assert evaluation_interval(every, steps, needed=needed) == expected
