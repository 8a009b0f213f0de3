"""From blocks of text to a vocabulary by falling count and the stream of ids that training reads. Opens no file.

Text is read once: words get ids as they come, and the ids are kept, in memory or where there is more room. What
the vocabulary is to be is known only then.

Shapes: V words, N ids.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from lmkit.data.parallel_map import in_order
from lmkit.errors import DataError, OutputError
from lmkit.protocols import I32, I64
from lmkit.tokenization.normalization import UNCHANGED, Normalization
from lmkit.tokenization.tokenizers import WordLearner
from lmkit.tokenization.vocabulary import NAMES, Vocabulary
from lmkit.word_vectors.subwords import Composition
from lmkit.word_vectors.training_plan import FIRST_WORD, LINE_END, Corpus, State
from lmkit.word_vectors.vector_space import VectorSpace


class Stream:
    """Ids in pieces of whole lines: in memory up to `most` of them, beyond that where `spill` has room.

    `spill` gives a storage whose `writer` makes arrays, as `io.temp_storage.Disk` does.
    """

    def __init__(self, most: int, spill: Callable[[], Any]) -> None:
        self._most, self._spill = most, spill
        self._pieces: list[I32] = []
        self._writer: Any = None
        self._ends = [0]
        self.spilled = False

    def __len__(self) -> int:
        return self._ends[-1]

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OutputError):  # reported already
            self._finish()

    def append(self, piece: I32) -> None:
        """Adds the ids of whole lines at the end."""
        self._ends.append(len(self) + len(piece))
        if not self.spilled and len(self) > self._most:
            self.spilled, self._writer = True, self._spill().writer(np.int32)
            for earlier in self._pieces:
                self._writer.append(earlier)
            self._pieces.clear()
        if self.spilled:
            self._writer.append(piece)
        else:
            self._pieces.append(piece)

    def __iter__(self) -> Iterator[I32]:
        """The pieces in order; none can be added any more."""
        self._finish()
        if not self.spilled:
            yield from self._pieces
            return
        for begin, end in pairwise(self._ends):
            yield self._pieces[0][begin:end]

    def changed(self, change: Callable[[I32], I32]) -> "Stream":
        """A stream whose pieces are these as `change` makes them. This one is used up."""
        result = Stream(0 if self.spilled else self._most, self._spill)
        for piece in self if self.spilled else self._taken():
            result.append(change(piece))
        self._pieces.clear()
        return result

    def whole(self) -> I32:
        """All ids as one array, (N,). The stream is used up."""
        self._finish()
        if self.spilled:
            return self._pieces[0]
        ids, end = np.empty(len(self), dtype=np.int32), 0
        for piece in self._taken():
            begin, end = end, end + len(piece)
            ids[begin:end] = piece
        return ids

    def _finish(self) -> None:
        if self._writer is not None:
            self._pieces, self._writer = [self._writer.finish()], None

    def _taken(self) -> Iterator[I32]:
        """The pieces in order, each let go when the next is asked for."""
        self._pieces.reverse()
        while self._pieces:
            yield self._pieces.pop()


class Encoded(NamedTuple):
    """A text whose words have ids in order of first appearance; LINE_END ends each line.

    stream   the ids
    counts   (V,) of them
    learner  knows the words
    """

    stream: Stream
    counts: I64
    learner: WordLearner

    @property
    def words(self) -> int:
        """How many words, without `<unk>`."""
        return int(self.counts[FIRST_WORD:].sum())


def encode(
    blocks: Iterable[bytes], stream: Stream, threads: int = 1, normalization: Normalization = UNCHANGED
) -> Encoded:
    """Reads whole lines, in normal form, into an empty stream; the words of a vocabulary are all there are."""
    learner = WordLearner()

    def scan(block: bytes) -> tuple[bytes, Any]:
        normal = normalization.apply(block)
        return normal, learner.scan(normal)

    counts = np.zeros(len(NAMES), dtype=np.int64)
    for block, scanned in in_order(scan, blocks, threads):
        ids, line_ends = learner.learn(block, scanned)
        met = np.bincount(ids, minlength=len(counts))
        met[: len(counts)] += counts
        counts = met
        stream.append(np.insert(ids, line_ends, np.int32(LINE_END)))
    return Encoded(stream, counts, learner)


def merged(parts: Iterable[Encoded], stream: Stream) -> Encoded:
    """Texts as one, in their order, in an empty stream: the same as if they had been encoded together. Uses them up."""
    learner, counts = WordLearner(), np.zeros(len(NAMES), dtype=np.int64)
    for part in parts:
        words = b" ".join(part.learner.tokenizer().vocabulary.pieces()[FIRST_WORD:]) + b"\n"
        learned, _ = learner.learn(words, learner.scan(words))
        ids = np.concatenate([np.arange(len(NAMES), dtype=np.int32), learned])
        learner.dropped += part.learner.dropped
        counts = np.concatenate([counts, np.zeros(max(0, int(ids.max()) + 1 - len(counts)), dtype=np.int64)])
        counts[ids[: len(part.counts)]] += part.counts
        for piece in part.stream:
            stream.append(ids[piece])
    return Encoded(stream, counts, learner)


def corpus_of(encoded: Encoded, *, minimum: int = 5, most: int | None = None) -> tuple[Corpus, Vocabulary]:
    """Words seen at least `minimum` times, at most the `most` frequent ones, by falling count; others are left out.

    Ties are in order of first appearance. Uses up the stream. Raises DataError if fewer than two are left.
    """
    vocabulary = encoded.learner.tokenizer().vocabulary
    order = _order(encoded.counts, minimum, most)
    if len(order) < 2:
        raise DataError(_too_few(vocabulary, encoded.counts, minimum))
    mapping = np.full(len(vocabulary), -1, dtype=np.int32)
    mapping[order] = np.arange(FIRST_WORD, FIRST_WORD + len(order), dtype=np.int32)
    mapping[LINE_END] = LINE_END

    def renumbered(ids: I32) -> I32:
        new = mapping[ids]
        return new[new >= 0]

    counts = np.zeros(FIRST_WORD + len(order), dtype=np.int64)
    counts[FIRST_WORD:] = encoded.counts[order]
    pieces = vocabulary.pieces()
    kept = Vocabulary.of([*NAMES, *(pieces[token] for token in order.tolist())])
    return Corpus(encoded.stream.changed(renumbered).whole(), counts), kept


def _order(counts: I64, minimum: int, most: int | None) -> I64:
    """Old ids of the words that are kept, most frequent first."""
    counts = counts.copy()
    counts[:FIRST_WORD] = 0
    order = np.argsort(-counts, kind="stable")
    return order[counts[order] >= max(minimum, 1)][:most]


def _too_few(vocabulary: Vocabulary, counts: I64, minimum: int) -> str:
    """What is wrong with a text that leaves fewer than two words."""
    words = counts[FIRST_WORD:]
    if not words.sum():
        return "no words to train on: the text is empty"
    best = FIRST_WORD + int(words.argmax())
    shown = vocabulary.piece(best).decode(errors="replace")
    if np.count_nonzero(words) < 2:
        return f"nothing to train with: the text has one word, {shown[:40]!r}"
    left = np.count_nonzero(words >= minimum)
    return (
        f"only {left} of {len(words):,} words seen {minimum} times or more; "
        f"the most frequent, {shown[:40]!r}, has a count of {counts[best]:,}"
    )


def begin_with(
    state: State, vocabulary: Vocabulary, space: VectorSpace, composition: Composition | None = None
) -> int:  # fmt: skip
    """Puts the vectors of a space into a state, for words that both have; how many these are.

    Vectors as contexts come along where the space has them, and so do n-grams for a composition like its own.
    """
    pieces = vocabulary.pieces()[FIRST_WORD:]
    found = space.find(pieces)
    here = np.flatnonzero(found >= 0)
    rows = (here + FIRST_WORD).astype(np.int32)
    if composition is None:
        state.vectors.centre[rows] = space.centre[found[here]]
    else:
        composition.begin(state.vectors.centre, rows, space.centre[found[here]], space.ngrams)
    if space.context is not None:
        state.vectors.context[rows] = space.context[found[here]]
    return len(here)
