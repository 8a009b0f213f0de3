"""Predicted labels against right ones: accuracy, F1, Matthews' correlation, and the table of confusions.

All of it is of integer counts of cells, each a pair of a right and a predicted label; so a measure of resamples is
the same function. What is 0 / 0 is 0 here, and `undefined` names it; of resamples it is NaN, which leaves them out.

Shapes: N items, K labels, C cells, B samples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from lmkit.metrics.bootstrap import Sampling, least_p, sign_test
from lmkit.metrics.comparison import Comparison, Sample, of_samples
from lmkit.protocols import F64, I64

MEASURES = ("accuracy", "macro_f1", "micro_f1", "matthews")


@dataclass(frozen=True)
class Cells:
    """The pairs of a right and a predicted label that there are: numbers of labels, (C,), of K labels."""

    labels: tuple[str, ...]
    gold: I64
    predicted: I64
    counts: I64
    """Items of each cell, (C,)."""

    @property
    def size(self) -> int:
        """K, the number of labels."""
        return len(self.labels)

    @property
    def total(self) -> int:
        """N, the number of items."""
        return int(self.counts.sum())

    @cached_property
    def table(self) -> I64:
        """The table of confusions, (K, K): right labels down, predicted ones across."""
        table = np.zeros((self.size, self.size), dtype=np.int64)
        table[self.gold, self.predicted] = self.counts
        return table


def cells(gold: Sequence[str], predicted: Sequence[str], more: Sequence[str] = ()) -> Cells:
    """Counts of the pairs of N right and N predicted labels; labels are all that occur, and `more`, sorted."""
    return together(gold, [predicted], more)[0]


def together(gold: Sequence[str], systems: Sequence[Sequence[str]], more: Sequence[str] = ()) -> list[Cells]:
    """Cells of several systems' predictions for the same N items, with the same counts, so that they are drawn alike.

    A cell is one right label and one prediction of each system.
    """
    labels = tuple(sorted({*gold, *more, *(label for predicted in systems for label in predicted)}))
    numbers = {label: number for number, label in enumerate(labels)}
    columns = [np.fromiter(map(numbers.__getitem__, column), np.int64, len(column)) for column in (gold, *systems)]
    key = columns[0]
    for column in columns[1:]:  # one number for each combination: of those that exist, so that it never overflows
        key = np.unique(key, return_inverse=True)[1] * len(labels) + column
    _, first, counts = np.unique(key, return_index=True, return_counts=True)
    return [Cells(labels, columns[0][first], column[first], counts) for column in columns[1:]]


def alone_right(one: Cells, other: Cells) -> tuple[int, int]:
    """Items that one of two systems, whose cells are `together`, gets right and the other wrong; and the reverse."""
    right, others = one.predicted == one.gold, other.predicted == other.gold
    return int(one.counts[right & ~others].sum()), int(one.counts[others & ~right].sum())


def differing(one: Cells, other: Cells) -> int:
    """Items for which two systems, whose cells are `together`, predict different labels."""
    return int(one.counts[one.predicted != other.predicted].sum())


@dataclass(frozen=True)
class Sums:
    """What the measures of B samples are made of: (B,) items and right ones; (B, K) right, predicted, both."""

    items: F64
    hits: F64
    right: F64
    guessed: F64
    both: F64


def sums(found: Cells, counts: I64) -> Sums:
    """The sums of B samples that have `counts`, (B, C), items of each cell."""
    agree = np.flatnonzero(found.gold == found.predicted)
    both = _by_label(counts[:, agree], found.gold[agree], found.size)
    right = _by_label(counts, found.gold, found.size)
    guessed = _by_label(counts, found.predicted, found.size)
    return Sums(right.sum(1), both.sum(1), right, guessed, both)


def _by_label(counts: I64, labels: I64, size: int) -> F64:
    """Counts of cells, (B, C), added up by a label of each cell, (C,): (B, K)."""
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    out = np.zeros((len(counts), size))
    if len(present):
        out[:, present] = np.add.reduceat(counts[:, order], starts, axis=1)
    return out


def _ratio(part: F64, whole: F64, empty: float = 0.0) -> F64:
    """A quotient, `empty` where both are 0."""
    return np.divide(part, whole, out=np.full_like(whole, empty), where=whole != 0)


def accuracy(of: Sums) -> F64:
    """The share of items whose predicted label is right, (B,)."""
    return _ratio(of.hits, of.items)


def precision(of: Sums, empty: float = 0.0) -> F64:
    """Of the items predicted to be of a label, the share that are, (B, K)."""
    return _ratio(of.both, of.guessed, empty)


def recall(of: Sums, empty: float = 0.0) -> F64:
    """Of the items of a label, the share predicted to be, (B, K)."""
    return _ratio(of.both, of.right, empty)


def f1(of: Sums, empty: float = 0.0) -> F64:
    """2 both / (right + predicted) of each label, (B, K): the harmonic mean of precision and recall."""
    return _ratio(2 * of.both, of.right + of.guessed, empty)


def macro_f1(of: Sums) -> F64:
    """The mean of the labels' F1, (B,), over the labels that a sample has, right or predicted."""
    return _ratio(f1(of).sum(1), ((of.right + of.guessed) > 0).sum(1).astype(float))


