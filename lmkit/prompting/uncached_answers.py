"""The choice between answers by models that are no language models of the prompt: what all of their scorers share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import ClassVar

from lmkit.prompting import score_normalization
from lmkit.prompting.answer_scorer import Normalization
from lmkit.prompting.multiple_choice import Question, Scored


class UncachedAnswerScorer(ABC):
    """Scores questions; see `answer_scorer.AnswerScorer`."""

    method: ClassVar[str]
    """How candidates are scored, for people."""

    def __init__(self, normalization: Normalization) -> None:
        self._normalization = normalization

    @abstractmethod
    def scored(self, questions: Sequence[Question]) -> list[Scored]:
        """Nats of every candidate of each question, and its number of tokens."""

    @property
    def norm(self) -> str:
        """The normalisation that decides."""
        return self._normalization.norm

    def scores(
        self, asked: Sequence[tuple[Question, object]], progress: Callable[[int], None] = lambda _place: None
    ) -> list[dict[str, list[float]]]:
        """The candidates' scores by each norm, (C,), of questions, each with the text that its item has."""
        norms = [self._normalization.norms_of(question, text) for question, text in asked]
        domain, contents = self._normalization.domain, self._normalization.content_free
        several = [
            score_normalization.questions(question, some, domain, contents, text)
            for (question, text), some in zip(asked, norms, strict=True)
        ]
        scored = self.scored([question for questions in several for question in questions])
        begins = [0, *accumulate(map(len, several))][: len(several)]
        found = []
        for place, ((question, _), questions, some, begin) in enumerate(
            zip(asked, several, norms, begins, strict=True)
        ):
            own = [scored[begin + more] for more in range(len(questions))]
            found.append(score_normalization.all_normalised(replace(question, after=""), own, some))
            progress(place)
        return found

    def best(self, by_norm: Mapping[str, Sequence[float]]) -> int:
        """Which candidate is chosen by its scores."""
        return score_normalization.best(by_norm[self.norm])
