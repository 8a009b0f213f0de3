"""Answers of one prompt in order, by their likelihood under a model or by its margin over another model's.

likelihood   log p(y | x), the end of a finished answer included; divided by tokens, bytes or characters of y; or
             less log p(y) at the beginning of a text (pmi)
margin       beta (log p(y | x) - log q(y | x)), p the policy and q its reference: the reward that direct preference
             optimisation learns implicitly. Rafailov et al. (2023), section 4

N answers.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lmkit.errors import DataError
from lmkit.generation.prompt_encoding import ends_of
from lmkit.prompting.candidate_scoring import encode_question, expect_room, prefix_scorer_of
from lmkit.prompting.multiple_choice import Question
from lmkit.protocols import LanguageModel, SequenceFormat

NORMS = ("none", "tokens", "bytes", "chars", "pmi")


class Likelihood(NamedTuple):
    """Nats of an answer after its prompt, and how many tokens these are of."""

    nats: float
    tokens: int


class RankedAnswer(NamedTuple):
    """A text that answers a prompt; `finished`: its end is scored too."""

    text: str
    finished: bool


def answer_end(form: SequenceFormat) -> int | None:
    """The token that ends an answer: the first that a model's makers name, else the end of its texts."""
    return form.ends[0] if form.ends else next(iter(ends_of(form)), None)


class AnswerLikelihood:
    """Scores answers with a model; what prompts have in common is run once."""

    def __init__(self, model: LanguageModel, *, window: bool = False) -> None:
        self.model, self._window = model, window
        self._end = answer_end(model.form)
        self._prefixes = prefix_scorer_of(model)

    def scores(self, prompt: str, answers: Sequence[RankedAnswer]) -> list[Likelihood]:
        """The likelihood of each of N answers. Raises DataError for one beyond the context without `window`."""
        texts = tuple(one.text for one in answers)
        joint = self._joint(prompt, texts)
        encoded = encode_question(self.model, Question(prompt, texts, joint))
        end = np.array([] if self._end is None else [self._end], dtype=np.int32)
        endings = [
            np.concatenate((ids, end)) if one.finished else ids
            for ids, one in zip(encoded.endings, answers, strict=True)
        ]
        encoded = encoded._replace(endings=tuple(endings))
        if not self._window:
            expect_room(self.model, encoded)
        with np.errstate(all="ignore"):
            nats = self._prefixes.endings(encoded.prefix, encoded.endings)
        return [Likelihood(float(some.sum()), len(ids)) for some, ids in zip(nats, encoded.endings, strict=True)]

    def _joint(self, prompt: str, texts: Sequence[str]) -> str:
        """What is between a prompt and its answers where words are tokens, which texts are written without."""
        glued = prompt[-1:].strip() and any(text[:1].strip() for text in texts)
        return (self.model.tokenizer.separator or b"").decode() if glued else ""


def normalised(
    answers: Sequence[RankedAnswer], scored: Sequence[Likelihood], norm: str, alone: Sequence[float]
) -> list[float]:
    """The scores, (N,), by a norm but `pmi` of the answers' likelihoods; of that with those they have `alone`, (N,)."""
    if norm == "pmi":
        return [
            one.nats - less if math.isfinite(one.nats) else one.nats for one, less in zip(scored, alone, strict=True)
        ]
    sizes = {
        "none": [1 for _ in answers], "tokens": [one.tokens for one in scored],
        "bytes": [len(one.text.encode()) for one in answers], "chars": [len(one.text) for one in answers],
    }[norm]  # fmt: skip
    return [one.nats / max(1, size) for one, size in zip(scored, sizes, strict=True)]


def order(scores: Sequence[float]) -> list[int]:
    """The places of N answers from the highest score to the lowest, those of equal scores as they came."""
    return sorted(range(len(scores)), key=lambda place: (-scores[place], place))


class AnswerRanker:
    """Scores the answers of one prompt at a time by one rule."""

    def __init__(
        self, judge: AnswerLikelihood, *, norm: str = "tokens", reference: AnswerLikelihood | None = None,
        beta: float = 0.1,
    ) -> None:  # fmt: skip
        """With a `reference` the score is the margin, whatever the norm."""
        self._judge, self._norm, self._reference, self._beta = judge, norm, reference, beta

    def records(self, prompt: str, answers: Sequence[RankedAnswer]) -> list[dict[str, float]]:
        """What is known of each of N answers: its `score`, `judge_nats`, `judge_tokens` and `reference_nats`."""
        scored = self._judge.scores(prompt, answers)
        found = [{"judge_nats": one.nats, "judge_tokens": one.tokens} for one in scored]
        if self._reference is not None:
            others = self._reference.scores(prompt, answers)
            return [
                {"score": self._beta * _minus(one.nats, other.nats), **known, "reference_nats": other.nats}
                for one, other, known in zip(scored, others, found, strict=True)
            ]
        alone: Sequence[float] = [one.nats for one in self._judge.scores("", answers)] if self._norm == "pmi" else ()
        scores = normalised(answers, scored, self._norm, alone)
        return [{"score": score, **known} for score, known in zip(scores, found, strict=True)]


def _minus(one: float, other: float) -> float:
    if math.isinf(other):
        raise DataError("the reference gives an answer no probability, so it has no margin")
    return one - other
