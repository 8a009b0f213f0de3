"""How many vectors one step of training changes: what makes negative sampling cheap."""

import numpy as np

from lmkit.errors import DataError
from lmkit.protocols import F64, I32, Bool
from lmkit.word_vectors.numpy_kernels import Batch, NumpyKernel
from lmkit.word_vectors.training_plan import FIRST_WORD, Corpus, TrainingConfig, noise


def count_updates(corpus: Corpus, plan: TrainingConfig) -> tuple[int, int]:
    """Vectors as centre and as context that are other ones after a step with the first pair of neighbours.

    The step is from random vectors, since the context vectors with which training begins are zero and move
    nothing. The negatives are distinct. One and k + 1 with k negatives, one and V with the full softmax; of a
    word with several rows, all of these in place of one.
    Raises DataError where no line has two words.
    """
    generator = np.random.Generator(np.random.PCG64(plan.seed))
    before = [(generator.random((size, plan.dim)) - 0.5) / plan.dim for size in (corpus.rows, len(corpus.counts))]
    for table in before:
        table[:FIRST_WORD] = 0
    after = [table.copy() for table in before]
    neighbour, word = _first_pair(corpus.ids)
    drawn = np.zeros(0, dtype=np.int32)
    if plan.loss == "negative-sampling":
        chances = noise(corpus.counts, plan.power)
        chances[word] = 0
        most = min(plan.negatives, int(np.count_nonzero(chances)))
        drawn = generator.choice(len(chances), most, replace=False, p=chances / chances.sum()).astype(np.int32)
    batch = Batch(np.array([word]), np.array([[neighbour]]), np.ones((1, 1), dtype=np.bool_), drawn[None])
    NumpyKernel(corpus, plan).step(batch, after, plan.lr)
    centre, context = (int(_other(*tables).sum()) for tables in zip(before, after, strict=True))
    return centre, context


def _other(before: F64, after: F64) -> Bool:
    """Which rows, (R,), have other bits."""
    other: Bool = (before.view(np.uint64) != after.view(np.uint64)).any(axis=1)
    return other


def _first_pair(ids: I32) -> tuple[int, int]:
    words = ids >= FIRST_WORD
    both = np.flatnonzero(words[:-1] & words[1:])
    if not len(both):
        raise DataError("no line has two words of the vocabulary")
    return int(ids[both[0]]), int(ids[both[0] + 1])
