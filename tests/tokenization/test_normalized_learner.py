"""A learner that normalises learns what another learns of the text in normal form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.array_storage import Memory
from lmkit.ngram.corpus import count_corpus
from lmkit.tokenization.normalization import FORMS, PUNCTUATION, Normalization
from lmkit.tokenization.normalized_learner import NormalizedLearner
from lmkit.tokenization.tokenizers import Fixed, from_list, learner

AMPLE = 1 << 40
words = st.sampled_from(["The", "the", "THE,", "Éa", "E\u0301a", "ﬁ", "<s>", "<unk>", "a-b", "«a»", "\u00a0"])
blocks = st.lists(st.lists(st.lists(words, max_size=5), min_size=1, max_size=3), max_size=4)
normalizations = st.builds(
    Normalization, st.lists(st.sampled_from(FORMS), max_size=2).map(tuple), st.sampled_from(PUNCTUATION)
)


def encoded(several):
    return [b"".join(" ".join(line).encode() + b"\n" for line in lines) for lines in several]


@pytest.mark.parametrize("kind", ["word", "char", "byte"])
@given(several=blocks, normalization=normalizations, threads=st.integers(1, 3))
def test_counts_are_those_of_the_normal_form(kind, several, normalization, threads):
    texts = encoded(several)
    one = NormalizedLearner(learner(kind), normalization)
    done = count_corpus(texts, one, 3, memory=AMPLE, spill=Memory, threads=threads)
    normal = map(normalization.apply, texts)
    plain = count_corpus(normal, learner(kind), 3, memory=AMPLE, spill=Memory)
    for level, expected in zip(done.counts.levels, plain.counts.levels, strict=True):
        assert (level.key.tolist(), level.count.tolist()) == (expected.key.tolist(), expected.count.tolist())
    assert done.dropped == plain.dropped
    assert done.tokenizer.digest == plain.tokenizer.normalising(normalization).digest


def test_bytes_take_any_bytes_and_words_do_not():
    normalization = Normalization(("lowercase",))
    assert NormalizedLearner(learner("byte"), normalization).accepts_any_bytes
    assert not NormalizedLearner(learner("word"), normalization).accepts_any_bytes


def test_a_tokenizer_that_is_given_normalises():
    one = NormalizedLearner(Fixed(from_list("word", [b"b"])), Normalization(("lowercase",)))
    ids, ends = one.learn(b"B a\n", one.scan(b"B a\n"))
    assert (ids.tolist(), ends.tolist(), one.dropped) == ([3, 0], [2], 0)
    assert one.tokenizer().encode(b"B").tolist() == [3]
