"""How alike texts are, within themselves and among each other: distinct n-grams, repetition, duplicates, self-BLEU.

    distinct-n  = distinct n-grams of all texts / n-grams of all texts        Li et al. 2016, section 5.1
    rep-n       = 1 - distinct n-grams of a text / n-grams of the text, the mean over texts that have any
                                                                              Welleck et al. 2020, seq-rep-n
    type-token ratio = distinct tokens / tokens, so that it is distinct-1
    duplicates  = texts that are equal to one before, byte by byte / texts
    self-BLEU                                                                 see `metrics.self_bleu`

Li et al. divide by tokens, others by n-grams, so that 1 is reached; so do we. n-grams lie within texts. All
is exact: ids of all tokens are kept, and n-grams are distinguished by sorting. Knows no files.

Shapes: T texts, N tokens, P pairs of a text and an n-gram that it has.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from lmkit.data.keyed_random import stream_of, uniforms
from lmkit.metrics.self_bleu import SelfBleu
from lmkit.protocols import I32, I64, Bool
from lmkit.tokenization.tokenizers import Learner

LINE_END = -1
"""The token of a line end within a text, where it is not white space between words."""


def encode(learner: Learner, texts: Sequence[bytes], *, words: bool) -> tuple[I32, I64]:
    """Ids of texts, (N,), and the number of tokens of each, (T,).

    A text may have several lines; their ends are white space between `words`, else tokens.
    """
    block = b"".join([line for text in texts for line in (text, b"\n")])
    ids, ends = learner.learn(block, learner.scan(block))
    lines = np.array([text.count(b"\n") + 1 for text in texts], dtype=np.int64)
    last = np.cumsum(lines) - 1
    if len(ends) > len(texts) and not words:
        within = np.ones(len(ends), dtype=np.bool_)
        within[last] = False
        ids = np.insert(ids, ends[within], LINE_END)
        ends = ends + np.cumsum(within)
    return ids, np.diff(ends[last], prepend=0)


@dataclass
class Texts:
    """Texts to be measured: their tokens' ids and a digest of each distinct one; grows as they are added."""

    ids: list[I32] = field(default_factory=list)
    lengths: list[I64] = field(default_factory=list)
    digests: set[bytes] = field(default_factory=set)
    """16 bytes of each distinct text."""

    def add(self, texts: Sequence[bytes], ids: I32, lengths: I64) -> None:
        """Adds texts with what `encode` makes of them."""
        self.ids.append(ids)
        self.lengths.append(lengths)
        self.digests.update([blake2b(text, digest_size=16).digest() for text in texts])

    def join(self, other: "Texts") -> None:
        """Adds those of another, which share what it holds."""
        self.ids += other.ids
        self.lengths += other.lengths
        self.digests |= other.digests

    def count(self, token: int) -> int:
        """How often all of them have a token."""
        return sum(int(np.count_nonzero(ids == token)) for ids in self.ids)


@dataclass(frozen=True)
class Diversity:
    """The figures; None where there is nothing to divide by."""

    texts: int
    empty: int
    """Texts without a token."""
    tokens: int
    vocabulary: int
    """Distinct tokens."""
    duplicates: float | None
    distinct: Sequence[float | None]
    """Of n-grams of order 1, 2, ..."""
    repetition: Sequence[float | None]
    """Of n-grams of order 1, 2, ..."""
    self_bleu: float | None
    """None for fewer than two texts with tokens."""

    @property
    def mean_length(self) -> float | None:
        """Tokens of a text."""
        return self.tokens / self.texts if self.texts else None

    @property
    def type_token_ratio(self) -> float | None:
        """Distinct tokens over tokens."""
        return self.vocabulary / self.tokens if self.tokens else None


class Counted(NamedTuple):
    """How often each text has each n-gram of one order, ordered by text; n-grams are numbered from 0."""

    texts: I64
    """(P,)"""
    grams: I64
    """(P,)"""
    counts: I64
    """(P,)"""
    distinct: int
    """How many n-grams differ."""


def measure(texts: Texts, order: int, *, most: int | None = None, seed: int = 0) -> Diversity:
    """All figures, of n-grams up to an order from 1 on; self-BLEU among `most` texts, drawn by the seed."""
    ids = np.concatenate([np.zeros(0, dtype=np.int32), *texts.ids])
    lengths = np.concatenate([np.zeros(0, dtype=np.int64), *texts.lengths])
    chosen = drawn(lengths > 0, most, seed)
    bleu = SelfBleu(lengths[chosen])
    place = np.full(len(lengths), -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    distinct: list[float | None] = []
    repetition: list[float | None] = []
    for n, counted in enumerate(n_grams(ids, lengths, order), 1):
        totals = np.maximum(lengths - n + 1, 0)
        own = np.bincount(counted.texts, minlength=len(lengths))
        some = totals > 0
        distinct.append(counted.distinct / int(totals.sum()) if some.any() else None)
        repetition.append(float(np.mean((totals - own)[some] / totals[some])) if some.any() else None)
        places = place[counted.texts]
        taken = places >= 0
        bleu.add(places[taken], counted.grams[taken], counted.counts[taken])
        if n == 1:
            vocabulary = counted.distinct
    size = len(lengths)
    return Diversity(
        texts=size, empty=size - int(np.count_nonzero(lengths)), tokens=len(ids), vocabulary=vocabulary,
        duplicates=(size - len(texts.digests)) / size if size else None,
        distinct=distinct, repetition=repetition, self_bleu=bleu.mean(),
    )  # fmt: skip


def drawn(among: Bool, most: int | None, seed: int) -> I64:
    """Places of what is True, (T,), in order; `most` at the most, drawn by the seed."""
    places: I64 = np.flatnonzero(among)
    if most is None or len(places) <= most:
        return places
    numbers = uniforms([stream_of(seed, "self-bleu", 0)], [0], np.arange(len(places)))[0]
    return places[np.sort(np.argsort(numbers, kind="stable")[:most])]


def n_grams(ids: I32, lengths: I64, order: int) -> Iterator[Counted]:
    """The n-grams of texts laid end to end, order by order from 1 on.

    An n-gram's number is found from that of its first n - 1 tokens and its last one.
    """
    text = np.repeat(np.arange(len(lengths)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(ids))
    tokens = _numbered(ids.astype(np.int64) - LINE_END, 1 + _above(ids))
    starts, grams = np.arange(len(ids)), tokens
    vocabulary = distinct = _above(tokens)
    for n in range(1, order + 1):
        if n > 1:
            longer = left[starts] >= n
            starts, grams = starts[longer], grams[longer]
            grams = _numbered(grams * vocabulary + tokens[starts + n - 1], distinct * vocabulary)
            distinct = _above(grams)
        pairs, counts = np.unique(text[starts] * distinct + grams, return_counts=True)
        yield Counted(*np.divmod(pairs, max(distinct, 1)), counts, distinct)


def _numbered(keys: I64, limit: int) -> I64:
    """The rank of each key among those that occur; keys are from 0 to below the limit."""
    if limit > 4 * len(keys):  # a table would be mostly empty
        return np.unique(keys, return_inverse=True)[1]
    occurs = np.zeros(limit, dtype=np.bool_)
    occurs[keys] = True
    ranks: I64 = (np.cumsum(occurs) - 1)[keys]
    return ranks


def _above(numbers: I32 | I64) -> int:
    """The least number above all of them and not below 0."""
    return int(numbers.max()) + 1 if len(numbers) else 0
