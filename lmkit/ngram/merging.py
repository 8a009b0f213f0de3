"""Adding up tables of counts: runs of one corpus, or shards with vocabularies of their own. Knows no files.

Merging is associative: a corpus counted in pieces and merged in order gives the very tables of
the corpus counted whole, ids included.
"""

from collections.abc import Sequence

import numpy as np

from lmkit.array_storage import Array, Memory, Storage
from lmkit.errors import CheckpointError, UsageError
from lmkit.ngram.count_file import CountFile
from lmkit.ngram.tables import SHIFT, WORD, Counts, Level, make_key, sorting
from lmkit.protocols import I32, I64, Ints
from lmkit.tokenization.normalization import of_tokenizer
from lmkit.tokenization.vocabulary_union import unite_tokenizers

STEP = 1 << 20  # n-grams of all runs together that are merged at a time


def merge_files(files: Sequence[CountFile], names: Sequence[str], storage: Storage | None = None) -> CountFile:
    """Return the sum of count files, ids in the order of first appearance; `names` are for messages.

    Raises UsageError for other orders, tokens or normalizations, and for vocabularies that can't be united.
    """
    first, normalization = files[0], of_tokenizer(files[0].tokenizer)
    for file, name in zip(files, names, strict=True):
        if (file.counts.order, file.tokenizer.kind) != (first.counts.order, first.tokenizer.kind):
            raise UsageError(
                f"{name}: order {file.counts.order} over {file.tokenizer.kind}s cannot be added to "
                f"order {first.counts.order} over {first.tokenizer.kind}s"
            )
        if (own := of_tokenizer(file.tokenizer)) != normalization:
            raise UsageError(f"{name}: counts of text with {own} cannot be added to counts with {normalization}")
    try:
        tokenizer, maps = unite_tokenizers([file.tokenizer for file in files])
    except CheckpointError as error:
        raise UsageError(str(error)) from None
    runs = []
    for file, words in zip(files, maps, strict=True):
        same = file.tokenizer.digest == tokenizer.digest
        run = file.counts if same else remap(file.counts, words, tokenizer.size)
        runs.append(run if same or storage is None else move(run, storage))
    return CountFile(merge(runs, storage), tokenizer)


def move(counts: Counts, storage: Storage) -> Counts:
    """The same counts in another place."""
    levels = []
    for level in counts.levels:
        arrays = []
        for values in (level.key, level.count, level.suffix):
            writer = storage.writer(values.dtype)
            writer.append(values)
            arrays.append(writer.finish())
        levels.append(Level(*arrays))
    storage.release()
    return Counts(levels)


def remap(counts: Counts, words: I32, size: int) -> Counts:
    """The same counts under other word ids, `words[old] = new`; what becomes one word is added up."""
    first = counts.levels[0]
    total = np.zeros(size, dtype=np.int64)
    np.add.at(total, words, first.count)
    levels = [Level(np.arange(size, dtype=np.int64), total, np.zeros(0, dtype=np.int32))]
    grams = words.astype(np.int64)  # new id of each old n-gram of the order below
    for level in counts.levels[1:]:
        key = make_key(grams[level.key >> SHIFT], words[level.key & WORD])
        order = sorting(key)
        key = key[order]
        starts = _starts(key)
        suffix = grams[level.suffix[order[starts]]].astype(np.int32)
        levels.append(Level(key[starts], _sums(level.count[order], starts), suffix))
        grams = np.empty(len(key), dtype=np.int64)
        grams[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(key)))
    return Counts(levels)


def _starts(key: I64) -> I64:
    return np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))[: len(key)]


def _sums(counts: Ints, starts: I64) -> I64:
    return np.add.reduceat(counts.astype(np.int64), starts) if len(starts) else np.zeros(0, dtype=np.int64)


