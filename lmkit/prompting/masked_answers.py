"""The choice between answers by an encoder: each candidate's pieces are filled into masks, one after another.

The chain over the pieces w_1 ... w_k of a candidate, at a place with text on both sides, is exact for this order:

    sum over j of log p(w_j | text, w_1 ... w_(j-1), a mask at each of j ... k)

Candidates of one piece have the probability that `fill` gives. That is a score and no probability of the text: those
of candidates of other lengths need not sum to one. Knows no files.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lmkit.errors import DataError
from lmkit.evaluation.masked_places import BATCH_TOKENS, Masked, batches, log_probabilities
from lmkit.prompting.answer_scorer import Normalization
from lmkit.prompting.multiple_choice import Question, Scored
from lmkit.prompting.uncached_answers import UncachedAnswerScorer
from lmkit.protocols import I32, Encoder, Tokenizer

METHOD = "chain over masked pieces, from left to right"


class _Places(NamedTuple):
    """A candidate among its text: ids before, of the candidate, and behind."""

    before: I32
    answer: I32
    after: I32


class MaskedAnswerScorer(UncachedAnswerScorer):
    """Scores questions with an encoder; see `answer_scorer.AnswerScorer`.

    tokenizer  whose names of special tokens mean these tokens, or not
    window     whether of texts too long the tokens around the answer are read
    """

    method = METHOD

    def __init__(self, model: Encoder, normalization: Normalization, tokenizer: Tokenizer, *, window: bool) -> None:
        super().__init__(normalization)
        self._model, self._tokenizer, self._window = model, tokenizer, window

    def scored(self, questions: Sequence[Question]) -> list[Scored]:
        """See `UncachedAnswerScorer.scored`; tokens are pieces."""
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
