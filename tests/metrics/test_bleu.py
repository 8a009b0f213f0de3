"""BLEU and chrF: sacrebleu's, and intervals of what it counts."""

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from lmkit.metrics import bleu, bootstrap

WORDS = ["el", "la", "gato", "perro", "come", "duerme", "grande", ".", ",", "casa"]


def texts(seed, count=30):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(0, 9))) for _ in range(count)]


@pytest.mark.parametrize("tokenize", bleu.TOKENIZERS)
@pytest.mark.parametrize("references", [1, 2])
def test_scores_are_those_of_sacrebleu(tokenize, references):
    system, right = texts(1), [texts(seed) for seed in range(2, 2 + references)]
    none = bootstrap.Sampling(resamples=0)
    found = bleu.measure([system], right, tokenize=tokenize, lowercase=True, sampling=none)
    own = {
        "bleu": BLEU(tokenize=tokenize, lowercase=True),
        "chrf": CHRF(lowercase=True),
        "chrf++": CHRF(word_order=2, lowercase=True),
    }
    for name, metric in own.items():
        score = metric.corpus_score(system, right).score
        assert found.comparison.intervals[name] == (pytest.approx(score, abs=1e-12), None, None)
        assert found.signatures[name] == str(metric.get_signature())


def test_a_resample_has_the_score_of_its_segments():
    system, right = texts(1, 12), texts(2, 12)
    sampling = bootstrap.Sampling(seed=4, resamples=3, level=0.9)
    drawn = np.concatenate(list(bootstrap.draws(np.ones(12, dtype=np.int64), 4, 3)))
    written = [
        BLEU().corpus_score(
            [system[i] for i in np.repeat(range(12), row)], [[right[i] for i in np.repeat(range(12), row)]]
        )
        for row in drawn
    ]
    found = bleu.measure([system], [right], sampling=sampling).comparison.intervals["bleu"]
    assert found[1:] == pytest.approx(tuple(np.quantile([one.score for one in written], [0.05, 0.95])))


def test_two_systems():
    right = texts(2)
    worse = bleu.measure([texts(1), right], [right]).comparison
    assert worse.against["chrf"] == 100
    assert worse.differences["chrf"].value == worse.values["chrf"] - 100
    assert worse.differences["chrf"].high < 0
    assert worse.differences["chrf"].p == 1 / 1001
    same = bleu.measure([right, right], [right]).comparison
    assert same.differences["bleu"] == (0, None, None, 1)
