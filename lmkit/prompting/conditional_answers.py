"""The choice between answers by an encoder-decoder: the prompt is the source, and each candidate a target.

The score of a candidate is log p(candidate, end of the target | prompt), which is exact. Line ends of a prompt are read
as spaces, since sources are lines; a [Z] is left out of it. Knows no files.
"""

from collections.abc import Sequence

import numpy as np

from lmkit.errors import DataError
from lmkit.prompting.answer_scorer import Normalization
from lmkit.prompting.multiple_choice import Question, Scored
from lmkit.prompting.uncached_answers import UncachedAnswerScorer
from lmkit.protocols import EncoderDecoder

METHOD = "target given the prompt as source"


class ConditionalAnswerScorer(UncachedAnswerScorer):
    """Scores questions with an encoder-decoder; `window`: of sources too long the last tokens are read."""

    method = METHOD

    def __init__(self, model: EncoderDecoder, normalization: Normalization, *, window: bool) -> None:
        super().__init__(normalization)
        self._model, self._window = model, window

    def scored(self, questions: Sequence[Question]) -> list[Scored]:
        """See `UncachedAnswerScorer.scored`; no question's numbers depend on others."""
        return [self._of(question) for question in questions]

    def _of(self, question: Question) -> Scored:
        model = self._model
        text = " ".join(f"{question.before}{question.after}".split("\n"))
        try:
            source = model.source_ids(text.encode(), window=self._window)
        except DataError as error:
            raise DataError(f"{question.place}: {error}" if question.place else str(error), hint=error.hint) from None
        end = np.array([model.form.newline_id], dtype=np.int32)
        targets = [np.concatenate((model.tokenizer.encode(one.encode()), end)) for one in question.candidates]
        nats = model.score_pairs([source] * len(targets), targets)
        return Scored(tuple(float(one.sum()) for one in nats), tuple(map(len, targets)))
