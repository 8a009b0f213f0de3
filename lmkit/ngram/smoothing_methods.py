"""The names of the smoothing methods, and rules of their options, without loading any."""

from collections.abc import Sequence
from itertools import pairwise

from lmkit.errors import UsageError

METHODS = (
    "modified-kneser-ney", "kneser-ney", "absolute", "witten-bell", "jelinek-mercer",
    "katz", "add-k", "mle", "stupid-backoff",
)  # fmt: skip
ALIASES = {
    "mkn": "modified-kneser-ney", "kn": "kneser-ney", "wb": "witten-bell", "good-turing": "katz",
    "interp": "jelinek-mercer", "backoff": "katz", "laplace": "add-k",
}  # fmt: skip
CLOSED = ("mle", "add-k")
"""Methods whose vocabulary is closed unless asked otherwise: no probability for unknown words."""
SINGLE_DISCOUNT = ("kneser-ney", "absolute")
"""Methods whose one discount can be given."""


def thresholds(prune: Sequence[int], order: int) -> list[int]:
    """A threshold for every order; the last one given serves the higher ones. Raises UsageError."""
    values = list(prune) or [0]
    if values[0] != 0:
        raise UsageError("the first pruning threshold must be 0", hint="--min-count limits the vocabulary")
    if any(later < earlier for earlier, later in pairwise(values)):
        raise UsageError("pruning thresholds must not decrease")
    return (values + [values[-1]] * order)[:order]
