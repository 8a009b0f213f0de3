"""The settings, the corpus and the events of a training of word vectors. Knows no kernel.

Shapes: V words, D numbers in a vector, N ids in the stream.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lmkit.errors import UsageError
from lmkit.protocols import F32, F64, I32, I64, Floats

LINE_END = 2
"""The id that ends a line in a stream; no context reaches across it."""
FIRST_WORD = 3
"""Ids below this are no words: they are never trained nor drawn, and their rows stay as they are."""
ARCHITECTURES = ("skipgram", "cbow")
COMBINATIONS = ("sum", "mean")
LOSSES = ("negative-sampling", "softmax")
_AT_ONCE = 1 << 16  # rows of words that are gathered at once


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of a training. Raises UsageError if they can't be.

    architecture  `skipgram`: a word predicts each neighbour; `cbow`: all neighbours together predict the word
    combine       of cbow: neighbours' vectors are summed, or averaged
    loss          `negative-sampling` or the full `softmax` (cost grows with the vocabulary; numpy only)
    dim           D
    window        most words on each side that are neighbours
    dynamic       whether each word's window is drawn from 1 to `window`, as word2vec does
    negatives     words drawn against each word, in proportion to its count to the power of `power`
    sample        words of higher relative frequency than this are left out at random; 0: none are
    epochs        times that the stream is read
    lr, least_lr  learning rate at the beginning and at the end, falling in a straight line
    seed          of initial vectors, subsampling, windows and negatives
    workers       replicas that are trained side by side and summed: part of the result, unlike the number of
                  threads; 0: by the size of the corpus
    chunk         ids that a worker reads between two sums; 0: by the size of the vocabulary
    """

    architecture: str = "skipgram"
    combine: str = "mean"
    loss: str = "negative-sampling"
    dim: int = 100
    window: int = 5
    dynamic: bool = True
    negatives: int = 5
    power: float = 0.75
    sample: float = 1e-4
    epochs: int = 5
    lr: float = 0.025
    least_lr: float = 1e-4
    seed: int = 0
    workers: int = 0
    chunk: int = 0

    def __post_init__(self) -> None:
        chosen = ((self.architecture, ARCHITECTURES), (self.combine, COMBINATIONS), (self.loss, LOSSES))
        for value, choices in chosen:
            if value not in choices:
                raise UsageError(f"{value!r}: expected one of {', '.join(choices)}")
        least = {
            "dim": 1,
            "window": 1,
            "negatives": 1,
            "epochs": 0,
            "sample": 0,
            "least_lr": 0,
            "workers": 0,
            "chunk": 0,
        }
        for name, bound in least.items():
            if not getattr(self, name) >= bound:
                raise UsageError(f"{name} must be at least {bound}, not {getattr(self, name)}")
        if not self.lr > 0:
            raise UsageError(f"the learning rate must be above 0, not {self.lr}")


class Parts(NamedTuple):
    """Rows whose mean is a word's vector: its own and those of its n-grams of characters, none twice.

    A change of the vector is a change of each row, undivided, as fastText has it, and so moves their mean as far.

    starts  (V + 1,) where the rows of each word begin in `rows`; ids below FIRST_WORD have none
    rows    (P,) int32
    size    how many rows there are: V, and those of n-grams after them
    """

    starts: I64
    rows: I32
    size: int

    def of(self, words: I32) -> tuple[I64, I32]:
        """Which of some words, (N,), has which row: one word after another, (M,) and (M,)."""
        begin, counts = self.starts[words], self.counts(words)
        owners = np.repeat(np.arange(len(words)), counts)
        places = np.arange(len(owners)) + np.repeat(begin - np.cumsum(counts) + counts, counts)
        return owners, self.rows[places]

    def counts(self, words: I32) -> I64:
        """How many rows some words have, (N,)."""
        return self.starts[words + 1] - self.starts[words]

    def means(self, table: Floats, words: I32) -> Floats:
        """Vectors of some words, (N,) to (N, D), from a table of all rows; zeros for those without a row."""
        owners, rows = self.of(words)
        total = np.zeros((len(words), table.shape[1]), dtype=table.dtype)
        for begin in range(0, len(rows), _AT_ONCE):
            some = owners[begin : begin + _AT_ONCE]
            firsts = np.flatnonzero(np.diff(some, prepend=-1))
            total[some[firsts]] += np.add.reduceat(table[rows[begin : begin + _AT_ONCE]], firsts, axis=0)
        total /= np.maximum(self.counts(words), 1)[:, None].astype(table.dtype)
        return total


