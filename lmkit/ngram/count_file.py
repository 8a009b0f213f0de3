"""Counts of n-grams as a checkpoint: what `ngram count` writes and `ngram merge` adds up. Knows no files."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lmkit.checkpoint import Array, Checkpoint, Streamed
from lmkit.errors import CheckpointError
from lmkit.ngram.backoff_model import sizes_of
from lmkit.ngram.tables import Counts, Level
from lmkit.protocols import Tokenizer
from lmkit.tokenization import tokenizers
from lmkit.tokenization.vocabulary import BOS, EOS


class CountFile:
    """Counts with the tokenizer whose ids they hold."""

    kind = "ngram-counts"

    def __init__(self, counts: Counts, tokenizer: Tokenizer, digest: str = "") -> None:
        self.counts = counts
        self.tokenizer = tokenizer
        self.digest = digest

    def text(self) -> dict[str, int]:
        """How much text was counted: all that a sum of counts can know of it."""
        count = self.counts.levels[0].count
        lines = int(count[BOS])
        return {"lines": lines, "tokens": int(count.sum()) - lines - int(count[EOS])}

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """The counts as a file's content."""
        tensors: dict[str, Array | Streamed] = dict(tokenizers.tensors(self.tokenizer))
        for order, level in enumerate(self.counts.levels, 1):
            wide = len(level) and int(level.count.max()) >= 1 << 31
            tensors[f"ngrams.{order}.count"] = level.count.astype(np.int64 if wide else np.int32, copy=False)
            if order > 1:
                tensors |= {f"ngrams.{order}.key": level.key, f"ngrams.{order}.suffix": level.suffix}
        config = {"order": self.counts.order, "ngrams": [len(level) for level in self.counts.levels]}
        return Checkpoint(self.kind, config, tensors, tokenizers.describe(self.tokenizer), origin)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "CountFile":
        """The counts in a checkpoint. Raises CheckpointError where they do not hold together."""
        tokenizer = tokenizers.load(checkpoint)
        sizes = sizes_of(checkpoint, tokenizer)
        levels = []
        for order, size in enumerate(sizes, 1):
            name = f"ngrams.{order}.count"
            kind = "I64" if getattr(checkpoint.tensors.get(name), "dtype", None) == np.int64 else "I32"
            count = checkpoint.array(name, kind, (size,))
            if order == 1:
                if count.min(initial=0) < 0:
                    raise CheckpointError("damaged checkpoint: counts below zero")
                levels.append(Level(np.arange(size, dtype=np.int64), count, np.zeros(0, dtype=np.int32)))
                continue
            level = Level(
                checkpoint.array(f"ngrams.{order}.key", "I64", (size,)),
                count,
                checkpoint.array(f"ngrams.{order}.suffix", "I32", (size,)),
            )
            _check(level, len(levels[-1]), tokenizer.size)
            levels.append(level)
        return cls(Counts(levels), tokenizer, checkpoint.digest)


def _check(level: Level, below: int, size: int) -> None:
    """Raises CheckpointError where ids point outside the level below or keys do not ascend."""
    key, suffix = level.key, level.suffix
    if not len(key):
        return
    good = (
        (key[1:] > key[:-1]).all()
        and key[0] >= 0 and int(key[-1]) >> 32 < below and int((key & 0xFFFFFFFF).max()) < size
        and suffix.min() >= 0 and suffix.max() < below and level.count.min() > 0
    )  # fmt: skip
    if not good:
        raise CheckpointError("damaged checkpoint: the n-grams do not hold together")
