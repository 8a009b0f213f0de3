"""Which examples stand in a prompt: never the item itself. Knows no layout."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from lmkit.errors import DataError
from lmkit.using.prompting.examples import Example, same_item


class Selector(Protocol):
    """Chooses examples for items."""

    def select(self, item: Example, count: int) -> list[Example]:
        """As many examples, in the order in which they stand. Raises DataError where there are not as many."""


class InOrder:
    """The first examples of a list that are not the item."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples = examples

    def select(self, item: Example, count: int) -> list[Example]:
        """See `Selector.select`."""
        found: list[Example] = []
        for example in self._examples:
            if len(found) == count:
                break
            if not same_item(example, item):
                found.append(example)
        if len(found) < count:
            raise DataError(f"{count} examples are asked for, and there are {len(found)} beside the item")
        return found


def shuffled(examples: Sequence[Example], seed: int) -> InOrder:
    """Examples at random, the same for all items: the first of an order that hangs on the seed alone."""
    order = np.random.Generator(np.random.Philox(seed)).permutation(len(examples))
    return InOrder([examples[place] for place in order.tolist()])
