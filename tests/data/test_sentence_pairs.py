"""Pairs of sentences: half follow each other, the others never do, none crosses a document's border."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.data import sentence_pairs
from lmkit.data.sentence_pairs import cut_pair, in_documents


def pairs(lines, seed=0):
    generator = np.random.default_rng(seed)
    return [
        (part.texts[pair.first], part.texts[pair.second], pair.follows, part, pair)
        for part in in_documents(lines)
        for pair in part.pairs(generator)
    ]


BOOK = [line for chapter in range(100) for line in [*(b"%d.%d" % (chapter, one) for one in range(101)), b""]]


def test_half_of_the_pairs_are_contiguous_in_their_document():
    found = pairs(BOOK)
    assert len(found) == 100 * 100  # each sentence that another follows, once
    assert abs(sum(follows for _, _, follows, *_ in found) / 1e4 - 0.5) < 4 * 0.5 / 100
    for first, second, follows, *_ in found:
        (chapter, number), (other, place) = (map(int, text.split(b".")) for text in (first, second))
        if follows:
            assert (other, place) == (chapter, number + 1)
        else:
            assert other != chapter


def test_parts_lose_no_pair_and_hold_few_sentences(monkeypatch):
    monkeypatch.setattr(sentence_pairs, "SENTENCES", 7)
    found = pairs(BOOK[:1000])
    assert [first for first, *_ in found] == [first for first, *_ in pairs(BOOK[:1000], 1)]
    assert len(found) == sum(bool(one) and bool(two) for one, two in pairwise(BOOK[:1000]))
    assert max(len(part.texts) for part in in_documents(BOOK)) == 7
    monkeypatch.setattr(sentence_pairs, "BYTES", 10)
    assert max(len(part.texts) for part in in_documents(BOOK)) < 7


@given(st.lists(st.sampled_from([b"a", b"b", b"c", b"", b" "]), max_size=30), st.integers(0, 3))
def test_a_random_sentence_is_never_the_true_next_one(lines, seed):
    for _, second, follows, part, pair in pairs(lines, seed):
        assert part.documents[pair.first] == part.documents[pair.first + 1]
        assert (pair.second == pair.first + 1) == follows
        if not follows:
            assert second != part.texts[pair.first + 1]
            several = len(set(part.documents)) > 1
            assert not several or part.documents[pair.second] != part.documents[pair.first]


@pytest.mark.parametrize("lines", [[], [b""], [b"a"], [b"a", b"", b"b"]])
def test_no_pairs(lines):
    assert pairs(lines) == []


def test_where_nothing_else_can_be_drawn_all_pairs_are_contiguous():
    assert [follows for _, _, follows, *_ in pairs([b"a", b"b"] * 1)] == [True]


def test_a_pair_is_cut_where_it_is_longest():
    def cut(first, second, most):
        return tuple(len(one) for one in cut_pair(np.arange(first), np.arange(second), most))

    assert [cut(3, 4, 10), cut(9, 2, 8), cut(2, 9, 8), cut(9, 9, 8), cut(9, 9, 7)] == [
        (3, 4), (6, 2), (2, 6), (4, 4), (4, 3),
    ]  # fmt: skip
