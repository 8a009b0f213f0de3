"""Span corruption: the example of the paper, the rate, the lengths, and texts that come back byte for byte."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkit.data.span_corruption import SpanCorruption, Spans, corrupted, random_spans, restored, sentinel
from lmkit.data.token_places import characters, words
from lmkit.errors import CheckpointError, DataError
from lmkit.tokenization.tokenizers import from_list

PARTY = "Thank you for inviting me to your party last week"
NAMES = st.sampled_from(["<extra_id_0>", "<extra_id_7>", r"<\extra_id_1>", r"<\\extra_id_0>", "<extra_id_", "0>", " "])
TEXTS = st.lists(NAMES | st.text(max_size=8)).map("".join)


def at(*borders):
    """Spans that begin and end at these tokens."""
    return Spans(np.array(borders[::2]), np.array(borders[1::2]))


def test_the_example_of_the_paper():
    source, target = corrupted(PARTY, *words(PARTY), at(2, 4, 8, 9))
    assert source == "Thank you <extra_id_0> me to your party <extra_id_1> week"
    assert target == "<extra_id_0> for inviting <extra_id_1> last <extra_id_2>"
    assert restored(source, target) == PARTY


def test_ids_have_the_same_layout():
    ids = np.arange(100, 110)
    sentinels = np.array([9, 8, 7, 6], dtype=np.int32)
    corruption = SpanCorruption(sentinels, rate=0.3, mean_length=1.5)
    inputs, targets = corruption.apply(ids, np.random.default_rng(1))
    spans = random_spans(10, np.random.default_rng(1), 0.3, 1.5, 3)
    begin, end = (border.tolist() for border in spans)
    assert inputs.tolist() == [*ids[: begin[0]], 9, *ids[end[0] : begin[1]], 8, *ids[end[1] :]]
    assert targets.tolist() == [9, *ids[begin[0] : end[0]], 8, *ids[begin[1] : end[1]], 7]
    few = SpanCorruption(sentinels[:2], rate=0.5).apply(np.arange(100, 200), np.random.default_rng(0))
    assert (len(few.inputs), few.targets[[0, -1]].tolist()) == (51, [9, 8])  # one span of half the text


@given(st.integers(0, 3000), st.floats(0, 1), st.floats(1, 20), st.integers(0, 9))
def test_the_rate_is_within_a_token(size, rate, mean_length, seed):
    spans = random_spans(size, np.random.default_rng(seed), rate, mean_length)
    assert abs(spans.tokens - size * rate) <= 1
    assert (spans.begins < spans.ends).all()
    assert (spans.ends[:-1] < spans.begins[1:]).all()
    wanted = max(1, round(spans.tokens / mean_length))
    assert len(spans.begins) == min(wanted, spans.tokens, size - spans.tokens + 1)


def test_all_tokens_are_removed_alike():
    removed = np.zeros(10)
    for seed in range(2000):
        spans = random_spans(10, np.random.default_rng(seed), 0.3, 1.5)
        for begin, end in zip(*spans, strict=True):
            removed[begin:end] += 1
    assert removed.sum() == 6_000
    # two runs of one and two tokens: at the edges there are fewer ways to lie there
    lengths, gaps = [(1, 2), (2, 1)], [(a, b, 7 - a - b) for a in range(8) for b in range(1, 8 - a)]
    places = np.zeros(10)
    for a, b in lengths:
        for before, between, _ in gaps:
            places[before : before + a] += 1
            places[before + a + between : before + a + between + b] += 1
    expected = places / (len(lengths) * len(gaps)) * 2000
    assert (((removed - expected) ** 2 / expected).sum()) < 30  # chi^2 with about 9 degrees of freedom


def law(text, seed, cut, rate, mean_length):
    places = cut(text)
    spans = random_spans(len(places.starts), np.random.default_rng(seed), rate, mean_length)
    source, target = corrupted(text, *places, spans)
    assert restored(source, target) == text
    assert source.count("<extra_id_") >= len(spans.begins)
    assert target.endswith(sentinel(len(spans.begins)))


CASES = given(TEXTS, st.integers(0, 1 << 32), st.sampled_from([words, characters]), st.floats(0, 1), st.floats(1, 5))


@CASES
def test_texts_come_back(text, seed, cut, rate, mean_length):
    law(text, seed, cut, rate, mean_length)


@pytest.mark.slow
@settings(max_examples=10_000)
@CASES
def test_ten_thousand_texts_come_back(text, seed, cut, rate, mean_length):
    law(text, seed, cut, rate, mean_length)


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [("a <extra_id_0>", "<extra_id_0> b", "the target does not have"), ("a", "b", "the target does not have"),
     ("a <extra_id_0>", "<extra_id_1> b <extra_id_0>", "the target does not have"),
     ("a", "<extra_id_0> b <extra_id_1>", "the input does not have"),
     ("a <extra_id_0>", "<extra_id_0>", "the input has sentinels"),
     ("a <extra_id_0>", "<extra_id_0>b <extra_id_1>", "no spaces around")],
)  # fmt: skip
def test_a_target_of_another_input(source, target, said):
    with pytest.raises(DataError, match=said):
        restored(source, target)


def test_a_tokenizer_without_sentinels():
    with pytest.raises(CheckpointError, match="no sentinels"):
        SpanCorruption.of(from_list("char", [b"a"]))
