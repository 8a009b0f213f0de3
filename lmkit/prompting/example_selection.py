"""Selection and order of the examples in a prompt: never the item itself. Knows no layout.

Every way but similarity goes by an order of all examples, of which a prompt has the first that are not the item;
so a prompt of fewer examples has the first of those that one of more has.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from lmkit.data.keyed_random import stream_of
from lmkit.errors import DataError
from lmkit.prompting.examples import Example, Pool

SHOTS = "shots"
"""What orders of examples are drawn as."""


class Selector(Protocol):
    """Chooses examples for items."""

    def select(self, item: Example, count: int) -> list[Example]:
        """As many examples, the first choice first. Raises DataError where there are not as many beside the item."""


def taken(pool: Pool, order: Iterable[int], same: frozenset[int], count: int) -> list[Example]:
    """The first examples of an order that are not the `same` as the item. Raises DataError for too few."""
    found = [pool.examples[place] for place in islice((place for place in order if place not in same), count)]
    if len(found) < count:
        beside = len(pool) - len(same)
        raise DataError(f"too few examples: expected {count}, got {beside} that differ from the item")
    return found


class InOrder:
    """The first examples of a list that are not the item."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self._pool = Pool(examples)

    def select(self, item: Example, count: int) -> list[Example]:
        """See `Selector.select`."""
        return taken(self._pool, range(len(self._pool)), self._pool.same(item), count)


class Draws:
    """Random orders that depend on a seed: one for all items, or, `per_item`, also on the item's id."""

    def __init__(self, seed: int, *, per_item: bool = False) -> None:
        self._seed, self._per_item = seed, per_item
        self._kept: dict[tuple[str, int], list[int]] = {}

    def order(self, what: str, size: int, item: Example) -> Iterable[int]:
        """The numbers below `size` in an order of its own for each `what`."""
        if self._per_item:
            return drawn(self._seed, f"{what}\0item\0{item.key}", size)
        if (what, size) not in self._kept:
            self._kept[what, size] = list(drawn(self._seed, what, size))
        return self._kept[what, size]


def drawn(seed: int, key: str, size: int) -> Iterator[int]:
    """The numbers below `size`, each once, one after another drawn from those left (Fisher and Yates).

    The numbers of the draw are hashes of seed, key and step. What is not taken is not worked out: the first
    few of many cost no more than the first few of few.
    """
    moved: dict[int, int] = {}
    for step in range(size):
        place = step + stream_of(seed, key, step) % (size - step)
        yield moved.get(place, place)
        moved[place] = moved.pop(step, step)


def shuffled(examples: Sequence[Example], seed: int) -> InOrder:
    """Examples at random, the same for all items: the first of an order that depends on the seed alone."""
    return InOrder([examples[place] for place in drawn(seed, SHOTS, len(examples))])


class Random:
    """Examples at random, for all items or for each; for all they are those of `shuffled`."""

    def __init__(self, examples: Sequence[Example], draws: Draws) -> None:
        self._pool, self._draws = Pool(examples), draws

    def select(self, item: Example, count: int) -> list[Example]:
        """See `Selector.select`."""
        order = self._draws.order(SHOTS, len(self._pool), item)
        return taken(self._pool, order, self._pool.same(item), count)


class Balanced:
    """Examples of each label in turn, labels and the examples of each in orders at random.

    Of any count no label has two more than another that still has examples. Where the item is one of them, the
    next of its label replaces it.
    """

    def __init__(self, examples: Sequence[Example], draws: Draws) -> None:
        self._pool, self._draws = Pool(examples), draws
        groups: dict[str | None, list[int]] = {}
        for place, example in enumerate(examples):
            groups.setdefault(example.output, []).append(place)
        self._groups = list(groups.values())

    def select(self, item: Example, count: int) -> list[Example]:
        """See `Selector.select`."""
        same = self._pool.same(item)
        return taken(self._pool, self._in_turn(item, same), same, count)

    def _in_turn(self, item: Example, same: frozenset[int]) -> Iterator[int]:
        """The examples that are not the item, a round of the labels after another."""
        queues = []
        for number in self._draws.order("labels", len(self._groups), item):
            group = self._groups[number]
            order = self._draws.order(f"label {number}", len(group), item)
            queues.append(_others(group, order, same))
        while queues:
            left = []
            for queue in queues:
                place = next(queue, None)
                if place is not None:
                    yield place
                    left.append(queue)
            queues = left


def _others(group: Sequence[int], order: Iterable[int], same: frozenset[int]) -> Iterator[int]:
    return (group[number] for number in order if group[number] not in same)


def named(examples: Sequence[Example], names: Sequence[str]) -> list[Example]:
    """The examples of these names, in this order: ids, or numbers of those that have no such id.

    Raises DataError for an unknown name, and for a repeated one.
    """
    by_name = {str(example.number): example for example in examples}
    by_name |= {example.key: example for example in reversed(examples) if example.id is not None}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise DataError(f"no example with the id {', '.join(map(repr, unknown))}")
    found = [by_name[name] for name in names]
    if len({example.number for example in found}) < len(found):
        raise DataError("an example is repeated in --ids")
    return found


Arrangement = Callable[[list[Example], Example], list[Example]]
"""From examples as chosen for an item, the first choice first, to their order in its prompt."""


def as_selected(shots: list[Example], _item: Example) -> list[Example]:
    """The first choice first."""
    return shots


def last_first(shots: list[Example], _item: Example) -> list[Example]:
    """The first choice, such as the most similar example, next to the item."""
    return shots[::-1]


def at_random(draws: Draws) -> Arrangement:
    """An order at random of as many examples as there are."""
    return lambda shots, item: [shots[place] for place in draws.order("places", len(shots), item)]
