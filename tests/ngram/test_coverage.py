"""What of a text another text has, against sets of n-grams."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.array_storage import Memory
from lmkit.ngram.corpus import count_corpus
from lmkit.ngram.coverage import coverage
from lmkit.tokenization.tokenizers import WordLearner

LINES = st.lists(st.lists(st.sampled_from("abcd"), max_size=5), min_size=1, max_size=5)


def counted(lines, order):
    text = b"".join(b"%s\n" % " ".join(line).encode() for line in lines)
    return count_corpus([text], WordLearner(), order, memory=1 << 40, spill=Memory)


def grams(lines, order):
    marked = (["<s>", *line, "</s>"] for line in lines)
    found = Counter(tuple(line[at : at + order]) for line in marked for at in range(len(line) - order + 1))
    return {gram: count for gram, count in found.items() if gram != ("<s>",)}


@given(seen=LINES, wanted=LINES)
def test_shares_are_those_of_sets(seen, wanted):
    for found in coverage(counted(seen, 3), counted(wanted, 3)):
        there, asked = grams(seen, found.order), grams(wanted, found.order)
        hit = asked.keys() & there.keys()
        assert found[1:] == (sum(asked.values()), sum(asked[gram] for gram in hit), len(asked), len(hit))


def test_record_has_the_shares():
    first, second = coverage(counted([["a", "b"]], 2), counted([["a", "c"]], 2))
    assert first.record()["coverage"] == pytest.approx(2 / 3)
    assert (second.record()["types_seen"], second.record()["types_coverage"]) == (1, pytest.approx(1 / 3))
