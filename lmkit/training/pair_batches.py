"""Batches of pairs of source and target, of like lengths and so many tokens, in random order, each pair once an epoch.

N pairs, B of a batch, S tokens of its longest source, T of its longest target.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lmkit.architectures.sliding_window import UNSCORED
from lmkit.protocols import I32, I64
from lmkit.training.batches import Batch

POOL = 64  # batches whose pairs are sorted by length together


@dataclass(frozen=True)
class Pairs:
    """Sources with their special tokens and targets with their end, (N,) of each.

    start  begins the inputs
    bytes  of the texts of all targets, a line end behind each
    """

    sources: Sequence[I32]
    targets: Sequence[I32]
    start: int
    bytes: int = 0

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def tokens(self) -> int:
        """How many tokens there are to predict."""
        return sum(map(len, self.targets))

    @property
    def bytes_per_token(self) -> float:
        """Bytes of targets per token, on average."""
        return self.bytes / max(1, self.tokens)

    def lengths(self) -> tuple[I64, I64]:
        """Tokens of each source and target, (N,)."""
        sizes = [np.fromiter(map(len, side), np.int64, len(self)) for side in (self.sources, self.targets)]
        return sizes[0], sizes[1]

    def batch(self, chosen: I64) -> Batch:
        """Some pairs as a batch: `sources` (B, S), `lengths` (B,), `inputs` and `targets` (B, T).

        Behind the ends are zeros, and UNSCORED in targets.
        """
        sources = [self.sources[place] for place in chosen.tolist()]
        targets = [self.targets[place] for place in chosen.tolist()]
        lengths = np.array([len(one) for one in sources], dtype=np.int64)
        time = max(map(len, targets))
        arrays = {
            "sources": np.zeros((len(chosen), int(lengths.max())), dtype=np.int32),
            "inputs": np.zeros((len(chosen), time), dtype=np.int32),
            "targets": np.full((len(chosen), time), UNSCORED, dtype=np.int32),
        }
        arrays["inputs"][:, 0] = self.start
        for row, (source, target) in enumerate(zip(sources, targets, strict=True)):
            arrays["sources"][row, : len(source)] = source
            arrays["inputs"][row, 1 : len(target)] = target[:-1]
            arrays["targets"][row, : len(target)] = target
        weight = sum(map(len, targets))
        return Batch({**arrays, "lengths": lengths}, weight, size=weight)

    def in_order(self, tokens: int) -> Iterator[Batch]:
        """Yield all pairs in batches of so many tokens at most, sorted by length."""
        lengths = self.lengths()
        order = np.lexsort(lengths)
        for begin, end in _cuts(lengths[0][order], lengths[1][order], tokens):
            yield self.batch(order[begin:end])


class ShuffledPairs:
    """Batches by their number; see `Batches`. A side has `tokens` tokens at most, padding too, or is one pair's."""

    rows = 1
    """No network carries a state from batch to batch, so that the number of rows may change."""

    def __init__(self, pairs: Pairs, tokens: int, seed: int) -> None:
        self._pairs, self._tokens, self._seed = pairs, tokens, seed
        self._lengths = pairs.lengths()
        self._firsts, self._epoch, self._batches = [0], -1, list[I64]()

    @property
    def tokens(self) -> int:
        """Tokens of targets in a batch, on average."""
        if self._epoch < 0:
            self._chosen(0)
        return max(1, round(self._pairs.tokens / len(self._batches)))

    def batch(self, number: int) -> Batch:
        """See `Batches`."""
        return self._pairs.batch(self._chosen(number))

    def _chosen(self, number: int) -> I64:
        """The pairs of a batch; epochs have different numbers of batches, which are found one after another."""
        epoch = int(np.searchsorted(self._firsts, number, side="right")) - 1
        while True:
            if epoch != self._epoch:
                self._epoch, self._batches = epoch, self._shuffled(epoch)
            if number < self._firsts[epoch] + len(self._batches):
                return self._batches[number - self._firsts[epoch]]
            epoch += 1
            if epoch == len(self._firsts):
                self._firsts.append(self._firsts[-1] + len(self._batches))

    def _shuffled(self, epoch: int) -> list[I64]:
        """Pairs in random order, sorted in runs of some batches, cut into batches, and these shuffled."""
        generator = np.random.default_rng([self._seed, epoch])
        order = generator.permutation(len(self._pairs))
        sources, targets = self._lengths
        mean = max(1.0, float(np.maximum(sources, targets).mean()))
        run = max(1, int(POOL * self._tokens / mean))
        found: list[I64] = []
        for begin in range(0, len(order), run):
            part = order[begin : begin + run]
            part = part[np.lexsort((sources[part], targets[part]))]
            found += [part[first:last] for first, last in _cuts(sources[part], targets[part], self._tokens)]
        return [found[place] for place in generator.permutation(len(found))]


def _cuts(sources: I64, targets: I64, tokens: int) -> Iterator[tuple[int, int]]:
    """Where to cut pairs of these lengths so that neither side of a part, padded, has more than so many tokens."""
    begin = longest = 0
    for place, size in enumerate(np.maximum(sources, targets).tolist()):
        longest = max(longest, size)
        if place > begin and longest * (place - begin + 1) > tokens:
            yield begin, place
            begin, longest = place, size
    if begin < len(sources):
        yield begin, len(sources)
