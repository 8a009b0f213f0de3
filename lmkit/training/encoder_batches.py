"""What an encoder learns from at each step: sequences with special tokens around, masked anew in each epoch.

A batch has S sequences of at most T tokens, in rows that are filled up to the longest; the objective leaves out what
lies behind the `lengths`, so that no time goes into padding. As with all batches, the number of a step says what is
in its batch.

S sequences, T tokens of the longest, N tokens together. Arrays of a batch:

    inputs    (S, T)  tokens, some of them masked
    labels    (S, T)  the tokens to predict, IGNORED elsewhere
    lengths   (S,)
    segments  (S, T)  of pairs: 0 the first text, 1 the second
    follows   (S,)    of pairs: 1 the second text follows the first, 0 it does not
    share     (S,)    predictions of the batch by its tokens, or by its pairs: what makes a mean over these a mean
                      over predictions
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmkit.data.encoder_corpus import EncoderCorpus
from lmkit.data.encoder_sequences import EncoderFormat
from lmkit.data.encoder_sequences import Sequence as TokenSequence
from lmkit.data.masking import IGNORED, Masking
from lmkit.data.sentence_pairs import Sentences, cut_pair
from lmkit.protocols import F32, I32, I64
from lmkit.training.batches import Batch

VALIDATION_TOKENS = 1 << 13


class Examples(Protocol):
    """The sequences that a step learns from, before any is masked."""

    @property
    def rows(self) -> int:
        """How many sequences of full length a batch has."""

    @property
    def each(self) -> int:
        """Batches of an epoch."""

    def of(self, epoch: int, place: int) -> tuple[list[TokenSequence], I64 | None]:
        """Return the sequences of a batch, and which pairs are contiguous, (S,), where they are pairs."""


def collate(sequences: Sequence[TokenSequence], follows: I64 | None, masking: Masking, seed: Sequence[int]) -> Batch:
    """Return sequences, masked, as a batch; `follows` is None where they are single texts."""
    lengths = np.array([len(sequence.ids) for sequence in sequences], dtype=np.int32)
    inside = np.arange(int(lengths.max())) < lengths[:, None]
    ids = np.concatenate([sequence.ids for sequence in sequences])
    masked = masking.apply(ids, np.random.default_rng(seed))
    weight = int((masked.labels != IGNORED).sum())
    arrays = {
        "inputs": _filled(masked.inputs, inside, 0), "labels": _filled(masked.labels, inside, IGNORED),
        "lengths": lengths, "share": np.full(len(lengths), weight / len(ids), dtype=np.float32),
    }  # fmt: skip
    if follows is not None:
        segments = np.concatenate([sequence.segments for sequence in sequences])
        share: F32 = np.full(len(lengths), weight / len(lengths), dtype=np.float32)
        arrays |= {"segments": _filled(segments, inside, 0), "follows": follows.astype(np.int32), "share": share}
    return Batch(arrays, weight, size=len(ids))


def _filled(values: I32, inside: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]", fill: int) -> I32:
    """Return values, (N,), as rows, (S, T), with `fill` behind each."""
    rows = np.full(inside.shape, fill, dtype=np.int32)
    rows[inside] = values
    return rows


class MaskedBatches:
    """Batches of examples; each epoch masks them anew."""

    def __init__(self, examples: Examples, masking: Masking, seed: int) -> None:
        self.rows = examples.rows
        self._examples, self._masking, self._seed = examples, masking, seed

    def batch(self, number: int) -> Batch:
        """See `Batches`."""
        epoch, place = divmod(number, self._examples.each)
        return collate(*self._examples.of(epoch, place), self._masking, [self._seed, epoch, place, 1])


class StreamExamples:
    """Stretches of a text that is one sequence, T tokens with those around, cut at another phase in each epoch."""

    def __init__(self, corpus: EncoderCorpus, form: EncoderFormat, rows: int, time: int, seed: int) -> None:
        self._ids, self._form, self._seed = corpus.ids, form, seed
        self._time = max(1, min(time - form.around, len(corpus.ids)))
        self._count = max(1, len(corpus.ids) // self._time - 1)  # whatever the phase
        self.rows = rows
        self.each = -(-self._count // rows)

    def of(self, epoch: int, place: int) -> tuple[list[TokenSequence], None]:
        """See `Examples`; a batch is full, with the first stretches again where the last ones do not fill it."""
        generator = np.random.default_rng([self._seed, epoch])
        phase = int(generator.integers(0, max(1, min(self._time, len(self._ids) - self._time + 1))))
        order = np.resize(generator.permutation(self._count), self.each * self.rows)
        begins = phase + self._time * order[place * self.rows : (place + 1) * self.rows]
        return [self._form.single(self._ids[begin : begin + self._time]) for begin in begins.tolist()], None


class TextExamples:
    """Texts by themselves, cut where they exceed T tokens, shuffled; batches of about as many tokens."""

    def __init__(
        self, corpus: EncoderCorpus, by: str, form: EncoderFormat, rows: int, time: int, seed: int
    ) -> None:  # fmt: skip
        self._ids, self._form, self.rows = corpus.ids, form, rows
        self._begins, self._ends = pieces(corpus.units(by), time - form.around)
        self._shares = _Shares(self._ends - self._begins + form.around, rows * time, seed)
        self.each = self._shares.count

    def of(self, epoch: int, place: int) -> tuple[list[TokenSequence], None]:
        """See `Examples`."""
        own = self._shares.take(epoch, place)
        return [self._form.single(self._ids[self._begins[one] : self._ends[one]]) for one in own.tolist()], None


class PairExamples:
    """Pairs of lines as sentences: half of them contiguous, drawn anew in each epoch."""

    def __init__(self, corpus: EncoderCorpus, form: EncoderFormat, rows: int, time: int, seed: int) -> None:
        self._ids, self._form, self._seed, self.rows = corpus.ids, form, seed, rows
        self._ends = corpus.ends
        self._begins = np.append(0, corpus.ends[:-1]).astype(np.int64)
        self._sentences = Sentences(corpus.keys().tolist(), corpus.documents.tolist())
        self._most = time - form.around - form.separators
        self._firsts = np.flatnonzero(np.diff(corpus.documents) == 0)
        lengths = np.minimum(self._ends - self._begins, self._most)
        sizes = np.minimum(lengths[self._firsts] + lengths[self._firsts + 1], self._most) + time - self._most
        self._shares = _Shares(sizes, rows * time, seed)
        self.each = self._shares.count

    def __len__(self) -> int:
        """Return how many pairs there are."""
        return len(self._firsts)

    def of(self, epoch: int, place: int) -> tuple[list[TokenSequence], I64]:
        """See `Examples`."""
        generator = np.random.default_rng([self._seed, epoch, place, 0])
        found = [
            self._sentences.pair(first, generator) for first in self._firsts[self._shares.take(epoch, place)].tolist()
        ]
        made = [self._form.pair(*cut_pair(self._line(one.first), self._line(one.second), self._most)) for one in found]
        return made, np.array([one.follows for one in found], dtype=np.int64)

    def _line(self, number: int) -> I32:
        return self._ids[self._begins[number] : self._ends[number]].astype(np.int32)


class _Shares:
    """Examples of some sizes, shuffled in each epoch, in batches of about `budget` tokens, as many in each epoch."""

    def __init__(self, sizes: I64, budget: int, seed: int) -> None:
        self._sizes, self._seed, self._total = sizes, seed, int(sizes.sum())
        self.count = min(max(1, -(-self._total // budget)), max(1, len(sizes)))
        self._epoch = -1
        self._order: I64 = np.zeros(0, dtype=np.int64)
        self._bounds: I64 = self._order

    def take(self, epoch: int, place: int) -> I64:
        """Return those of a batch: those whose middles lie in its share of all tokens."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = np.random.default_rng([self._seed, epoch]).permutation(len(self._sizes))
            sizes = self._sizes[self._order]
            shares = np.arange(self.count + 1) * self._total / self.count
            self._bounds = np.searchsorted(np.cumsum(sizes) - sizes / 2, shares)
        begin, end = self._bounds[place : place + 2].tolist()
        begin = min(begin, len(self._order) - 1)
        return self._order[begin : max(end, begin + 1)]


