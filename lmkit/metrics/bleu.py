"""Texts against reference texts: BLEU and chrF as sacrebleu has them (Post 2018), with intervals and comparisons.

sacrebleu counts matches in each segment and makes a score of their sums; resamples are sums of the same counts.

Shapes: N segments, S sums that a score is made of, R resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmkit.errors import MissingError
from lmkit.metrics import bootstrap
from lmkit.protocols import F64, I64

MEASURES = ("bleu", "chrf", "chrf++")
TOKENIZERS = ("13a", "none", "intl", "char", "zh")
"""How BLEU parts words; sacrebleu has others, which it would download."""


@dataclass(frozen=True)
class Measured:
    """A corpus score, from 0 to 100, of one or two systems, and sacrebleu's signature."""

    interval: bootstrap.Interval
    signature: str
    against: float | None = None
    difference: bootstrap.Difference | None = None


def measure(
    systems: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    *,
    tokenize: str = "13a",
    lowercase: bool = False,
    sampling: bootstrap.Sampling | None = None,
) -> dict[str, Measured]:
    """Each of MEASURES of one system's N texts, or of two, against one or several lists of N references.

    Raises MissingError without sacrebleu.
    """
    sampling = sampling or bootstrap.Sampling()
    found = {}
    for name, metric in _metrics(tokenize, lowercase=lowercase).items():
        sums = [np.asarray(metric._extract_corpus_statistics(texts, references), np.float64) for texts in systems]
        values = [_score(metric, one.sum(0)) for one in sums]
        drawn = [_drawn(metric, one, sampling) for one in sums]
        first = bootstrap.around(values[0], drawn[0], sampling.level)
        signature = str(metric.get_signature())
        if len(systems) == 1:
            found[name] = Measured(first, signature)
        else:
            apart = int((sums[0] != sums[1]).any(axis=1).sum())
            least = bootstrap.least_p(apart)
            difference = bootstrap.compared(values[0] - values[1], drawn[0] - drawn[1], sampling.level, least)
            found[name] = Measured(first, signature, values[1], difference)
    return found


def _metrics(tokenize: str, *, lowercase: bool) -> dict[str, Any]:
    try:
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF
    except ImportError:
        raise MissingError("BLEU and chrF need sacrebleu", hint="pip install 'lmkit-cli[eval]'") from None
    return {
        "bleu": BLEU(tokenize=tokenize, lowercase=lowercase, force=True),
        "chrf": CHRF(lowercase=lowercase),
        "chrf++": CHRF(word_order=2, lowercase=lowercase),
    }


def _score(metric: Any, sums: F64) -> float:
    return float(metric._compute_score_from_stats(np.rint(sums).astype(int).tolist()).score)


def _drawn(metric: Any, sums: F64, sampling: bootstrap.Sampling) -> F64:
    """The scores of resamples, (R,), of segments with these sums, (N, S)."""

    def scores(counts: I64) -> F64:
        return np.array([_score(metric, row) for row in counts @ sums])

    return bootstrap.resampled(scores, np.ones(len(sums), dtype=np.int64), sampling.seed, sampling.resamples)
