"""Texts corrupted on the fly, and shares of tasks."""

import numpy as np

from lmkit.data.denoising import Denoising
from lmkit.data.source_format import SourceFormat
from lmkit.data.span_corruption import SpanCorruption
from lmkit.training.denoising_batches import CorruptedTexts
from lmkit.training.pair_batches import ShuffledPairs, TaskShares


def _texts(corruption, seed=0):
    rng = np.random.default_rng(5)
    texts = [rng.integers(20, 60, size).astype(np.int32) for size in rng.integers(1, 40, 50).tolist()]
    return texts, CorruptedTexts(texts, corruption, SourceFormat((), (2,)), 1, 2, seed, 1000)


def test_epochs_differ_and_lengths_are_exact():
    texts, held = _texts(SpanCorruption(np.arange(3, 13, dtype=np.int32)))
    every = np.arange(50)
    first, again, second = held.pairs(every, 0), held.pairs(every, 0), held.pairs(every, 1)
    for one, other in zip(first.targets, again.targets, strict=True):
        assert np.array_equal(one, other)
    assert any(not np.array_equal(one, other) for one, other in zip(first.targets, second.targets, strict=True))
    for found in (first, second):
        for own, expected in zip(found.lengths(), held.lengths(), strict=True):
            assert np.array_equal(own, expected)
    alone = held.pairs(np.array([7]), 1)
    assert np.array_equal(alone.sources[0], second.sources[7])
    for text, source, target in zip(texts, first.sources, first.targets, strict=True):
        kept, removed = source[source > 12], target[target > 12]
        assert sorted([*kept.tolist(), *removed.tolist()]) == sorted(text.tolist())


def test_noise_writes_the_text():
    texts, held = _texts(Denoising(("infill",), 3, np.zeros(60, dtype=np.int8)))
    for text, target in zip(texts, held.pairs(np.arange(50), 4).targets, strict=True):
        assert np.array_equal(text, target[:-1])


def test_batches_of_an_epoch_have_each_text_once():
    _, held = _texts(SpanCorruption(np.arange(3, 13, dtype=np.int32)))
    batches = ShuffledPairs(held, 100, 0)
    found, number = [], 0
    while len(found) < 100:
        found += batches.batch(number).arrays["lengths"].tolist()
        number += 1
    assert sorted(found[:50]) == sorted(found[50:]) == sorted(held.lengths()[0].tolist())


def test_shares_of_tasks():
    tasks = TaskShares(100, 3, [90, 100], [1.0, 3.0])
    found = np.concatenate([tasks.pairs(epoch) for epoch in range(4)])
    assert [int((tasks.pairs(epoch) >= 90).sum()) for epoch in range(4)] == [75] * 4
    assert np.bincount(found[found >= 90] - 90).tolist() == [30] * 10
    assert np.bincount(found[found < 90], minlength=90).max() == 2
