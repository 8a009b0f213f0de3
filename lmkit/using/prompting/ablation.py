"""What labels in a prompt's examples are worth: the same prompts with right labels, random, flipped ones and none.

Min et al. 2022, "Rethinking the Role of Demonstrations": the same examples stand in the same order in all
arms of a trial, and only their labels differ. Knows no models.

Shapes: S seeds, N items.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmkit.errors import DataError
from lmkit.using.prompting.examples import Example
from lmkit.using.prompting.layout import Laid, Layout
from lmkit.using.prompting.selection import Selector, shuffled

ARMS = ("gold", "random", "flipped", "none")


@dataclass(frozen=True)
class Trial:
    """A prompt of one arm, with so many examples, by the choices of one seed, that asks about one item."""

    arm: str
    count: int
    seed: int
    item: Example
    shots: tuple[Example, ...]
    laid: Laid


def label_set(examples: Sequence[Example]) -> list[str]:
    """The distinct outputs in order of first appearance."""
    return list(dict.fromkeys(example.output for example in examples if example.output is not None))


def relabelled(examples: Sequence[Example], arm: str, seed: int) -> list[Example]:
    """The examples with the labels of an arm.

    gold     as they are
    random   each drawn anew from all labels alike, by the seed; the right one may come out
    flipped  each label becomes the next of the set, in order of first appearance, and the last the first
    none     no labels: an example is its input alone

    Raises DataError where labels are to be flipped and there is but one.
    """
    labels = label_set(examples)
    if arm == "gold":
        return list(examples)
    if arm == "none":
        return [replace(example, output=None) for example in examples]
    if arm == "flipped":
        if len(labels) < 2:
            raise DataError(f"{len(labels)} label in all examples: nothing to flip it to")
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
