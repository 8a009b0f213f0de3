"""What one pair of words does to the vectors, and what all pairs cost exactly. Trains nothing."""

import numpy as np

from lmkit.embedding.losses import softmax
from lmkit.embedding.plan import FIRST_WORD, Corpus, Plan, Vectors, initial, noise
from lmkit.embedding.rounds import seed
from lmkit.embedding.steps import BATCH, Batch, NumpyKernel
from lmkit.embedding.windows import Lines
from lmkit.errors import DataError
from lmkit.protocols import I32


def mean_loss(ids: I32, vectors: Vectors, window: int) -> float:
    """J = -1/T sum_t sum_j log P(w_t+j | w_t) over neighbours within `window`, P the full softmax: nats a word.

    P(a | b) = exp(u_a v_b) / sum_w exp(u_w v_b), u from the context vectors and v from the centre vectors.
    Raises DataError if there are no words.
    """
    lines, total = Lines.of(ids), 0.0
    if not len(lines.words):
        raise DataError("no words to take a loss of")
    centre, context = (part.astype(np.float64) for part in vectors)
    for begin in range(0, len(lines.words), BATCH):
        end = min(begin + BATCH, len(lines.words))
        neighbours, there = lines.neighbours(begin, end, np.full(end - begin, window))
        centres = np.broadcast_to(lines.words[begin:end, None], there.shape)[there]
        total += softmax(centre[centres], context[FIRST_WORD:], neighbours[there] - FIRST_WORD)[0]
    return total / len(lines.words)


def changed_rows(corpus: Corpus, plan: Plan) -> tuple[int, int]:
    """How many centre and context vectors the first pair of a corpus changes, compared bit by bit.

    With k different negatives that is 1 + (k + 1), with a full softmax 1 + |V|. Context vectors are random here
    like centre vectors: from zeros, as training begins, the first pair would change no centre vector.
    Raises DataError if the corpus has no pair.
    """
    lines = Lines.of(corpus.ids)
    beside = np.flatnonzero(lines.numbers[1:] == lines.numbers[:-1])
    if not len(beside):
        raise DataError("the corpus has no two words on a line")
    pair = lines.words[beside[0] : beside[0] + 2]
    generator = np.random.Generator(np.random.PCG64(seed(plan.seed, 1)))
    drawn: I32 = np.zeros((1, 0), dtype=np.int32)
    if plan.loss == "negative-sampling":
        drawn = generator.choice(len(corpus.counts), (1, plan.negatives), p=noise(corpus.counts, plan.power)).astype(
            np.int32
        )
    vectors = np.stack((initial(len(corpus.counts), plan).vectors.centre,) * 2)
    before = vectors.copy()
    batch = Batch(pair[:1], pair[None, 1:], np.ones((1, 1), dtype=np.bool_), drawn)
    NumpyKernel(corpus, plan).step(batch, vectors, plan.lr)
    centre, context = (vectors.view(np.int32) != before.view(np.int32)).any(axis=2).sum(axis=1).tolist()
    return centre, context
