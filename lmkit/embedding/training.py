"""From a stream of ids to word vectors, in rounds that replicas work on side by side. Opens no file, prints nothing.

In a round each of `workers` replicas of the vectors is trained on a chunk of its own, and the changes of all
are summed. Which chunk is whose and which random numbers it gets depends on the plan alone, so that the
result is the same with any number of threads.
"""

from collections.abc import Iterator
from importlib.util import find_spec

from lmkit.embedding.plan import Corpus, Event, Plan, State


def compiled() -> bool:
    """Whether training would run as compiled code: whether numba is installed."""
    return find_spec("numba") is not None


def train(
    corpus: Corpus, plan: Plan, state: State | None = None, *, threads: int = 1, hogwild: bool = False,
) -> Iterator[Event]:  # fmt: skip
    """Trains vectors: yields Progress after each round and at last Vectors, each (V, D).

    `state` is where to begin: `plan.initial`, perhaps with rows changed, or the state of a Progress event.
    A training that goes on from a state gives the same bytes as one that never stopped. With `hogwild`
    threads share the vectors: no replicas, faster, and not the same bytes twice (Recht et al. 2011).

    Raises DataError if the corpus has no two words to train with.
    """
    raise NotImplementedError
    yield
