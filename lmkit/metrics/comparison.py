"""Measures of a system with their intervals, and of a second system beside it with how both differ.

Shapes: N items, C cells, B and R resamples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy.typing as npt

from lmkit.metrics import bootstrap
from lmkit.metrics.bootstrap import Difference, Interval, Measures, Sampling
from lmkit.protocols import I64


@dataclass(frozen=True)
class Comparison:
    """Measures of one system or of two, by name; a measure that is not defined is None."""

    intervals: Mapping[str, Interval | None]
    """The first system's values with their intervals."""
    against: Mapping[str, float | None] | None = None
    """The second system's values, if there is one."""
    differences: Mapping[str, Difference | None] | None = None
    """The first system's values less the second's."""

    @cached_property
    def values(self) -> dict[str, float | None]:
        """Return the first system's values."""
        return {name: None if one is None else one.value for name, one in self.intervals.items()}


def of_means(systems: Sequence[Mapping[str, npt.ArrayLike]], sampling: Sampling) -> Comparison:
    """Compare the means of N scores of each item, by name, of one system or two, of the same items in order.

    Raises ValueError where there are no scores.
    """
    first, how = systems[0], (sampling.seed, sampling.resamples, sampling.level)
    intervals = {name: bootstrap.interval(scores, *how) for name, scores in first.items()}
    if len(systems) == 1:
        return Comparison(intervals)
    second = systems[1]
    against = {name: bootstrap.interval(scores, resamples=0).value for name, scores in second.items()}
    differences = {name: bootstrap.paired_difference(scores, second[name], *how) for name, scores in first.items()}
    return Comparison(intervals, against, differences)


@dataclass(frozen=True)
class Sample:
    """A system's measures of all items, and the function that measures items which are drawn again."""

    values: Mapping[str, float | None]
    measures: Measures
    """Of (B, C) counts of cells."""
    counts: I64
    """Items of each cell, (C,); those of a second system are the same."""
    width: int = 1
    """Numbers that are worked out for each resample, if more than C."""


def of_samples(
    systems: Sequence[Sample], sampling: Sampling, least: Mapping[str, float] | None = None, alone: Sample | None = None
) -> Comparison:
    """Compare measures of whole samples, of one system or of two whose items are drawn alike.

    `least`: the smallest p-value of each difference (`bootstrap.compared`). `alone`: the first system as it is drawn
    for its own intervals, where two systems have other cells than one.
    """
    drawn = [bootstrap.gathered(one.measures, one.counts, sampling, width=one.width) for one in systems]
    own, of_own = systems[0], drawn[0]
    if alone is not None:
        own, of_own = alone, bootstrap.gathered(alone.measures, alone.counts, sampling, width=alone.width)
    intervals = bootstrap.intervals(own.values, of_own, sampling.level)
    if len(systems) == 1:
        return Comparison(intervals)
    values = systems[0].values, systems[1].values
    differences = bootstrap.differences(values, (drawn[0], drawn[1]), sampling.level, least or {})
    return Comparison(intervals, systems[1].values, differences)
