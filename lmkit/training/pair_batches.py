"""Batches of pairs of source and target, of like lengths and so many tokens, in random order, each pair once an epoch.

N pairs, B of a batch, S tokens of its longest source, T of its longest target.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmkit.architectures.sliding_window import UNSCORED
from lmkit.protocols import I32, I64
from lmkit.training.batches import Batch

POOL = 64  # batches whose pairs are sorted by length together


class PairCollection(Protocol):
    """Pairs that batches are made of; they may be others in each epoch, of about the same lengths."""

    def __len__(self) -> int:
        """N."""

    @property
    def tokens(self) -> int:
        """How many tokens there are to predict."""

    @property
    def bytes_per_token(self) -> float:
        """Bytes of text per token, on average."""

    def lengths(self) -> tuple[I64, I64]:
        """Tokens of each source and target, (N,)."""

    def batch(self, chosen: I64, epoch: int = 0) -> Batch:
        """Some pairs as a batch."""


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

    def batch(self, chosen: I64, epoch: int = 0) -> Batch:
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


class TaskShares:
    """Which of N pairs an epoch has, where tasks are mixed by weight: N of them, of each task its share.

    A task continues in the next epoch where it ended in this one, and begins anew when all of its pairs were seen.
    """

    def __init__(self, size: int, seed: int, bounds: Sequence[int], weights: Sequence[float]) -> None:
        self._seed = seed
        self._parts = list(zip([0, *bounds[:-1]], bounds, strict=True))
        ends = np.cumsum(np.array(weights, dtype=np.float64))
        self._counts: list[int] = np.diff(np.round(ends / ends[-1] * size), prepend=0).astype(np.int64).tolist()

    def pairs(self, epoch: int) -> I64:
        """The pairs of an epoch, (N,), by task."""
        found = []
        for task, ((begin, end), count) in enumerate(zip(self._parts, self._counts, strict=True)):
            places = np.arange(epoch * count, (epoch + 1) * count)
            for time in range(epoch * count // (end - begin), -(-(epoch + 1) * count // (end - begin))):
                order = begin + np.random.default_rng([self._seed, task, time]).permutation(end - begin)
                found.append(order[places[places // (end - begin) == time] % (end - begin)])
        return np.concatenate([np.zeros(0, dtype=np.int64), *found])


class ShuffledPairs:
    """Batches by their number; see `Batches`. A side has `tokens` tokens at most, padding too, or is one pair's."""

    rows = 1
    """No network carries a state from batch to batch, so that the number of rows may change."""

    def __init__(
        self, pairs: PairCollection, tokens: int, seed: int, bounds: Sequence[int] = (), weights: Sequence[float] = ()
    ) -> None:  # fmt: skip
        """`bounds` are where the pairs of each task end; with `weights` tasks have these shares of every epoch."""
        self._pairs, self._tokens, self._seed = pairs, tokens, seed
        self._tasks = TaskShares(len(pairs), seed, bounds, weights) if weights else None
        self._lengths = pairs.lengths()
        self._firsts, self._epoch, self._batches = [0], -1, list[I64]()

    @property
    def tokens(self) -> int:
        """Tokens of targets in a batch, on average."""
        if self._epoch < 0:
            self._chosen(0)
        return max(1, round(self._learned() / len(self._batches)))

    def _learned(self) -> int:
        """Tokens of targets in an epoch."""
        if self._tasks is None:
            return self._pairs.tokens
        return int(self._lengths[1][np.concatenate(self._batches)].sum())

    def batch(self, number: int) -> Batch:
        """See `Batches`."""
        chosen = self._chosen(number)
        return self._pairs.batch(chosen, self._epoch)

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
        if self._tasks is not None:
            order = self._tasks.pairs(epoch)[order]
        sources, targets = self._lengths
        mean = max(1.0, float(np.maximum(sources, targets).mean()))
        run = max(1, int(POOL * self._tokens / mean))
        found: list[I64] = []
        for begin in range(0, len(order), run):
            part = order[begin : begin + run]
            part = part[np.lexsort((sources[part], targets[part]))]
            found += [part[first:last] for first, last in _cuts(sources[part], targets[part], self._tokens)]
        return [found[place] for place in generator.permutation(len(found))]


@dataclass(frozen=True)
class FullPairs:
    """Batches of `rows` pairs, both of whose sides have `time` tokens: none takes more memory."""

    rows: int
    time: int

    def batch(self, number: int) -> Batch:
        """See `Batches`."""
        side = np.zeros(self.time, dtype=np.int32)
        return Pairs([side] * self.rows, [side] * self.rows, 0).batch(np.arange(self.rows))


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
