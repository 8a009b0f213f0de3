"""`metrics.span_extraction`: seqeval's strict schemes and conlleval's spans, on cases that both document."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.errors import DataError
from lmkit.metrics.span_extraction import BIO, BIOES, Span, labels_of, lenient_spans, scheme_of, strict_spans

CASES = [  # labels, scheme, strict, lenient
    ("B-X I-X O", BIO, [("X", 0, 2)], [("X", 0, 2)]),
    ("O I-X I-X B-X", BIO, [("X", 3, 4)], [("X", 1, 3), ("X", 3, 4)]),
    ("B-X I-Y I-Y", BIO, [("X", 0, 1)], [("X", 0, 1), ("Y", 1, 3)]),
    ("B-X B-X I-X", BIO, [("X", 0, 1), ("X", 1, 3)], [("X", 0, 1), ("X", 1, 3)]),
    ("S-X B-X I-X E-X", BIOES, [("X", 0, 1), ("X", 1, 4)], [("X", 0, 1), ("X", 1, 4)]),
    ("B-X I-X O E-X", BIOES, [], [("X", 0, 2), ("X", 3, 4)]),
    ("B-X S-Y E-Y", BIOES, [("Y", 1, 2)], [("X", 0, 1), ("Y", 1, 2), ("Y", 2, 3)]),
    ("B-X E-Y S-X", BIOES, [("X", 2, 3)], [("X", 0, 1), ("Y", 1, 2), ("X", 2, 3)]),
    ("B-a-b I-a-b", BIO, [("a-b", 0, 2)], [("a-b", 0, 2)]),
]


@pytest.mark.parametrize(("labels", "scheme", "strict", "lenient"), CASES)
def test_documented_cases(labels, scheme, strict, lenient):
    assert strict_spans(labels.split(), scheme) == strict
    assert lenient_spans(labels.split(), scheme) == lenient


@given(st.lists(st.tuples(st.sampled_from(["X", "Y"]), st.integers(0, 2), st.integers(1, 3)), max_size=5))
def test_labels_of_spans_give_the_spans_back(parts):
    spans, at = [], 0
    for kind, gap, length in parts:
        spans.append(Span(kind, at + gap, at + gap + length))
        at += gap + length
    for scheme in (BIO, BIOES):
        labels = labels_of(spans, at + 1, scheme)
        assert strict_spans(labels, scheme) == spans == lenient_spans(labels, scheme)
        if scheme == BIOES and spans:
            assert scheme_of([labels]) == BIOES


@given(st.lists(st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"]), max_size=8))
def test_strict_spans_are_the_lenient_ones_that_begin_with_b(labels):
    begun = [span for span in lenient_spans(labels, BIO) if labels[span.start][0] == "B"]
    assert strict_spans(labels, BIO) == begun


def test_labels_of_no_scheme():
    for label, scheme in (("X", BIO), ("E-X", BIO), ("B-", BIO), ("L-X", BIOES)):
        with pytest.raises(DataError, match="does not belong"):
            strict_spans([label], scheme)
