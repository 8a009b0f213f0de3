"""What labels in a prompt's examples are worth: the same prompts with right labels, random, flipped ones and none.

Min et al. 2022, "Rethinking the Role of Demonstrations": the same examples are in the same order in all
arms of a trial, and only their labels differ. Knows no models.

Shapes: S seeds, N items.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmkit.errors import DataError
from lmkit.metrics.bootstrap import Difference, Interval, Sampling, interval, paired_difference
from lmkit.prompting.example_selection import Selector, shuffled
from lmkit.prompting.examples import Example, labels_of
from lmkit.prompting.layout import Layout, Prompt
from lmkit.prompting.multiple_choice import Question
from lmkit.protocols import Bool

ARMS = ("gold", "random", "flipped", "none")


@dataclass(frozen=True)
class Trial:
    """A prompt of one arm, with so many examples, by the choices of one seed, that asks about one item."""

    arm: str
    count: int
    seed: int
    item: Example
    shots: tuple[Example, ...]
    laid: Prompt

    def question(self, candidates: tuple[str, ...]) -> Question:
        """What is asked: which of the candidates comes next."""
        return Question(self.laid.text, candidates, self.laid.joint, place=self.item.place)


def relabelled(examples: Sequence[Example], arm: str, seed: int) -> list[Example]:
    """The examples with the labels of an arm.

    gold     as they are
    random   each drawn anew from all labels alike, by the seed; the right one may come out
    flipped  each label becomes the next of the set, in order of first appearance, and the last the first
    none     no labels: an example is its input alone

    Raises DataError where labels are to be flipped and there is but one.
    """
    labels = labels_of(examples)
    if arm == "gold":
        return list(examples)
    if arm == "none":
        return [replace(example, output=None) for example in examples]
    if arm == "flipped":
        if len(labels) < 2:
            raise DataError("all examples have the same label, which cannot be flipped")
        following = dict(zip(labels, [*labels[1:], labels[0]], strict=True))
        return [replace(example, output=following[str(example.output)]) for example in examples]
    drawn = np.random.Generator(np.random.Philox(key=[seed, 1])).integers(len(labels), size=len(examples))
    return [replace(example, output=labels[place]) for example, place in zip(examples, drawn.tolist(), strict=True)]


def trials(
    examples: Sequence[Example], items: Sequence[Example], layout: Layout, *, arms: Sequence[str],
    counts: Sequence[int], seeds: Sequence[int],
) -> Iterator[Trial]:  # fmt: skip
    """All prompts, by seed, number of examples, arm and item; each seed has an order of examples of its own."""
    for seed in seeds:
        selectors: dict[str, Selector] = {arm: shuffled(relabelled(examples, arm, seed), seed) for arm in arms}
        for count in counts:
            for arm in arms:
                for item in items:
                    shots = selectors[arm].select(item, count)
                    yield Trial(arm, count, seed, item, tuple(shots), layout.lay(shots, item))


@dataclass(frozen=True)
class Outcome:
    """How many items an arm gets right with so many examples, and how many more than with right labels."""

    arm: str
    count: int
    seeds: int
    items: int
    accuracy: Interval
    by_seed: tuple[float, ...]
    difference: Difference | None
    """To the arm of right labels, with the same examples; None where there is none, or it is that arm itself."""


def outcomes(right: Mapping[tuple[str, int], Sequence[Sequence[bool]]], sampling: Sampling) -> list[Outcome]:
    """What came of each arm and number of examples, given whether each item was answered right, by seed."""
    arrays = {key: np.array(found) for key, found in right.items()}
    return [
        outcome(arm, count, found, arrays.get(("gold", count)) if arm != "gold" else None, sampling)
        for (arm, count), found in arrays.items()
    ]


def outcome(arm: str, count: int, right: Bool, gold: Bool | None, sampling: Sampling) -> Outcome:
    """What came of an arm: whether each item was answered right, (S, N), and whether with right labels, (S, N).

    What is drawn again for intervals are items, each with its share of seeds that got it right.
    """
    shares = right.mean(axis=0)
    difference = None
    if gold is not None:
        difference = paired_difference(shares, gold.mean(axis=0), sampling.seed, sampling.resamples, sampling.level)
    accuracy = interval(shares, sampling.seed, sampling.resamples, sampling.level)
    seeds, items = right.shape
    return Outcome(arm, count, seeds, items, accuracy, tuple(right.mean(axis=1).tolist()), difference)
