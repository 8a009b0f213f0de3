"""`linear_models.ngram_features`: the same n-grams as a plain count, hashed without collisions."""

import re
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from lmkit.linear_models import ngram_features
from lmkit.linear_models.ngram_features import NgramSettings, count_ngrams

TEXTS = st.lists(st.text(alphabet="ab c_1,ñ\u0301\n\t😀\0", max_size=12), min_size=1, max_size=6)


def counts(items, settings):
    """How often each key occurs in each item."""
    found = [{} for _ in items]
    for _, part in count_ngrams(items, settings):
        for text, key, count in zip(*part, strict=True):
            found[text][int(key)] = int(count)
    return found


def plain(text, settings):
    """The n-grams of a text by name, counted by hand."""
    words = re.findall(r"[\w\u0301]+", text)
    spaced = re.sub(r"\s+", " ", f" {text} ")
    found = Counter()
    for low, high, pieces, kind in ((*settings.words, words, "w"), (*settings.characters, spaced, "c")):
        for order in range(low, high + 1) if high else ():
            found.update((kind, *pieces[at : at + order]) for at in range(len(pieces) - order + 1))
    return found


@given(TEXTS)
def test_n_grams_are_those_of_a_plain_count(texts):
    settings = NgramSettings((1, 3), (2, 4))
    expected = [plain(text, settings) for text in texts]
    found = counts([(text,) for text in texts], settings)
    assert [sorted(one.values()) for one in found] == [sorted(one.values()) for one in expected]
    names = {}  # one key for each n-gram, whatever text it is in
    for text, own in zip(texts, found, strict=True):
        alone = counts([(text,)], settings)[0]
        assert alone == own
        names.setdefault(frozenset(own), text)
    assert len({key for own in found for key in own}) == len({name for own in expected for name in own})


def test_blocks_do_not_change_what_is_counted(monkeypatch):
    items = [("a b c",), ("",), ("c d a b",)] * 5
    whole = counts(items, NgramSettings((1, 2), (1, 3)))
    monkeypatch.setattr(ngram_features, "BLOCK", 6)
    assert counts(items, NgramSettings((1, 2), (1, 3))) == whole


def test_pairs_have_n_grams_of_each_side_and_of_both():
    first, second, turned = counts([("a b", "b c"), ("b c", "a b"), ("a b", "")], NgramSettings((1, 1)))
    assert (len(first), len(second), len(turned)) == (5, 5, 2)
    assert set(turned) < set(first)
    assert len(set(first) & set(second)) == 3  # b on either side and b on both


def test_few_bits_keep_keys_small():
    found = counts([("a b c d e",)], NgramSettings((1, 2), (1, 2), bits=4))[0]
    assert all(key & ((1 << 31) - 1) < 16 for key in found)
