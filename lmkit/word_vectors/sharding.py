"""How a training is cut into rounds and chunks, and what each gets of rate and randomness. Knows no vectors.

The stream is read `epochs` times, in chunks of equal length; a round is as many chunks as there are workers,
and may begin in one epoch and end in the next.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lmkit.word_vectors.training_plan import TrainingConfig

SHORT = 200_000  # ids below which one worker has a corpus for itself
WORKERS = 2
LEAST = 2_000


class Chunk(NamedTuple):
    """Ids that one worker reads in one round: ids[begin:end], the rates at both ends, and a seed."""

    begin: int
    end: int
    rates: tuple[float, float]
    seed: int

    def split(self, parts: int) -> list["Chunk"]:
        """The same in equal parts."""
        borders = [self.begin + (self.end - self.begin) * part // parts for part in range(parts + 1)]
        first, last = self.rates
        rates = [first + (last - first) * part / parts for part in range(parts + 1)]
        return [
            Chunk(borders[part], borders[part + 1], (rates[part], rates[part + 1]), seed(self.seed, part))
            for part in range(parts)
        ]


@dataclass(frozen=True)
class Shards:
    """The chunks of a training."""

    plan: TrainingConfig
    length: int
    workers: int
    chunks: int

    @classmethod
    def of(cls, plan: TrainingConfig, length: int, size: int) -> "Shards":
        """Chunks for a stream of `length` ids and a vocabulary of `size` words.

        They have an id for each word: longer ones learn less, and shorter ones cost more sums.
        """
        workers = plan.workers or (WORKERS if length >= SHORT else 1)
        longest = plan.chunk or max(size, LEAST)
        rounds = -(-length // (workers * longest))
        return cls(plan, length, workers, workers * rounds)

    def __len__(self) -> int:
        """How many rounds."""
        return -(-self.chunks * self.plan.epochs // self.workers)

    def position(self, chunk: int) -> int:
        """Where a chunk begins, in ids of all epochs."""
        epoch, number = divmod(chunk, self.chunks)
        return epoch * self.length + number * self.length // self.chunks

    def rate(self, position: int) -> float:
        """The learning rate at a place."""
        done = position / max(self.length * self.plan.epochs, 1)
        return self.plan.lr + (min(self.plan.least_lr, self.plan.lr) - self.plan.lr) * done

    def __getitem__(self, number: int) -> list[Chunk]:
        """The chunks of a round; the last one of all may have fewer."""
        first, last = number * self.workers, min((number + 1) * self.workers, self.chunks * self.plan.epochs)
        return [self._chunk(chunk) for chunk in range(first, last)]

    def _chunk(self, chunk: int) -> Chunk:
        begin, end = self.position(chunk), self.position(chunk + 1)
        start = begin % self.length
        return Chunk(start, start + end - begin, (self.rate(begin), self.rate(end)), seed(self.plan.seed, chunk))


def seed(*numbers: int) -> int:
    """One 64-bit seed of several numbers, near ones far apart: splitmix64 over them (Steele et al. 2014)."""
    state = 0
    for number in numbers:
        state = (state + number + 0x9E3779B97F4A7C15) % 2**64
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
        state ^= state >> 31
    return state


def share(replicas: int) -> np.float32:
    """What part of the summed changes counts: all of two; of more, as much as of two.

    Frequent words go all the way to where their chunk draws them, in each replica. The sum of two such changes
    overshoots as far as it went; more would drive them apart.
    """
    return np.float32(min(1.0, 2 / replicas))
