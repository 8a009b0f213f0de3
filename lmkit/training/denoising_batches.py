"""Texts that are corrupted anew in each epoch, as pairs of source and target: T5's and BART's pre-training.

N texts, B of a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmkit.data.source_format import SourceFormat
from lmkit.data.span_corruption import Corrupted
from lmkit.protocols import I32, I64, Ints
from lmkit.training.batches import Batch
from lmkit.training.pair_batches import Pairs


class Corruption(Protocol):
    """What is done to a text: `SpanCorruption`, `Denoising`."""

    def lengths(self, sizes: I64) -> tuple[I64, I64]:
        """How many tokens inputs and targets have of texts of so many tokens, (B,) of each."""

    def apply(self, ids: Ints, generator: np.random.Generator) -> Corrupted:
        """What a model reads of a text, (N,), and what it is to write."""


@dataclass(frozen=True)
class CorruptedTexts:
    """Texts, their corruption, and the special tokens around what it makes; see `PairCollection`.

    What becomes of a text depends on the seed, the epoch and its number alone.

    start, end  begin the inputs of targets, and end targets
    bytes       of all texts, a line end behind each
    """

    texts: Sequence[I32]
    corruption: Corruption
    form: SourceFormat
    start: int
    end: int
    seed: int
    bytes: int

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def tokens(self) -> int:
        """See `PairCollection.tokens`."""
        return int(self.lengths()[1].sum())

    @property
    def bytes_per_token(self) -> float:
        """Bytes per token of the texts, on average."""
        return self.bytes / max(1, sum(map(len, self.texts)) + len(self.texts))

    def lengths(self) -> tuple[I64, I64]:
        """See `PairCollection.lengths`."""
        sources, targets = self.corruption.lengths(np.fromiter(map(len, self.texts), np.int64, len(self.texts)))
        return sources + len(self.form.before) + len(self.form.after), targets + 1

    def batch(self, chosen: I64, epoch: int = 0) -> Batch:
        """See `PairCollection.batch`."""
        return self.pairs(chosen, epoch).batch(np.arange(len(chosen)))

    def pairs(self, chosen: I64, epoch: int = 0) -> Pairs:
        """Some texts, corrupted, as pairs."""
        made = [
            self.corruption.apply(self.texts[place], np.random.default_rng([self.seed, epoch, place]))
            for place in chosen.tolist()
        ]
        end = np.array([self.end], dtype=np.int32)
        targets = [np.concatenate((one.targets, end)) for one in made]
        size = round(self.bytes_per_token * sum(map(len, targets)))
        return Pairs([self.form.around(one.inputs) for one in made], targets, self.start, size)
