"""Questions of the kind `a is to b as c is to what?`, asked of a space and counted by section. Knows no files.

Shapes: Q questions, W distinct words of them, N words that may be answers, D numbers in a vector.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lmkit.protocols import F64
from lmkit.tokenization.words import split
from lmkit.word_vectors.vector_space import SMALLEST, VectorSpace
from lmkit.word_vectors.word_lookup import rows, spellings

NUMBERS = 1 << 23
"""Cosines that are held at once."""
TIE = 1e-12
"""Scores that differ by less are equal: what rounding does is no reason to prefer a word."""


class Question(NamedTuple):
    """`a` is to `b` as `c` is to `d`."""

    a: bytes
    b: bytes
    c: bytes
    d: bytes


class Section(NamedTuple):
    """Questions of one kind."""

    name: str
    questions: list[Question]


class Tally(NamedTuple):
    """How many questions there were, of how many all words were known, and how many of these were answered right."""

    section: str
    correct: int
    total: int
    questions: int

    @property
    def accuracy(self) -> float | None:
        """The share of right answers; None where nothing could be asked."""
        return self.correct / self.total if self.total else None


def parse(line: bytes) -> Question | str | None:
    """A question; the name of a section, for `: name`; None for an empty line or a `//` comment.

    Raises ValueError for anything else.
    """
    if line.startswith(b":"):
        return line[1:].decode(errors="replace").strip()
    words = split(line)
    if not words or words[0].startswith(b"//"):
        return None
    if len(words) != 4:
        raise ValueError(f"a question has 4 words, this has {len(words)}")
    return Question(*words)


def judge(
    space: VectorSpace, sections: Sequence[Section], *, limit: int | None = None, multiply: bool = False,
    fold: bool = True,
) -> Iterator[Tally]:  # fmt: skip
    """Answers all questions whose words are among the first `limit`, and counts.

    The answer is the word of the highest score among these, but for `a`, `b` and `c`: of 3CosAdd, cos(w, b) -
    cos(w, a) + cos(w, c), Mikolov et al. (2013), or to `multiply` 3CosMul, Levy and Goldberg (2014). Where
    `fold`, spellings by case are one word, as a question's and as an answer. Ties go to the first.
    """
    words = (word for section in sections for question in section.questions for word in question)
    known = spellings(space, words, limit, fold=fold)
    for section in sections:
        asked = [question for question in section.questions if all(word in known for word in question)]
        given = answers(space, asked, known, rows(space, limit), multiply=multiply)
        right = sum(token in known[question.d] for token, question in zip(given, asked, strict=True))
        yield Tally(section.name, right, len(asked), len(section.questions))


def answers(
    space: VectorSpace, questions: Sequence[Question], known: Mapping[bytes, list[int]], size: int, *, multiply: bool
) -> list[int]:
    """The id of the answer to each question, among the first `size`; -1 where all words are those of the question.

    A question's words are few and come again and again: the cosines of each with all words are one product, and
    scores are sums, or products, of rows of it.
    """
    if not questions:
        return []
    tokens = np.unique([known[word][0] for question in questions for word in question[:3]])
    places = {token: place for place, token in enumerate(tokens.tolist())}
    asked = [[places[known[word][0]] for word in question[:3]] for question in questions]
    excluded = [[token for word in question[:3] for token in known[word]] for question in questions]
    units = space.units(tokens.astype(np.int32))
    highest, found = [-np.inf] * len(questions), [-1] * len(questions)
    step = max(1 << 10, NUMBERS // len(tokens))
    for start in range(0, size, step):
        ids = np.arange(start, min(size, start + step), dtype=np.int32)
        cosines = units @ space.units(ids).T
        if multiply:
            cosines = (1 + np.clip(cosines, -1, 1)) / 2
        missing = np.flatnonzero(space.norms[ids] == 0)
        for number, (a, b, c) in enumerate(asked):
            scores = _scores(cosines[a], cosines[b], cosines[c], multiply=multiply)
            scores[missing] = -np.inf
            scores[[token - start for token in excluded[number] if start <= token < start + len(ids)]] = -np.inf
            high = float(scores.max())
            slack = TIE * max(1.0, abs(high))
            if high > highest[number] + (slack if found[number] >= 0 else 0):
                highest[number] = high
                found[number] = start + int((scores >= high - slack).argmax())
    return found


def _scores(a: F64, b: F64, c: F64, *, multiply: bool) -> F64:
    """3CosAdd of cosines with all words, (N,), or 3CosMul of these moved to 0 to 1."""
    scores: F64 = b * c if multiply else b + c
    if multiply:
        scores /= a + SMALLEST
    else:
        scores -= a
    return scores


def totals(tallies: Iterable[Tally]) -> list[Tally]:
    """All sections together; before that semantic and syntactic ones, if names tell: `gram...` is syntax."""
    tallies = list(tallies)
    syntax = [tally for tally in tallies if tally.section.startswith("gram")]
    meaning = [tally for tally in tallies if not tally.section.startswith("gram")]
    parts = [("semantic", meaning), ("syntactic", syntax)] if syntax and meaning else []
    return [
        Tally(name, sum(t.correct for t in some), sum(t.total for t in some), sum(t.questions for t in some))
        for name, some in [*parts, ("total", tallies)]
    ]
