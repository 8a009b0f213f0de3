"""Training of linear taggers: a conditional random field, by L-BFGS of at most ITERATIONS steps.

The loss is sum_s -ln p(y_s | x_s) + l2 / 2 |w|^2 over the weights of features and transitions, that of crfsuite with
c2 = l2 / 2. N words, S sentences, D features, K labels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lmkit import lbfgs
from lmkit.label_chain import LabelChain, Packing, expectations
from lmkit.linear_models.linear_tagger import FeatureRows, LinearTagger
from lmkit.linear_models.word_features import feature_groups
from lmkit.protocols import F64, I64

L2 = 0.1
ITERATIONS = 100
DECREASE = 1e-4
"""Training ends where a step lowers the loss by no more than this share."""


def train(
    sentences: Sequence[Sequence[str]], labels: Sequence[I64], names: tuple[str, ...], *, l2: float = L2,
    minimum: int = 2, done: Callable[[int], None] = lambda _: None,
) -> LinearTagger:  # fmt: skip
    """Train on sentences, at least one of them with a word, and the numbers of their words' labels.

    Features of fewer than `minimum` words are left out. `done` learns how many evaluations there were.
    """
    kept = [number for number, own in enumerate(labels) if len(own)]
    lengths = np.array([len(labels[number]) for number in kept], dtype=np.int64)
    found = feature_groups([sentences[number] for number in kept])
    keys, places = np.unique(np.concatenate([group.keys.ravel() for group in found]), return_inverse=True)
    words = [np.bincount(group.kinds, minlength=len(group.keys)) for group in found]
    counts = [np.repeat(own, group.keys.shape[1]) for own, group in zip(words, found, strict=True)]
    keys = keys[np.bincount(places, np.concatenate(counts)) >= minimum]
    x = FeatureRows.of(found, keys)
    problem = _Problem(x, np.concatenate([labels[number] for number in kept]), lengths, len(names), l2, done)
    minima = lbfgs.minimise(problem, np.zeros((1, problem.size)), iterations=ITERATIONS, decrease=DECREASE)
    weights, chain = problem.parts(minima.points[0])
    return LinearTagger(names, keys, weights.astype(np.float32), chain)


@dataclass
class _Problem:
    """The loss as a function of points: weights of features, (D K), then A, b and e of the chain."""

    x: FeatureRows
    labels: I64
    lengths: I64
    names: int
    l2: float
    done: Callable[[int], None]

    def __post_init__(self) -> None:
        ends = np.cumsum(self.lengths)
        begins = ends - self.lengths
        count = self.names
        inner = np.ones(len(self.labels), dtype=np.bool_)
        inner[begins] = False
        after = np.flatnonzero(inner)
        pairs = np.zeros((count, count))
        np.add.at(pairs, (self.labels[after - 1], self.labels[after]), 1.0)
        firsts, lasts = (np.bincount(self.labels[place], minlength=count) for place in (begins, ends - 1))
        self._seen = np.concatenate((pairs.ravel(), firsts, lasts))
        self._packing = Packing.of(self.lengths)
        self._evaluations = 0

    @property
    def size(self) -> int:
        """How many numbers a point has."""
        return self.names * (self.x.width + self.names + 2)

    def parts(self, point: F64) -> tuple[F64, LabelChain]:
        """The weights of features, (D, K), and the chain, of a point."""
        count = self.names
        cut = count * self.x.width
        rest = point[cut:]
        pairs = rest[: count * count].reshape(count, count)
        return point[:cut].reshape(-1, count), LabelChain(pairs, rest[count * count : -count], rest[-count:])

    def __call__(self, points: F64, _: I64) -> tuple[F64, F64]:
        """See `lbfgs.Objective`."""
        self._evaluations += 1
        self.done(self._evaluations)
        point = points[0]
        weights, chain = self.parts(point)
        emissions = self.x.dot(weights.astype(np.float32)).astype(np.float64)
        expected = expectations(chain, emissions, self._packing)
        rows = np.arange(len(self.labels))
        right = float(emissions[rows, self.labels].sum()) + float(point[weights.size :] @ self._seen)
        apart = expected.labels
        apart[rows, self.labels] -= 1.0
        gradient = np.concatenate((
            self.x.transposed_dot(apart).ravel(),
            np.concatenate((expected.pairs.ravel(), expected.starts, expected.ends)) - self._seen,
        ))  # fmt: skip
        gradient += self.l2 * point
        value = expected.log_partition - right + self.l2 / 2 * float(point @ point)
        return np.array([value]), gradient[None]
