"""Near duplicates against the comparison of all pairs."""

import random
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkit.array_storage import Memory
from lmkit.data.key_set import KeySet
from lmkit.data.near_duplicates import ShingleSets, bands_for, components
from lmkit.data.word_hashes import grams, hash_words

TEXTS = st.lists(
    st.lists(st.sampled_from(["a", "b", "Straße", "É", "x1", "字", "."]), max_size=9).map(" ".join), max_size=14
)


def words_of(text):
    """The rule in plain Python."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = "".join(c if unicodedata.category(c)[0] in "LNM" else " " for c in text)
    return re.sub(r"([\u3040-\u30ff\u4e00-\u9fff])", r" \1 ", kept).split()


def shingles(text, n):
    words = words_of(text)
    if 0 < len(words) < n:
        return {tuple(words)}
    return {tuple(words[at : at + n]) for at in range(len(words) - n + 1)}


def found(texts, threshold, n, block=100):
    sets = ShingleSets(threshold, n, Memory())
    for begin in range(0, len(texts), block):
        sets.add(texts[begin : begin + block])
    sets.finish()
    return sets, components(sets).tolist()


def brute_force(texts, threshold, n):
    sets = [shingles(text, n) for text in texts]
    roots = list(range(len(texts)))
    for b, other in enumerate(sets):
        for a, one in enumerate(sets[:b]):
            if one and other and len(one & other) / len(one | other) >= threshold:
                low, high = sorted((roots[a], roots[b]))
                roots = [low if root == high else root for root in roots]
    return roots


@settings(deadline=None)
@given(TEXTS, st.sampled_from([0.1, 0.3, 0.5, 0.7, 1.0]), st.integers(1, 3), st.integers(1, 5))
def test_clusters_equal_those_of_all_pairs(texts, threshold, n, block):
    sets, roots = found(texts, threshold, n, block)
    assert roots == brute_force(texts, threshold, n)
    for one in range(min(4, len(texts))):
        a, b = shingles(texts[one], n), shingles(texts[-1], n)
        assert sets.similarity(one, len(texts) - 1) == (len(a & b) / len(a | b) if a and b else 0)


def test_planted_pairs_are_found_and_no_others():
    """Copies with words changed, of similarities around the threshold: all those that reach it, and no other."""
    draw = random.Random(5)
    words = [f"w{draw.randrange(20_000)}" for _ in range(300)]
    texts, right = [], set()
    for number in range(400):
        own = [draw.choice(words) + str(number % 7) for _ in range(draw.randrange(40, 120))]
        copy = list(own)
        for _ in range(draw.randrange(0, 5)):
            copy[draw.randrange(len(copy))] = "changed"
        texts += [" ".join(own), " ".join(copy)]
        a, b = shingles(texts[-2], 5), shingles(texts[-1], 5)
        right |= {2 * number + 1} if len(a & b) / len(a | b) >= 0.7 else set()
    order = list(range(len(texts)))
    draw.shuffle(order)
    _, roots = found([texts[at] for at in order], 0.7, 5)
    pairs = {tuple(sorted((order[at], order[root]))) for at, root in enumerate(roots) if root != at}
    assert pairs == {(at - 1, at) for at in right}
    assert 100 < len(right) < 350


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
def test_bands_miss_few_pairs_at_the_threshold(threshold):
    bands, rows = bands_for(threshold)
    assert bands * rows <= 128
    assert (1 - threshold**rows) ** bands <= 2e-3


@given(st.lists(st.text("aB \t.,'é\u0301İßﬁ字かx\uff19", max_size=30), max_size=5), st.integers(1, 4))
def test_words_and_grams_are_those_of_the_rule(texts, n):
    words = hash_words(texts)
    assert np.diff(words.bounds).tolist() == [len(words_of(text)) for text in texts]
    hash_of = {}
    for word, key in zip([word for text in texts for word in words_of(text)], words.hashes.tolist(), strict=True):
        assert hash_of.setdefault(word, key) == key
    assert len(set(hash_of.values())) == len(hash_of)
    keys = grams(words, n, short=False)
    spelled = [tuple(words_of(text)[at : at + n]) for text in texts for at in range(len(words_of(text)) - n + 1)]
    assert len(keys.keys) == len(spelled)
    assert len(set(keys.keys.tolist())) == len(set(spelled))
    key_of = dict(zip(spelled, keys.keys.tolist(), strict=True))
    assert [key_of[gram] for gram in spelled] == keys.keys.tolist()


def test_long_texts_are_cut_between_words(monkeypatch):
    text = "one two, tres\ncuatro   cinco " * 40
    whole = hash_words([text, "x", text])
    monkeypatch.setattr("lmkit.data.word_hashes.SEGMENT", 7)
    cut = hash_words([text, "x", text])
    assert all((a == b).all() for a, b in zip(whole, cut, strict=True))


@given(st.lists(st.lists(st.integers(0, 40) | st.integers(0, 2**64 - 1), max_size=30), max_size=8))
def test_a_set_of_keys(blocks):
    keys, seen = KeySet(4), set()
    for block in blocks:
        new = keys.add(np.array(block, dtype=np.uint64)).tolist()
        for key, answer in zip(block, new, strict=True):
            assert answer == (max(key, 1) not in seen)
            seen.add(max(key, 1))
    assert len(keys) == len(seen)