class Corpus(NamedTuple):
    """Texts as training reads them: words that are too rare for the vocabulary are left out, lines end in LINE_END.

    ids     (N,) int32, in memory or mapped from a file
    counts  (V,) how often each id is in the corpus; those below FIRST_WORD don't matter
    parts   what makes the centre vector of each word, or none: a row of its own
    """

    ids: I32
    counts: I64
    parts: Parts | None = None

    @property
    def rows(self) -> int:
        """How many rows centre vectors are made of."""
        return self.parts.size if self.parts is not None else len(self.counts)

    @property
    def words(self) -> int:
        """How many words, line ends not counted."""
        return int(self.counts[FIRST_WORD:].sum())


class Vectors(NamedTuple):
    """A vector for each word as centre and one as context, (V, D) each: what training ends with.

    Where words have parts `centre` has a row for each of these, (R, D), R being `Corpus.rows`.
    """

    centre: F32
    context: F32


class State(NamedTuple):
    """All that a training needs to resume: the vectors, and how many rounds made them.

    Random numbers come from seed and position; nothing else is kept. In an event the arrays are those in
    use: copy or write them before asking for the next event.
    """

    vectors: Vectors
    rounds: int = 0


class Compiling(NamedTuple):
    """Kernels are being compiled, which takes seconds, once on a machine: the first event, if at all."""


class Compiled(NamedTuple):
    """Kernels are compiled; how long it took. Only after Compiling."""

    seconds: float


class Progress(NamedTuple):
    """A round is done.

    words  read so far in all epochs, of `total`
    lr     the learning rate at this point
    nats   mean loss of a pair of words in this round (cbow: of a word), estimated from some of them
    state  from which training may resume
    """

    words: int
    total: int
    lr: float
    nats: float
    state: State


Event = Compiling | Compiled | Progress | Vectors
"""What `training.train` yields: perhaps Compiling and Compiled, Progress after each round, at last Vectors."""


def initial(size: int, plan: TrainingConfig, rows: int | None = None) -> State:
    """Where a training begins: centre vectors uniform in (-2/D, 2/D), context vectors zero.

    This is four times as wide as word2vec has it and twice as gensim does: in few epochs more is learned. Where there
    are more `rows` as centre than words they are uniform in (-1/D, 1/D), as fastText has them. They may be changed
    before training. Ids below FIRST_WORD have zeros.
    """
    generator = np.random.Generator(np.random.PCG64(plan.seed))
    centre = generator.random((rows or size, plan.dim), dtype=np.float32)
    centre -= np.float32(0.5)
    centre *= np.float32((2 if len(centre) > size else 4) / plan.dim)
    centre[:FIRST_WORD] = 0
    return State(Vectors(centre, np.zeros((size, plan.dim), dtype=np.float32)))


def keep_probabilities(counts: I64, sample: float) -> F64:
    """Share of each word's occurrences that training keeps, (V,): sqrt(s / f) + s / f, at most 1.

    f is the word's relative frequency, s is `sample`. This is what word2vec's code does; Mikolov et al.
    (2013), equation 5, has only the root.
    """
    words = counts.astype(np.float64)
    words[:FIRST_WORD] = 0
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = sample * words.sum() / words
        kept = np.where(words > 0, np.minimum(np.sqrt(ratio) + ratio, 1.0), 0.0)
    return kept if sample else (words > 0).astype(np.float64)


def noise(counts: I64, power: float) -> F64:
    """Probability with which each word is drawn as a negative one, (V,): its count to the power of `power`."""
    words = counts[FIRST_WORD:].astype(np.float64)
    weights = np.zeros(len(counts))
    weights[FIRST_WORD:][words > 0] = words[words > 0] ** power
    total = weights.sum()
    return weights / total if total else weights
