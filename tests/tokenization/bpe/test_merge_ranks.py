"""Merges, against a program that merges word by word."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmkit.tokenization.bpe import merge_ranks
from lmkit.tokenization.bpe.merge_ranks import Merges


def rows(pairs):
    return np.array(pairs, dtype=np.int32).reshape(-1, 3)


def applied(merges, words, *chance):
    """Merged words, one by one."""
    symbols = np.array([symbol for word in words for symbol in word], dtype=np.int32)
    merged, lengths = merges.apply(symbols, np.array([len(word) for word in words], dtype=np.int64), *chance)
    assert lengths.sum() == len(merged)
    return [part.tolist() for part in np.split(merged, np.cumsum(lengths)[:-1])] if words else []


def one_by_one(word, ranks):
    """The pair of lowest rank, the leftmost of several, until no pair has one."""
    word = list(word)
    while found := [(*ranks[pair], place) for place, pair in enumerate(pairwise(word)) if pair in ranks]:
        _, merged, place = min(found, key=lambda each: (each[0], each[2]))
        word[place : place + 2] = [merged]
    return word


def spelled(word, pairs):
    """The first symbols that a merged word is made of."""
    parts = {merged: (left, right) for left, right, merged in reversed(pairs)}
    stack, symbols = list(reversed(word)), []
    while stack:
        symbol = stack.pop()
        if symbol in parts:
            stack += reversed(parts[symbol])
        else:
            symbols.append(symbol)
    return symbols


@st.composite
def merge_lists(draw):
    """Merges over the symbols 0 to 3, each of earlier ones; in a trainer's order or any other."""
    pairs, seen, symbols = [], set(), 4
    for left, right in draw(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), max_size=12)):
        pair = left % symbols, right % symbols
        if pair not in seen:
            seen.add(pair)
            pairs.append((*pair, symbols))
            symbols += 1
    return draw(st.permutations(pairs)) if draw(st.booleans()) else pairs


words = st.lists(st.lists(st.integers(0, 3), max_size=20), max_size=6)
every_length = pytest.mark.parametrize("short", [merge_ranks.SHORT, 0])


@every_length
@settings(max_examples=75)
@given(merge_lists(), words)
@example([(0, 0, 4), (4, 4, 5)], [[0] * length for length in range(12)])
@example([(4, 1, 5), (0, 0, 4)], [[0, 0, 0, 1], [0, 0, 1]])
def test_merges_are_made_one_after_another(short, pairs, words):
    ranks = {(left, right): (rank, merged) for rank, (left, right, merged) in enumerate(pairs)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge_ranks, "SHORT", short)
        assert applied(Merges(rows(pairs)), words) == [one_by_one(word, ranks) for word in words]


@every_length
def test_of_overlapping_pairs_the_left_one_is_merged(short, monkeypatch):
    monkeypatch.setattr(merge_ranks, "SHORT", short)
    merges = Merges(rows([(0, 0, 1)]))
    assert applied(merges, [[0] * 4, [0] * 5, [0, 0, 2, 0, 0, 0], [0]]) == [[1, 1], [1, 1, 0], [1, 2, 1, 0], [0]]
    twice = Merges(rows([(0, 0, 1), (1, 1, 2)]))
    assert applied(twice, [[0] * 4, [0] * 7]) == [[2], [2, 1, 0]]


@every_length
def test_nothing_to_merge(short, monkeypatch):
    monkeypatch.setattr(merge_ranks, "SHORT", short)
    for merges in (Merges(rows([])), Merges(rows([(0, 1, 2)]))):
        assert applied(merges, []) == []
        assert applied(merges, [[], [1, 0], [], [3], []]) == [[], [1, 0], [], [3], []]


def test_of_a_pair_listed_twice_the_first_row_counts():
    assert applied(Merges(rows([(0, 1, 3), (0, 1, 4)])), [[0, 1]]) == [[3]]


def test_what_a_symbol_is_merged_from():
    merges = Merges(rows([(0, 1, 4), (4, 2, 5), (0, 3, 5)]))
    assert merges.parts(7).tolist() == [[-1, -1]] * 4 + [[0, 1], [4, 2], [-1, -1]]
    assert len(merges) == 3


# Dropout.


def streams(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2**63, count).astype(np.uint64)


@settings(max_examples=30)
@given(merge_lists(), words, st.floats(0, 1), st.integers(0, 5))
def test_dropout_keeps_the_spelling_and_repeats_itself(pairs, words, dropout, seed):
    merges, chance = Merges(rows(pairs)), streams(len(words), seed)
    merged = applied(merges, words, dropout, chance)
    assert [spelled(word, pairs) for word in merged] == words
    assert applied(merges, words, dropout, chance) == merged
    order = list(reversed(range(len(words))))
    backwards = applied(merges, [words[index] for index in order], dropout, chance[order])
    assert backwards == [merged[index] for index in order], "chance belongs to the word"


@settings(max_examples=30)
@given(merge_lists(), words)
def test_dropout_of_none_and_of_all(pairs, words):
    merges, chance = Merges(rows(pairs)), streams(len(words))
    assert applied(merges, words, 0.0, chance) == applied(merges, words)
    assert applied(merges, words, 1.0, chance) == words


def test_dropout_leaves_out_its_share():
    count = 20_000
    merged = applied(Merges(rows([(0, 1, 2)])), [[0, 1]] * count, 0.3, streams(count))
    left_out = sum(word == [0, 1] for word in merged)
    assert abs(left_out - 0.3 * count) < 5 * (count * 0.3 * 0.7) ** 0.5
