"""Exercises of a first course, as cases with their right answers, and whether an answer is right. Runs nothing."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

TOLERANCE = 1e-5  # relative, or absolute below 1: what float32 reaches


class Case(NamedTuple):
    """What a function is given and what it has to answer."""

    name: str
    arguments: Sequence[Any]
    expected: Any


EXERCISES: Mapping[str, Sequence[Case]] = {
    "cross_entropy": (
        Case("uniform", ([0.0, 0.0, 0.0, 0.0], 1), 1.3862943611198906),
        Case("three logits", ([1.0, 2.0, 3.0], 2), 0.40760596444438),
        Case("unlikely target", ([1.0, 2.0, 3.0], 0), 2.40760596444438),
        Case("negative logits", ([-2.5, 0.5, -1.0], 1), 0.24131129665715704),
        Case("certain", ([5.0], 0), 0.0),
        Case("large logits", ([1000.0, 0.0], 0), 0.0),
        Case("large loss", ([1000.0, 0.0], 1), 1000.0),
        Case("very negative logits", ([-1000.0, -1000.0], 0), 0.6931471805599453),
    ),
    "attention": (
        Case(
            "one query",
            ([[1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
            [[3.0, 4.0]],
        ),
        Case("one key", ([[7.0, -3.0]], [[0.5, 2.0]], [[4.0, 5.0, 6.0]]), [[4.0, 5.0, 6.0]]),
        Case(
            "equal keys are averaged",
            ([[1.0, 2.0]], [[3.0, 1.0], [3.0, 1.0]], [[0.0, 2.0], [4.0, 8.0]]),
            [[2.0, 5.0]],
        ),
        Case(
            "two queries, wide keys",
            (
                [[1.0, 2.0, 0.0, -1.0], [0.0, -1.0, 2.0, 1.0]],
                [[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 0.0, 0.0]],
                [[1.0], [2.0], [4.0]],
            ),
            [[2.940292211914573], [1.6519570471204146]],
        ),
        Case("large scores", ([[1000.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], [[1.0, 2.0], [3.0, 4.0]]), [[1.0, 2.0]]),
    ),
}  # fmt: skip
"""Cases by the name of the function: the surprisal in nats of a target under logits; scaled dot-product attention."""


def fault(expected: Any, got: Any) -> str | None:
    """What is wrong with an answer, in a few words; None where it is right. Numbers and nested lists of them."""
    wanted, found = _shape(expected), _shape(got)
    if found is None:
        return "not a number, nor lists of numbers of equal length"
    if found != wanted:
        return f"expected {_named(wanted or ())}, got {_named(found)}"
    pairs = list(zip(_flat(expected), _flat(got), strict=True))
    if any(math.isnan(number) for _, number in pairs):
        return "the answer has a NaN"
    if all(abs(number - right) <= TOLERANCE * max(1.0, abs(right)) for right, number in pairs):
        return None
    return "wrong numbers"


def _named(shape: tuple[int, ...]) -> str:
    return f"an array of {' by '.join(map(str, shape))}" if shape else "a number"


def _shape(value: Any, deepest: int = 8) -> tuple[int, ...] | None:
    """Lengths of nested lists; None where they differ, hold something else, or are nested deeply."""
    if not isinstance(value, list):
        return () if isinstance(value, int | float) and not isinstance(value, bool) else None
    if not deepest:
        return None
    shapes = {_shape(each, deepest - 1) for each in value}
    if not shapes:
        return (0,)
    inner = shapes.pop()
    return None if shapes or inner is None else (len(value), *inner)


def _flat(value: Any) -> list[float]:
    if not isinstance(value, list):
        try:
            return [float(value)]
        except OverflowError:
            return [math.inf]
    return [number for each in value for number in _flat(each)]
