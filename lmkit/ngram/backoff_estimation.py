"""From counts of n-grams to a backoff model: one pass over the levels, contexts in chunks.

Knows the smoothing methods through one interface. Chunks are of one size whatever the number of
threads and the memory allowed, so that the same counts always give the same bits.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from lmkit.array_storage import Memory, Storage
from lmkit.errors import DataError
from lmkit.ngram.smoothing import (
    AddK,
    Discounted,
    Discounts,
    Groups,
    JelinekMercer,
    Katz,
    MaximumLikelihood,
    Smoothing,
    StupidBackoff,
    WittenBell,
)
from lmkit.ngram.smoothing_methods import thresholds
from lmkit.ngram.tables import SHIFT, WORD, Counts, Level, beginning_with, context_cuts, context_starts
from lmkit.protocols import F64, I64, Bool, Floats, Ints, ProgressCallback, no_progress
from lmkit.tokenization.vocabulary import BOS, UNK

CHUNK = 1 << 18
SECTION = 1 << 22


Logs = Floats
Precision = type[np.floating[Any]]
EXACT = 1 << 20
"""Models of at most so many n-grams keep float64; larger ones float32, the precision of ARPA files."""


def precision(ngrams: int) -> Precision:
    """The type that a model of so many n-grams keeps its numbers in."""
    return np.float64 if ngrams <= EXACT else np.float32


class Table(NamedTuple):
    """One order of a backoff model; log10 as in ARPA files.

    `key` I64[M] (empty at order 1, where n-grams are the vocabulary's ids), `log10` [M],
    `backoff` [M] (empty at the highest order), F64 in small models and F32 in others.
    """

    key: I64
    log10: Logs
    backoff: Logs


@dataclass(frozen=True)
class Settings:
    """How to smooth. `k` is add-k's, `alpha` stupid backoff's, `weights` Jelinek-Mercer's by order."""

    smoothing: str
    prune: Sequence[int] = ()
    open_vocabulary: bool = True
    k: float = 1.0
    alpha: float = 0.4
    discount: float | None = None
    weights: Sequence[Sequence[float]] = ()
    threads: int = 1


@dataclass
class Estimate:
    """A finished model: its tables, the parameters of each order, and notes on what fell back."""

    tables: list[Table]
    parameters: list[Sequence[float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def describe(self) -> Mapping[str, Any]:
        """Parameters for a checkpoint's config, one list an order."""
        if not any(len(values) for values in self.parameters):
            return {}
        return {"smoothing_parameters": [list(map(float, values)) for values in self.parameters]}


def estimate(
    counts: Counts, settings: Settings, storage: Storage | None = None, stage: ProgressCallback = no_progress
) -> Estimate:
    """Smooths counts into a backoff model.

    Raises DataError where there is nothing to count, UsageError for pruning thresholds that decrease.
    """
    return _Estimator(counts, settings, storage or Memory(), stage("smoothing", sum(map(len, counts.levels[1:])))).run()


class _Lower(NamedTuple):
    """What the next order needs of the one before: p of each n-gram, F64[M], and which are kept."""

    probability: F64
    kept: Bool | None


class _Estimator:
    def __init__(self, counts: Counts, settings: Settings, storage: Storage, tell: Callable[[int], None]) -> None:
        self.tell = tell
        self.levels = counts.levels
        self.settings = settings
        self.storage = storage
        self.discounts = Discounts()
        self.adjusted = settings.smoothing in ("kneser-ney", "modified-kneser-ney")
        self.from_start = beginning_with(self.levels, BOS)
        self.prune = thresholds(settings.prune, max(1, counts.order))
        self.parameters: list[Sequence[float]] = []
        self.dtype = precision(sum(map(len, counts.levels)))
        self.last = -1  # the last n-gram in suffix order, see _counts_of_counts

    def run(self) -> Estimate:
        words = self.levels[0].count.astype(np.int64)
        words[BOS] = 0
        if not words.sum():
            raise DataError("no text to count: the input is empty")
        lower = self._unigrams()
        tables = [(np.zeros(0, dtype=np.int64), _log10(lower.probability, self.dtype))]
        backoffs: list[Logs] = []
        for order in range(2, len(self.levels) + 1):
            table, lower, backoff = self._order(order, lower)
            tables.append(table)
            backoffs.append(backoff)
        backoffs.append(np.zeros(0, dtype=self.dtype))
        finished = [Table(key, log10, backoff) for (key, log10), backoff in zip(tables, backoffs, strict=True)]
        return Estimate(finished, self.parameters, self.discounts.notes)

    def _counts(self, order: int) -> Ints:
        """Raw counts; for Kneser-Ney below the highest order, how many words precede the n-gram.

        N-grams that begin with `<s>` have nothing before them and keep their raw counts.
        """
        level = self.levels[order - 1]
        if not self.adjusted or order == len(self.levels):
            return level.count
        above = self.levels[order]
        counts = np.zeros(len(level), dtype=np.int32)
        for begin in range(0, len(above), SECTION):
            counts += np.bincount(above.suffix[begin : begin + SECTION], minlength=len(level)).astype(np.int32)
            self.storage.release()
        low, high = self.from_start[order - 1]
        counts[low:high] = level.count[low:high]
        return counts

    def _counts_of_counts(self, order: int, counts: Ints) -> list[int]:
        """n_0 to n_6 of an order.

        lmplz takes the raw count of the very last n-gram in suffix order (highest last word,
        then highest word before it) where it should take the adjusted one; so do we, or the
        discounts of small texts would differ from its.
        """
        n = np.bincount(np.minimum(counts, 7), minlength=8)
        if self.settings.smoothing == "modified-kneser-ney" and order < len(self.levels):
            level = self.levels[order - 1]
            ending = np.flatnonzero(level.suffix == self.last) if order > 1 else np.arange(len(level))
            self.last = int(ending[-1]) if len(ending) else -1  # none precedes an n-gram that begins with `<s>`
            if self.last >= 0:
                n[min(int(counts[self.last]), 7)] -= 1
                n[min(int(level.count[self.last]), 7)] += 1
        return [int(value) for value in n]

    def _method(self, order: int, counts: Ints) -> Smoothing:
        settings, name = self.settings, self.settings.smoothing
        n = self._counts_of_counts(order, counts)
        makers: dict[str, Callable[[], Smoothing]] = {
            "modified-kneser-ney": lambda: Discounted(self.discounts.modified(order, n)),
            "kneser-ney": lambda: Discounted(self._single(order, n)),
            "absolute": lambda: Discounted(self._single(order, n)),
            "witten-bell": WittenBell,
            "jelinek-mercer": lambda: JelinekMercer(settings.weights[order - 1]),
            "katz": lambda: Katz(self.discounts.good_turing(order, n)),
            "add-k": lambda: AddK((settings.k,), self.vocabulary_size()),
            "mle": MaximumLikelihood,
            "stupid-backoff": lambda: StupidBackoff((settings.alpha,)),
        }
        method = makers[name]()
        self.parameters.append(method.parameters)
        return method

    def _single(self, order: int, n: Sequence[int]) -> Sequence[float]:
        if self.settings.discount is not None:
            return [self.settings.discount]
        return self.discounts.single(order, n)

    def vocabulary_size(self) -> int:
        """Words that can be predicted: all but `<s>`, and `<unk>` only where the vocabulary is open or holds it."""
        return len(self.levels[0]) - 1 - (not self._has_unknown())

    def _has_unknown(self) -> bool:
        return self.settings.open_vocabulary or int(self.levels[0].count[UNK]) > 0

    def _unigrams(self) -> _Lower:
        counts = self._counts(1).astype(np.int64)
        counts[BOS] = 0
        uniform = np.full(len(counts), 1.0 / self.vocabulary_size())
        uniform[BOS] = 0.0
        uniform[UNK] *= self._has_unknown()
        method = self._method(1, counts)
        if self.settings.smoothing == "add-k" and len(self.levels) > 1:
            return _Lower(uniform, None)  # each context of the highest order is smoothed with the uniform
        everything = Groups(np.zeros(1, dtype=np.int64), len(counts))
        return _Lower(method.context(counts, everything, uniform, None)[0], None)

    def _order(self, order: int, lower: _Lower) -> tuple[tuple[I64, Logs], _Lower, Logs]:
        """One order: its table but for the backoffs, what the next needs, and the backoffs of the order before."""
        level = self.levels[order - 1]
        counts = self._counts(order)
        method = self._method(order, counts)
        writers = [self.storage.writer(dtype) for dtype in (np.int64, self.dtype)]
        highest = order == len(self.levels)
        probability = np.empty(0 if highest else len(level))
        kept = np.empty(len(level), dtype=np.bool_) if self.prune[order - 1] and not highest else None
        renumber = None if lower.kept is None else np.cumsum(lower.kept) - 1
        childless = self.settings.alpha if self.settings.smoothing == "stupid-backoff" else 1.0
        weights = np.full(len(lower.probability), childless, dtype=self.dtype)

        def chunk(cut: tuple[int, int]) -> tuple[int, int, "_Chunk"]:
            return *cut, self._chunk(order, level, counts, method, lower, *cut)

        with ThreadPoolExecutor(self.settings.threads) as pool:
            for begin, end, done in pool.map(chunk, context_cuts(level.key, CHUNK)):
                weights[done.contexts] = done.weight
                key = level.key[begin:end]
                if renumber is not None:
                    key = (renumber[key >> SHIFT] << SHIFT) | (key & WORD)
                for writer, values in zip(writers, (key, done.log10), strict=True):
                    writer.append(values if done.kept is None else values[done.kept])
                if not highest:
                    probability[begin:end] = done.probability
                    if kept is not None and done.kept is not None:
                        kept[begin:end] = done.kept
                self.storage.release()
                self.tell(end - begin)
        backoff = _log10(weights, self.dtype)
        key, log10 = (writer.finish() for writer in writers)
        return (key, log10), _Lower(probability, kept), backoff if lower.kept is None else backoff[lower.kept]

    def _chunk(
        self, order: int, level: Level, counts: Ints, method: Smoothing, lower: _Lower, begin: int, end: int
    ) -> "_Chunk":
        key = level.key[begin:end]
        groups = Groups(context_starts(key), end - begin)
        contexts = key[groups.starts] >> SHIFT
        kept = self._kept(order, level, begin, end)
        below = lower.probability[level.suffix[begin:end]]
        probability, weight = method.context(
            counts[begin:end].astype(np.int64), groups, below, None if kept is None else kept.astype(np.float64)
        )
        if self.settings.smoothing == "add-k" and order < len(self.levels):
            # Only sentence starts have no longer context; elsewhere this order is passed through.
            low, high = self.from_start[order - 1]
            own = (np.arange(begin, end) >= low) & (np.arange(begin, end) < high)
            probability = np.where(own, probability, below)
            weight = np.where(own[groups.starts], weight, 1.0)
        log10 = np.minimum(_log10(probability, self.dtype), self.dtype(0))
        return _Chunk(probability, log10, contexts, weight, kept)

    def _kept(self, order: int, level: Level, begin: int, end: int) -> Bool | None:
        """Which n-grams of a chunk stay: those seen more often than the threshold, by raw count."""
        if not self.prune[order - 1]:
            return None
        kept: Bool = level.count[begin:end] > self.prune[order - 1]
        return kept


class _Chunk(NamedTuple):
    probability: F64
    log10: Logs
    contexts: I64
    weight: F64
    kept: Bool | None


def _log10(values: Logs, dtype: Precision) -> Logs:
    """log10, -inf for 0, the same bits on every processor.

    numpy's own log10 may round the last bit of a float64 otherwise with AVX-512 than without, of which float32 leaves
    no trace.
    """
    if dtype is np.float64:
        return np.array([math.log10(value) if value > 0 else -math.inf for value in values.tolist()], dtype=np.float64)
    with np.errstate(divide="ignore"):
        logs: Logs = np.log10(values, dtype=np.float64).astype(dtype)
    return logs


def uniform(size: int, *, open_vocabulary: bool) -> Estimate:
    """The 0-gram model: p(w) = 1 / |V| for every word but `<s>`, `<unk>` among them if the vocabulary is open."""
    probability = np.full(size, 1.0 / (size - 2 + open_vocabulary))
    probability[BOS] = 0.0
    probability[UNK] *= open_vocabulary
    return Estimate([Table(np.zeros(0, dtype=np.int64), _log10(probability, precision(size)), np.zeros(0))], [()])
