"""What is made of candidates' likelihoods so that long and frequent ones have no advantage. Knows no model and no text.

Every score is a logarithm, in nats, and the higher the better; none is ever a NaN. x is the question, y a candidate
with the text that follows it and is scored with it: the continuation.

none         log p(y | x)
tokens       that divided by the tokens of y, as the model's tokenizer splits it
bytes        divided by the bytes of y as UTF-8
chars        divided by the characters of y
pmi          log p(y | x) - log p(y), y at the beginning of a text
domain       log p(y | x) - log p(y | d), d a text that says what kind of answer comes. Holtzman et al. (2021), eq. 2
calibrated   log q(y), q = p(y | x) / p(y | c), both over the candidates alone, and q again: c are questions without
             content, over which p(y | c) is averaged. Zhao et al. (2021), section 5

`tokens`, `bytes` and `chars` count one span: all that is scored, from the candidate's first character to the end of
the text, or of the line where the model reads each line separately. lm-evaluation-harness divides by the length of
the continuation in the same way, and as there a space before the candidate is not counted: the joint adds to the
number of tokens only where the tokenizer makes it a token.

Shapes: C candidates.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from lmkit.errors import DataError
from lmkit.prompting.layout import open_ended
from lmkit.prompting.multiple_choice import Question, Scored, without_content

FREE = ("none", "tokens", "bytes", "chars")
"""Norms that ask the model nothing more."""
DEARER = ("pmi", "domain", "calibrated")
NORMS = FREE + DEARER
CONTENT_FREE = ("N/A", "", "[MASK]")
"""Content-free texts. Zhao et al. (2021), section 5."""


class Baselines(NamedTuple):
    """Nats of the same candidates after other texts: none, a domain's, and several without content."""

    alone: Sequence[float] | None = None
    domain: Sequence[float] | None = None
    content_free: Sequence[Sequence[float]] = ()


def normalised(scored: Scored, question: Question, norm: str, beside: Baselines | None = None) -> list[float]:
    """Return the scores of a question's candidates, (C,), by the norm, in nats (for each unit).

    `question` is the question as the model sees it; `beside` has what the dearer norms are made from.
    """
    continuations = [one + question.after for one in question.candidates]
    sizes = {
        "none": [1] * len(continuations),
        "tokens": scored.tokens,
        "bytes": [len(one.encode()) for one in continuations],
        "chars": [len(one) for one in continuations],
    }
    if norm in sizes:
        return [nats / max(1, size) for nats, size in zip(scored.nats, sizes[norm], strict=True)]
    assert beside is not None
    if norm == "calibrated":
        return calibrated(scored.nats, beside.content_free)
    other = beside.alone if norm == "pmi" else beside.domain
    assert other is not None
    return [_minus(nats, less) for nats, less in zip(scored.nats, other, strict=True)]


def questions(
    question: Question, norms: Sequence[str], domain: str | None, contents: Sequence[str], text: object
) -> list[Question]:
    """What a model is asked to score a question by some norms: itself, then its candidates after other texts.

    `text` is what of the question is replaced by each of the `contents`. Raises DataError where that is not in it.
    """
    asked = [question]
    if "pmi" in norms:
        asked.append(replace(question, before=""))
    if "domain" in norms:
        assert domain is not None
        asked.append(replace(question, before=open_ended(domain).text))
    if "calibrated" in norms:
        found = [without_content(question, text, content) if isinstance(text, str) else None for content in contents]
        if None in found:
            raise DataError(
                f"{question.place + ': ' if question.place else ''}no `input` that occurs in the prompt",
                hint="`calibrated` replaces it by content-free texts",
            )
        asked += [one for one in found if one is not None]
    return asked


def all_normalised(question: Question, scored: Sequence[Scored], norms: Sequence[str]) -> dict[str, list[float]]:
    """Return the scores of a question's candidates by each norm, given what all of `questions` scored.

    `question` is the question as the model sees it.
    """
    own, *others = scored
    nats = iter([one.nats for one in others])
    beside = Baselines(next(nats) if "pmi" in norms else None, next(nats) if "domain" in norms else None, list(nats))
    return {norm: normalised(own, question, norm, beside) for norm in norms}


def _minus(one: float, other: float) -> float:
    """A difference of logarithms; what is impossible stays so."""
    return -math.inf if one == -math.inf else one - other


def calibrated(nats: Sequence[float], content_free: Sequence[Sequence[float]]) -> list[float]:
    """log q, (C,): probabilities among the candidates, each over its mean after texts without content, summing to 1."""
    logs = proportions(nats)
    several = [proportions(some) for some in content_free]
    means = [total([each[place] for each in several]) - math.log(len(several)) for place in range(len(logs))]
    return proportions([_minus(log, mean) for log, mean in zip(logs, means, strict=True)])


def proportions(nats: Sequence[float]) -> list[float]:
    """Logarithms whose exponentials sum to 1, (C,) to (C,); those of the infinite are the same, and all others none."""
    highest = max(nats)
    if math.isinf(highest):
        share = -math.log(sum(one == highest for one in nats))
        return [share if one == highest else -math.inf for one in nats]
    whole = total(nats)
    return [one - whole for one in nats]


def total(nats: Sequence[float]) -> float:
    """log of the sum of exponentials."""
    highest = max(nats)
    if math.isinf(highest):
        return highest
    return highest + math.log(math.fsum(math.exp(one - highest) for one in nats))


def best(scores: Sequence[float]) -> int:
    """Which candidate is chosen: the first of the highest."""
    return max(range(len(scores)), key=lambda place: (scores[place], -place))