def pieces(ends: I64, most: int) -> tuple[I64, I64]:
    """Return where pieces of at most `most` tokens begin and end, of texts that end at `ends`; none is empty."""
    begins = np.append(0, ends[:-1]).astype(np.int64)
    counts = -(-(ends - begins) // most)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    nth = np.arange(len(first)) - first
    starts = np.repeat(begins, counts) + nth * most
    return starts, np.minimum(starts + most, np.repeat(ends, counts))


def validation_batches(
    corpus: EncoderCorpus, by: str, form: EncoderFormat, masking: Masking, time: int, *, pairs: bool
) -> list[Batch]:
    """Return the batches of a text to validate on, under one mask that no option changes.

    Of pairs, half are contiguous, drawn once.
    """
    if pairs:
        examples = PairExamples(corpus, form, max(1, VALIDATION_TOKENS // time), time, 0)
        return [collate(*examples.of(0, place), masking, [0, place]) for place in range(examples.each)]
    groups = _grouped(*pieces(corpus.units(by), time - form.around))
    return [
        collate([form.single(corpus.ids[begin:end]) for begin, end in group], None, masking, [0, place])
        for place, group in enumerate(groups)
    ]


def _grouped(begins: I64, ends: I64) -> Iterator[list[tuple[int, int]]]:
    """Yield pieces, some thousand tokens together."""
    group: list[tuple[int, int]] = []
    size = 0
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        group.append((begin, end))
        size += end - begin
        if size >= VALIDATION_TOKENS:
            yield group
            group, size = [], 0
    if group:
        yield group


@dataclass(frozen=True)
class FullSequences:
    """Batches of `rows` sequences of `time` tokens, all of them to predict at a rate: none takes more memory."""

    rows: int
    time: int
    rate: float
    pairs: bool

    def batch(self, number: int) -> Batch:
        """See `Batches`."""
        labels = np.full((self.rows, self.time), IGNORED, dtype=np.int32)
        labels[:, : max(1, round(self.rate * self.time))] = 0
        share = np.ones(self.rows, dtype=np.float32)
        zeros = np.zeros((self.rows, self.time), dtype=np.int32)
        arrays = {"inputs": zeros, "labels": labels, "lengths": np.full(self.rows, self.time, np.int32), "share": share}
        if self.pairs:
            arrays |= {"segments": zeros, "follows": zeros[:, 0]}
        return Batch(arrays, int((labels != IGNORED).sum()), size=zeros.size)