def micro_f1(of: Sums) -> F64:
    """F1 of all decisions together, (B,): with one label for each item it is the accuracy."""
    return _ratio(2 * of.hits, of.right.sum(1) + of.guessed.sum(1))


def matthews(of: Sums, empty: float = 0.0) -> F64:
    """Matthews' correlation, (B,), of two labels, and its generalisation to K (Gorodkin 2004, R_K)."""
    squared = of.items * of.items
    joint = of.hits * of.items - (of.right * of.guessed).sum(1)
    spread = (squared - (of.guessed**2).sum(1)) * (squared - (of.right**2).sum(1))
    return _ratio(joint, np.sqrt(spread), empty)


def measured(found: Cells, counts: I64, positive: str | None = None, empty: float = 0.0) -> dict[str, F64]:
    """Each of MEASURES, (B,), of samples with `counts`, (B, C), of the cells; and those of one `positive` label.

    `empty`: what 0 / 0 is; NaN for resamples, which are left out where a measure is not defined. A label that a
    sample does not have is no part of `macro_f1`.
    """
    of = sums(found, counts)
    measures = {"accuracy": accuracy(of), "macro_f1": macro_f1(of), "micro_f1": micro_f1(of)}
    measures["matthews"] = matthews(of, empty)
    if positive is not None:
        label = found.labels.index(positive)
        for name, measure in (("precision", precision), ("recall", recall), ("f1", f1)):
            measures[name] = measure(of, empty)[:, label]
    return measures


def values(found: Cells, positive: str | None = None) -> dict[str, float]:
    """What `measured` has, of the one sample that there is."""
    return {name: value.item() for name, value in measured(found, found.counts[None], positive).items()}


def compare(found: Cells, both: Sequence[Cells], sampling: Sampling, positive: str | None = None) -> Comparison:
    """Compare what `values` has of a system, and of `both` systems, whose cells are `together`, if there are two.

    Accuracy and micro F1, which are of right and wrong, differ no more surely than by the exact sign test.
    """

    def sample(one: Cells) -> Sample:
        measures = partial(measured, one, positive=positive, empty=math.nan)
        return Sample(values(one, positive), measures, one.counts, one.size)

    alone = sample(found)
    if not both:
        return of_samples([alone], sampling)
    least = dict.fromkeys(alone.values, least_p(differing(*both)))
    exact = sign_test(*alone_right(*both))
    least |= {name: max(least[name], exact) for name in ("accuracy", "micro_f1")}
    return of_samples([sample(one) for one in both], sampling, least, alone)


@dataclass(frozen=True)
class Class:
    """How well one label is predicted; `support`: how many items are of it."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


def classes(found: Cells) -> list[Class]:
    """How well each label is predicted."""
    of = sums(found, found.counts[None])
    columns = precision(of)[0].tolist(), recall(of)[0].tolist(), f1(of)[0].tolist(), of.right[0].astype(int).tolist()
    return [Class(*row) for row in zip(found.labels, *columns, strict=True)]


def undefined(found: Cells) -> list[str]:
    """What is 0 because it is 0 / 0, and why, a sentence each."""
    of = sums(found, found.counts[None])
    told = []
    for label, right, guessed in zip(found.labels, of.right[0], of.guessed[0], strict=True):
        shown = repr(label[:40])
        if not guessed:
            told.append(f"the precision of {shown}, which is never predicted")
        if not right:
            told.append(f"the recall of {shown}, which is never right")
        if not (right or guessed):
            told.append(f"the F1 of {shown}, which is neither")
    for what, column in ("gold label", of.right[0]), ("prediction", of.guessed[0]):
        if (column > 0).sum() < 2:
            told.append(f"Matthews' correlation, since every {what} is the same")
    return told
