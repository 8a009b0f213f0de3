"""Templates compared by how a model answers the prompts that they make of the same items."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lmkit.metrics.bootstrap import Difference, Interval, Sampling, interval, paired_difference
from lmkit.prompting.answer_scorer import AnswerScorer
from lmkit.prompting.multiple_choice import Question


@dataclass(frozen=True)
class TemplateOutcome:
    """How a template did: whether each item was answered right, (N,)."""

    template: str
    right: Sequence[bool]
    on: str
    """Which items they are."""

    @property
    def accuracy(self) -> float:
        """The share of items that were."""
        return sum(self.right) / len(self.right)

    def measured(self, best: "TemplateOutcome", sampling: Sampling) -> tuple[Interval, Difference | None]:
        """The accuracy, and the difference to the best on the same items."""
        own = interval(self.right, sampling.seed, sampling.resamples, sampling.level)
        if self is best or self.on != best.on:
            return own, None
        return own, paired_difference(self.right, best.right, sampling.seed, sampling.resamples, sampling.level)


def answered_right(
    scorer: AnswerScorer, questions: Sequence[tuple[Question, object]], golds: Sequence[str],
    progress: Callable[[int], None],
) -> list[bool]:  # fmt: skip
    """Whether the model answers each question, with the text that its item has, by what is right for it."""
    chosen = scorer.chosen(questions, progress)
    return [
        question.candidates[place] == gold for (question, _), place, gold in zip(questions, chosen, golds, strict=True)
    ]
