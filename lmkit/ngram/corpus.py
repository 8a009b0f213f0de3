"""Counting a corpus that comes in blocks, in runs that fit the memory allowed. Knows no files.

A run is counted in memory; when there are several, each goes to the storage given for that
and they are merged at the end, with the same result as one run.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from lmkit.array_storage import Memory, Storage
from lmkit.data.parallel_map import in_order
from lmkit.ngram.counting import count_sentences, mark
from lmkit.ngram.merging import merge, move, remap
from lmkit.ngram.tables import Counts
from lmkit.protocols import I32, ProgressCallback, Tokenizer, no_progress
from lmkit.tokenization.tokenizers import Learner

BASE = 150 << 20  # bytes of a process before it counts anything
POSITION = 40  # bytes of a text position while it is counted
GRAM = 32  # more of them for each order above the first, smoothing included


@dataclass
class Counted:
    """Counts of a corpus, its tokenizer, and how it went."""

    counts: Counts
    tokenizer: Tokenizer
    storage: Storage
    runs: int
    dropped: int


def count_corpus(
    blocks: Iterable[bytes], learner: Learner, order: int, *, memory: int, spill: Callable[[], Storage],
    threads: int = 1, max_vocab: int | None = None, min_count: int = 1, stage: ProgressCallback = no_progress,
) -> Counted:  # fmt: skip
    """Counts n-grams up to `order` (at least the unigrams) of whole lines.

    `memory` in bytes bounds a run; beyond one run, runs live where `spill` says.
    """
    order = max(1, order)
    most = max(1 << 16, (memory - BASE) // (POSITION + GRAM * (order - 1)))
    runs: list[Counts] = []
    storage: Storage = Memory()
    for text, whole in _runs(blocks, learner, most, threads):
        counts = count_sentences(text, order, learner.tokenizer().size, threads, stage)
        if not whole or runs:
            storage = storage if runs else spill()
            counts = move(counts, storage)
        runs.append(counts)
    tokenizer = learner.tokenizer()
    if max_vocab is not None or min_count > 1:
        tokenizer, runs = _limited(tokenizer, runs, max_vocab, min_count)
    return Counted(merge(runs, storage), tokenizer, storage, len(runs), learner.dropped)


def _runs(blocks: Iterable[bytes], learner: Learner, most: int, threads: int) -> Iterator[tuple[I32, bool]]:
    """Marked text of about `most` positions at a time, and whether that is all there is."""
    pieces: list[I32] = []
    size, whole = 0, True
    for block, scanned in in_order(lambda block: (block, learner.scan(block)), blocks, threads):
        if size >= most:
            whole = False
            yield _joined(pieces), False
            size = 0
        pieces.append(mark(*learner.learn(block, scanned)))
        size += len(pieces[-1])
    if size or whole:
        yield _joined(pieces), whole


def _joined(pieces: list[I32]) -> I32:
    """The pieces as one array; the list is emptied so that they can be let go."""
    text = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int32)
    pieces.clear()
    return text


def _limited(
    tokenizer: Tokenizer, runs: list[Counts], most: int | None, minimum: int
) -> tuple[Tokenizer, list[Counts]]:
    """A smaller vocabulary; n-grams with words that fell out are added up under `<unk>`."""
    size = tokenizer.size
    total = np.zeros(size, dtype=np.int64)
    for run in runs:
        total[: len(run.levels[0])] += run.levels[0].count
    limited = tokenizer.limited(total, most, minimum)
    if limited is None:
        return tokenizer, runs
    smaller, words = limited
    return smaller, [remap(run, words[: len(run.levels[0])], smaller.size) for run in runs]
