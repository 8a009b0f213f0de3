"""Demonstrations: the examples that the prompt of an item shows, chosen and arranged as asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lmkit.errors import DataError
from lmkit.prompting import example_selection, example_similarity
from lmkit.prompting.examples import Example, Pool
from lmkit.protocols import F64

Vector = Callable[[str], F64 | None]
"""From a text to its vector, (D,); None where it has none."""


@dataclass(frozen=True)
class Selection:
    """How examples are chosen, by which of `first`, `random`, `balanced`, `similar` and `fixed`, and arranged."""

    count: int | None
    """None: all examples, or all that are named."""
    select: str = "first"
    names: Sequence[str] = ()
    """With `fixed`: ids or numbers of examples."""
    open_vectors: Callable[[], Vector] | None = None
    """With `similar`: gives what is compared; None: words are."""
    per_item: bool = False
    arrange: str = "selected"
    """Their order in a prompt: as `selected`, `reversed`, or `random`."""
    seed: int = 0


class DemonstrationSelector:
    """Chooses examples for items and arranges them. Raises DataError where there are too few.

    `place` is where the examples were read, for messages; `notice` takes what the user should hear of them.
    """

    def __init__(
        self, selection: Selection, examples: Sequence[Example], place: str, notice: Callable[[str], None]
    ) -> None:
        self._place, self._fixed = place, selection.select == "fixed"
        self._pool = Pool(self._named(examples, selection.names) if self._fixed else examples, apart=True)
        if self._pool.repeated:
            notice(f"{place}: {_repeated(self._pool.repeated)}, left out")
        size = len(self._pool)
        self._count = size if selection.count is None and self._fixed else selection.count
        if (self._count or 0) > size:
            raise self._too_few(f"too few examples: expected {self._count}, got {size}")
        draws = example_selection.Draws(selection.seed, per_item=selection.per_item)
        self._selector = _selector(selection, self._pool.examples, draws)
        self.arranged: example_selection.Arrangement = {
            "selected": example_selection.as_selected,
            "reversed": example_selection.last_first,
            "random": example_selection.at_random(draws),
        }[selection.arrange]

    def _named(self, examples: Sequence[Example], names: Sequence[str]) -> list[Example]:
        try:
            return example_selection.named(examples, names)
        except DataError as error:
            raise DataError(f"{self._place}: {error}", hint=error.hint) from None

    def _too_few(self, message: str) -> DataError:
        hint = "name one more with --ids as a replacement" if self._fixed else "ask for fewer with --shots"
        return DataError(f"{self._place}: {message}", hint=hint)

    def chosen(self, item: Example) -> list[Example]:
        """The examples for an item, the first choice first."""
        if self._count == 0:
            return []
        beside = len(self._pool) - len(self._pool.same(item))
        count = beside if self._count is None else self._count
        if count > beside:
            raise self._too_few(f"too few examples: expected {count}, got {beside} that differ from {item.place}")
        return self._selector.select(item, count)


def _repeated(count: int) -> str:
    return "1 example repeats an earlier one" if count == 1 else f"{count} examples repeat earlier ones"


def _selector(
    selection: Selection, examples: Sequence[Example], draws: example_selection.Draws
) -> example_selection.Selector:
    if selection.select == "similar":
        ranking: example_similarity.Ranking = (
            example_similarity.BM25(examples)
            if selection.open_vectors is None
            else example_similarity.Cosines(examples, selection.open_vectors())
        )
        return example_similarity.Similar(examples, ranking)
    if selection.select == "balanced":
        return example_selection.Balanced(examples, draws)
    if selection.select == "random":
        return example_selection.Random(examples, draws)
    return example_selection.InOrder(examples)
