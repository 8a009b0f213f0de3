"""Exercises: their right answers, and what is told of wrong ones."""

import math

import numpy as np
import pytest

from lmkit.evaluation.exercises import EXERCISES, fault
from lmkit.generation import log_softmax
from lmkit.inference import functional


@pytest.mark.parametrize("case", EXERCISES["cross_entropy"], ids=lambda case: case.name)
def test_right_losses_are_those_of_the_models(case):
    logits, target = case.arguments
    assert log_softmax.surprisal(np.array(logits), target) == pytest.approx(case.expected, abs=1e-12)


@pytest.mark.parametrize("case", EXERCISES["attention"], ids=lambda case: case.name)
def test_right_outputs_are_those_of_the_models(case):
    outputs, _ = functional.attention(*map(np.array, case.arguments))
    assert outputs == pytest.approx(np.array(case.expected), abs=1e-12)


@pytest.mark.parametrize(
    ("expected", "got", "told"),
    [
        (1.0, 1.0 + 5e-6, None), (1000.0, 1000.005, None), (2, 2, None), ([[1.0], [2.0]], [[1], [2.0]], None),
        (1.0, 1.1, "wrong numbers"), (1.0, [1.0], "expected a number, got an array of 1"),
        ([[1.0, 2.0]], [1.0, 2.0], "expected an array of 1 by 2, got an array of 2"),
        ([[1.0]], [], "expected an array of 1 by 1, got an array of 0"), (1.0, math.nan, "the answer has a NaN"),
        ([1.0, 2.0], [math.inf, 2.0], "wrong numbers"), (1.0, 10**400, "wrong numbers"),
    ],
)  # fmt: skip
def test_faults(expected, got, told):
    assert fault(expected, got) == told


@pytest.mark.parametrize("got", [None, True, "1", {}, [1, [2]], [[1], [2, 3]], [None], [[[[[[[[[1]]]]]]]]]])
def test_what_is_no_answer(got):
    assert fault([1.0], got) == "not a number, nor lists of numbers of equal length"
