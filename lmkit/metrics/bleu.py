"""Texts against reference texts: BLEU and chrF as sacrebleu has them (Post 2018), with intervals and comparisons.

sacrebleu counts matches in each segment and makes a score of their sums; resamples are sums of the same counts.

Shapes: N segments, S sums that a score is made of, R resamples.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lmkit.errors import MissingError
from lmkit.metrics import bootstrap
from lmkit.metrics.comparison import Comparison, Sample, of_samples
from lmkit.protocols import F64, I64

MEASURES = ("bleu", "chrf", "chrf++")
TOKENIZERS = ("13a", "none", "intl", "char", "zh")
"""How BLEU parts words; sacrebleu has others, which it would download."""


class Scores(NamedTuple):
    """Corpus scores, from 0 to 100, of one or two systems, and sacrebleu's signature of each score."""

    comparison: Comparison
    signatures: dict[str, str]


def measure(
    systems: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    *,
    tokenize: str = "13a",
    lowercase: bool = False,
    sampling: bootstrap.Sampling | None = None,
) -> Scores:
    """Score N texts of one system, or of two, by each of MEASURES against one or several lists of N references.

    Raises MissingError without sacrebleu.
    """
    metrics = _metrics(tokenize, lowercase=lowercase)
    sums = [{name: _sums(metric, texts, references) for name, metric in metrics.items()} for texts in systems]
    least = {name: bootstrap.least_p(int((one != sums[-1][name]).any(axis=1).sum())) for name, one in sums[0].items()}
    samples = [_sample(metrics, one) for one in sums]
    compared = of_samples(samples, sampling or bootstrap.Sampling(), least)
    return Scores(compared, {name: str(metric.get_signature()) for name, metric in metrics.items()})


def check_installed() -> None:
    """Raises MissingError without sacrebleu."""
    _metrics("13a", lowercase=False)


def _metrics(tokenize: str, *, lowercase: bool) -> dict[str, Any]:
    try:
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF
    except ImportError:
        raise MissingError("BLEU and chrF need sacrebleu", package="sacrebleu") from None
    return {
        "bleu": BLEU(tokenize=tokenize, lowercase=lowercase, force=True),
        "chrf": CHRF(lowercase=lowercase),
        "chrf++": CHRF(word_order=2, lowercase=lowercase),
    }


def _sums(metric: Any, texts: Sequence[str], references: Sequence[Sequence[str]]) -> F64:
    """Return what sacrebleu makes a score of, of each segment, (N, S)."""
    return np.asarray(metric._extract_corpus_statistics(texts, references), np.float64)


def _score(metric: Any, sums: F64) -> float:
    return float(metric._compute_score_from_stats(np.rint(sums).astype(int).tolist()).score)


def _sample(metrics: Mapping[str, Any], sums: Mapping[str, F64]) -> Sample:
    """Return the scores of segments with these sums, (N, S) of each measure."""

    def scores(counts: I64) -> dict[str, F64]:
        return {name: np.array([_score(metrics[name], row) for row in counts @ one]) for name, one in sums.items()}

    values = {name: _score(metrics[name], one.sum(0)) for name, one in sums.items()}
    return Sample(values, scores, np.ones(len(next(iter(sums.values()))), dtype=np.int64))
