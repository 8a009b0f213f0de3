"""The choice between answers by an encoder: each candidate's pieces are filled into masks, one after another.

The chain over the pieces w_1 ... w_k of a candidate, at a place with text on both sides, is exact for this order:

    sum over j of log p(w_j | text, w_1 ... w_(j-1), a mask at each of j ... k)

Candidates of one piece have the probability that `fill` gives. That is a score and no probability of the text: those
of candidates of other lengths need not sum to one. Knows no files.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from lmkit.errors import DataError
from lmkit.evaluation.masked_places import BATCH_TOKENS, Masked, batches, log_probabilities
from lmkit.prompting import score_normalization
from lmkit.prompting.answer_scorer import Normalization
from lmkit.prompting.multiple_choice import Question, Scored
from lmkit.protocols import I32, Encoder, Tokenizer

METHOD = "chain over masked pieces, from left to right"


class _Places(NamedTuple):
    """A candidate among its text: ids before, of the candidate, and behind."""

    before: I32
    answer: I32
    after: I32


class MaskedAnswerScorer:
    """Scores questions with an encoder; see `answer_scorer.AnswerScorer`.

    tokenizer  whose names of special tokens mean these tokens, or not
    window     whether of texts too long the tokens around the answer are read
    """

    def __init__(self, model: Encoder, normalization: Normalization, tokenizer: Tokenizer, *, window: bool) -> None:
        self._model, self._normalization, self._tokenizer, self._window = model, normalization, tokenizer, window

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
        scored = self._scored([question for questions in several for question in questions])
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

    def _scored(self, questions: Sequence[Question]) -> list[Scored]:
        """Nats of every candidate of each question, and its number of pieces."""
        places = [[self._places(question, one) for one in question.candidates] for question in questions]
        chains = [text for some in places for each in some for text in self._chain(each)]
        tokens = [int(token) for some in places for each in some for token in each.answer]
        nats: list[float] = []
        for batch in batches(chains, BATCH_TOKENS):
            rows = log_probabilities(self._model, batch)
            nats += [float(row[0, token]) for row, token in zip(rows, tokens[len(nats) :], strict=False)]
        found = []
        begin = 0
        for some in places:
            sums = []
            for each in some:
                sums.append(sum(nats[begin : begin + len(each.answer)]))
                begin += len(each.answer)
            found.append(Scored(tuple(sums), tuple(len(each.answer) for each in some)))
        return found

    def _places(self, question: Question, candidate: str) -> _Places:
        """Raises DataError, with the question's place, for a text too long without `window`."""
        encode, behind = self._tokenizer.encode, question.after.encode()
        before = question.before.encode()
        whole = encode(before + question.joint.encode() + candidate.encode() + behind)
        head, tail = encode(before), encode(behind)
        begin = _common(head, whole)
        end = len(whole) - _common(tail[::-1], whole[begin:][::-1])
        found = _Places(whole[:begin], whole[begin:end], whole[end:])
        room = self._model.context - self._model.form.around
        if len(whole) <= room:
            return found
        tokens = len(whole) + self._model.form.around
        error = DataError(
            f"prompt with answer of {tokens} tokens exceeds the model's context of {self._model.context}",
            hint="use --window to keep only the tokens around the answer",
        )
        free = room - len(found.answer)
        if not self._window or free < 0:
            raise DataError(f"{question.place}: {error}", hint=error.hint) if question.place else error
        left = max(free - len(found.after), min(len(found.before), free // 2))
        return _Places(
            found.before[len(found.before) - left :] if left else found.before[:0],
            found.answer, found.after[: free - left],
        )  # fmt: skip

    def _chain(self, places: _Places) -> list[Masked]:
        """The sequences whose masks are asked about, one for each piece of the answer."""
        mask, cls = self._model.form.mask_token, int(self._model.form.cls is not None)
        chain = []
        for done in range(len(places.answer)):
            filled = places.answer.copy()
            filled[done:] = mask
            ids, segments = self._model.form.single(np.concatenate((places.before, filled, places.after)))
            place = np.array([cls + len(places.before) + done], dtype=np.int32)
            chain.append(Masked(ids, segments, place))
        return chain


def _common(one: I32, other: I32) -> int:
    """How many tokens two begin with alike."""
    length = min(len(one), len(other))
    differ = np.flatnonzero(one[:length] != other[:length])
    return int(differ[0]) if len(differ) else length