def merge(runs: Sequence[Counts], storage: Storage | None = None) -> Counts:
    """The sum of counts over one vocabulary, of which earlier runs may know only the beginning.

    Raises UsageError where orders differ.
    """
    storage = storage or Memory()
    if len({run.order for run in runs}) != 1:
        raise UsageError("counts of different orders can't be added up")
    if len(runs) == 1:
        return runs[0]
    size = max(len(run.levels[0]) for run in runs)
    total = np.zeros(size, dtype=np.int64)
    for run in runs:
        total[: len(run.levels[0])] += run.levels[0].count
    levels = [Level(np.arange(size, dtype=np.int64), total, np.zeros(0, dtype=np.int32))]
    maps = [run.levels[0].key.astype(np.int32) for run in runs]
    for order in range(2, runs[0].order + 1):
        level, maps = _LevelMerge([run.levels[order - 1] for run in runs], maps, storage).run()
        levels.append(level)
    return Counts(levels)


class _LevelMerge:
    """Merges one level of several runs, a range of contexts at a time.

    `maps[r]` gives the merged id of each n-gram of run r one order below, ascending, so that
    each run's n-grams already stand in merged order.
    """

    def __init__(self, levels: Sequence[Level], maps: Sequence[I32], storage: Storage) -> None:
        self.levels, self.maps, self.storage = levels, maps, storage
        self.places = [0] * len(levels)
        self.writers = [storage.writer(dtype) for dtype in (np.int64, np.int64, np.int32)]
        self.numbers = [storage.writer(np.int32) for _ in levels]
        self.size = 0

    def run(self) -> tuple[Level, list[I32]]:
        while any(place < len(level) for place, level in zip(self.places, self.levels, strict=True)):
            self._merge(self._ends())
            self.storage.release()
        key, count, suffix = (writer.finish() for writer in self.writers)
        return Level(key, count, suffix), [writer.finish() for writer in self.numbers]

    def _context(self, run: int, place: int) -> int:
        """Merged id of the context of a run's n-gram."""
        return int(self.maps[run][int(self.levels[run].key[place]) >> SHIFT])

    def _ends(self) -> list[int]:
        """How far each run is merged next: all n-grams of whole contexts, about STEP in all."""
        step = max(1, STEP // len(self.levels))
        live = [run for run, level in enumerate(self.levels) if self.places[run] < len(level)]
        limits = [
            self._context(run, self.places[run] + step)
            for run in live
            if self.places[run] + step < len(self.levels[run])
        ]
        if not limits:
            return [len(level) for level in self.levels]
        lowest = min(self._context(run, self.places[run]) for run in live)
        limit = max(min(limits), lowest + 1)
        return [
            int(np.searchsorted(level.key, int(np.searchsorted(numbers, limit)) << SHIFT))
            for level, numbers in zip(self.levels, self.maps, strict=True)
        ]

    def _merge(self, ends: Sequence[int]) -> None:
        keys, counts, suffixes = [], [], []
        for level, numbers, begin, end in zip(self.levels, self.maps, self.places, ends, strict=True):
            key = level.key[begin:end]
            keys.append(make_key(numbers[key >> SHIFT], key & WORD))
            counts.append(level.count[begin:end])
            suffixes.append(numbers[level.suffix[begin:end]])
        key = np.concatenate(keys)
        order = np.argsort(key, kind="stable")  # merges runs that are sorted already
        key = key[order]
        starts = _starts(key)
        sums, suffix = _sums(np.concatenate(counts)[order], starts), np.concatenate(suffixes)[order[starts]]
        columns: tuple[Array, ...] = (key[starts], sums, suffix)
        for writer, values in zip(self.writers, columns, strict=True):
            writer.append(values)
        grams = np.empty(len(key), dtype=np.int32)
        grams[order] = np.repeat(
            np.arange(self.size, self.size + len(starts), dtype=np.int32), np.diff(starts, append=len(key))
        )
        for writer, numbers in zip(self.numbers, np.split(grams, np.cumsum([len(k) for k in keys])[:-1]), strict=True):
            writer.append(numbers)
        self.size += len(starts)
        self.places = list(ends)
