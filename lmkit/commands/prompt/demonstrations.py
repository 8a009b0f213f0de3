"""Which examples prompts show: from options to a selector and an arrangement."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run
from lmkit.errors import CheckpointError, DataError, UsageError
from lmkit.io import streams
from lmkit.prompting.examples import Example, Pool


@dataclass(frozen=True)
class SelectionOptions:
    """The options about it."""

    count: int | None
    """None: all examples, or all that are named."""
    select: str
    ids: str | None
    similar_by: str | None
    per_item: bool
    arrange: str
    seed: int

    def check(self) -> None:
        """Raises UsageError for options that make no sense together."""
        if (self.ids is not None) != (self.select == "fixed"):
            raise UsageError("--select fixed and --ids go together", hint="--select fixed --ids 3,17,5")
        if self.similar_by is not None and self.select != "similar":
            raise UsageError("--similar-by goes with --select similar")
        if self.per_item and self.select not in ("random", "balanced") and self.arrange != "random":
            raise UsageError(f"--select {self.select} draws nothing --per-item", hint="--select random draws")


class DemonstrationSelector:
    """Chooses examples for items and arranges them. Raises DataError where there are too few, naming SHOTS."""

    def __init__(self, run: Run, options: SelectionOptions, examples: Sequence[Example], shots: str) -> None:
        from lmkit.prompting import example_selection

        self._shown, self._named = streams.display(shots), options.select == "fixed"
        pool = Pool(self._taken(options, examples), apart=True)
        if pool.repeated:
            run.terminal.notice(f"{self._shown}: {_repeated(pool.repeated)}, and left out")
        self._pool = pool
        self._count = len(pool) if options.count is None and self._named else options.count
        if (self._count or 0) > len(pool):
            raise self._too_few(f"{self._count} examples are asked for, and there are {len(pool)}")
        draws = example_selection.Draws(options.seed, per_item=options.per_item)
        self._selector: example_selection.Selector = _selector(options, pool.examples, draws)
        self.arranged: example_selection.Arrangement = {
            "selected": example_selection.as_selected,
            "reversed": example_selection.last_first,
            "random": example_selection.at_random(draws),
        }[options.arrange]

    def _taken(self, options: SelectionOptions, examples: Sequence[Example]) -> Sequence[Example]:
        """The examples to choose from: all, or those that are named."""
        from lmkit.prompting import example_selection

        if options.ids is None:
            return examples
        with opening.error_context(self._shown):
            return example_selection.named(examples, [name.strip() for name in options.ids.split(",")])

    def _too_few(self, message: str) -> DataError:
        hint = "name one more with --ids, to stand in for it" if self._named else "fewer with --shots"
        return DataError(f"{self._shown}: {message}", hint=hint)

    def chosen(self, item: Example) -> list[Example]:
        """The examples for an item, the first choice first."""
        if self._count == 0:
            return []
        beside = len(self._pool) - len(self._pool.same(item))
        count = beside if self._count is None else self._count
        if count > beside:
            raise self._too_few(f"{count} examples are asked for, and there are {beside} beside {item.place}")
        return self._selector.select(item, count)


def _repeated(count: int) -> str:
    return "1 example is the same as an earlier one" if count == 1 else f"{count} examples are the same as earlier ones"


def _selector(options: SelectionOptions, examples: Sequence[Example], draws: Any) -> Any:
    from lmkit.prompting import example_selection, example_similarity

    if options.select == "similar":
        by = options.similar_by
        scores = example_similarity.BM25(examples) if by is None else example_similarity.Cosines(examples, _vector(by))
        return example_similarity.Similar(examples, scores)
    if options.select == "balanced":
        return example_selection.Balanced(examples, draws)
    return (
        example_selection.Random(examples, draws) if options.select == "random" else example_selection.InOrder(examples)
    )


def _vector(name: str) -> Callable[[str], Any]:
    """From a text to its mean vector. Raises CheckpointError where the model has none."""
    from lmkit.evaluation.pooling import text_vector

    model = opening.open_any(name)
    if not hasattr(model, "vectors"):
        raise CheckpointError(f"{streams.display(name)}: of kind {model.kind}, it has no vectors")

    def vector(text: str) -> Any:
        with opening.error_context(name):
            return text_vector(model, text)

    return vector
