"""Lines of judged pairs in all their forms, and what a space makes of them."""

import math

import numpy as np
import pytest
from test_analogies import space_of

from lmkit.word_vectors import word_similarity
from lmkit.word_vectors.test_sets import kind_of
from lmkit.word_vectors.word_similarity import Pair


def test_pairs_are_judged_by_the_cosines_of_known_words():
    space = space_of([b"a", b"b", b"c", b"B"], [[1, 0], [1, 1], [0, 1], [5, -5]])
    pairs = [Pair(b"a", b"b", 5), Pair(b"a", b"c", 1), Pair(b"b", b"b", 9), Pair(b"a", b"none", 7)]
    found = word_similarity.judge(space, pairs)
    assert found[1:] == (pytest.approx(np.corrcoef([5, 1, 9], [math.sqrt(0.5), 0, 1])[0, 1]), 3, 1, ())
    assert found.spearman == 1
    assert word_similarity.judge(space, [Pair(b"a", b"B", 1), Pair(b"C", b"b", 2)]).pairs == 2
    assert word_similarity.judge(space, [Pair(b"a", b"B", 1), Pair(b"C", b"b", 2)], fold=False) == (
        None,
        None,
        1,
        1,
        (),
    )
    assert word_similarity.judge(space, pairs, limit=2) == (pytest.approx(1), pytest.approx(1), 2, 2, ())


@pytest.mark.parametrize(
    "line", [b"old\tnew\t1.58", b"old,new,1.58", b"old new 1.58", b"  old   new  1.58 \r", b"old\tnew\tA\t1.58\t7"]
)
def test_a_pair_may_be_written_in_several_ways(line):
    assert word_similarity.parse(line) == Pair(b"old", b"new", 1.58)


def test_words_with_spaces_have_tabs_between():
    assert word_similarity.parse(b"New York\tLos Angeles\t3") == Pair(b"New York", b"Los Angeles", 3)


@pytest.mark.parametrize("line", [b"old new", b"old new score", b"old\tnew\tnan", b"old new 1_0", b"\tnew\t1"])
def test_a_line_without_a_pair_is_refused(line):
    with pytest.raises(ValueError, match="two words and a number"):
        word_similarity.parse(line)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b": family\na b c d", "analogies"),
        (b"// 2013\n\n: family", "analogies"),
        (b"a b c d\ne f g h", "analogies"),
        (b"# comment\nWord 1\tWord 2\tHuman (mean)\nlove\tsex\t6.77", "similarity"),
        (b"word1 word2 POS score\nold new A 1.58", "similarity"),
        (b"a,b,1", "similarity"),
        (b"", None),
        (b"a text that is neither\nof these", None),
    ],
)
def test_the_first_lines_tell_what_a_file_has(text, kind):
    assert kind_of(text.split(b"\n")) == kind
