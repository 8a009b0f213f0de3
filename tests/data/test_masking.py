"""Masking: the shares that Devlin et al. (2019) give, special tokens never, whole words together."""

import numpy as np
import pytest

from lmkit.data.encoder_sequences import EncoderFormat
from lmkit.data.masking import IGNORED, Masking
from lmkit.errors import CheckpointError, DataError
from lmkit.tokenization.huggingface_tokenizer import HuggingFaceTokenizer
from lmkit.tokenization.tokenizers import from_list
from lmkit.tokenization.wordpiece_trainer import NAMES, tokenizer_json

PIECES = [*"abcdefgh", *(f"##{letter}" for letter in "abcdefgh")]
TOKENS = 100_000


def wordpiece(pieces=PIECES):
    return HuggingFaceTokenizer.from_json(tokenizer_json(NAMES, pieces, ()), {})


def masking(rate=0.15, *, whole_words=False, tokenizer=None):
    tokenizer = tokenizer or wordpiece()
    return Masking.of(tokenizer, EncoderFormat.of(tokenizer), rate, whole_words=whole_words)


def text(size=TOKENS, seed=0):
    ids = np.random.default_rng(seed).integers(5, 5 + len(PIECES), size)
    ids[::50] = 2
    ids[49::50] = 3
    return ids


def within(count, total, share):
    """Whether a count is within 4 standard deviations of a share."""
    return abs(count / total - share) < 4 * np.sqrt(share * (1 - share) / total)


@pytest.mark.parametrize("whole_words", [False, True])
def test_shares_are_those_of_the_paper(whole_words):
    ids = text()
    inputs, labels = masking(whole_words=whole_words).apply(ids, np.random.default_rng(7))
    selected, ordinary = labels != IGNORED, ids >= 5
    spread = 2.0 if whole_words else 1.0  # tokens of a word are selected together
    assert abs(selected.sum() / ordinary.sum() - 0.15) < spread * 4 * np.sqrt(0.15 * 0.85 / ordinary.sum())
    assert not selected[~ordinary].any()
    assert (labels[selected] == ids[selected]).all()
    assert (inputs[~selected] == ids[~selected]).all()
    total, there = selected.sum(), inputs[selected]
    masked, same = there == 4, there == ids[selected]
    assert within(masked.sum(), total, 0.8)
    random = ~masked & ~same
    assert within(same.sum(), total, 0.1 + 0.1 / 16)  # a random token may be the true one
    assert within(random.sum(), total, 0.1 * 15 / 16)
    assert (there[random] >= 5).all()
    assert all(within(count, random.sum(), 1 / 16) for count in np.bincount(there[random], minlength=21)[5:])


def test_selections_are_independent():
    labels = masking(0.5).apply(np.full(TOKENS, 6), np.random.default_rng(0)).labels != IGNORED
    assert within((labels[1:] & labels[:-1]).sum(), TOKENS - 1, 0.25)


def test_the_generator_alone_says_what_is_masked():
    ids = text(1000)
    first, again, other = (masking().apply(ids, np.random.default_rng(seed)) for seed in ([0, 1], [0, 1], [0, 2]))
    assert (first.inputs == again.inputs).all()
    assert (first.labels == again.labels).all()
    assert (first.labels != other.labels).any()
    assert (ids == text(1000)).all()


def test_whole_words_are_selected_together():
    ids = text(10_000)
    labels = masking(0.3, whole_words=True).apply(ids, np.random.default_rng(1)).labels != IGNORED
    continues = ids >= 5 + 8
    continues[1:] &= ids[:-1] >= 5
    assert (labels[1:] == labels[:-1])[continues[1:]].all()
    assert 0 < labels.mean() < 1
    assert len(masking(whole_words=True).apply(ids[:0], np.random.default_rng(1)).labels) == 0


def test_rates_of_none_and_all():
    ids = text(1000)
    assert (masking(0.0).apply(ids, np.random.default_rng(0)).labels == IGNORED).all()
    assert ((masking(1.0).apply(ids, np.random.default_rng(0)).labels != IGNORED) == (ids >= 5)).all()


def test_tokenizers_that_cannot_be_masked():
    words = from_list("word", [b"a"])
    with pytest.raises(CheckpointError, match="no mask token"):
        masking(tokenizer=words)
    with pytest.raises(CheckpointError, match="special tokens only"):
        masking(tokenizer=wordpiece([]))
    letters = from_list("char", [b"a"])
    with pytest.raises(DataError, match="--whole-word needs"):
        Masking.of(letters, EncoderFormat(1, 2, 0, None), whole_words=True)
    assert Masking.of(words, EncoderFormat(1, 2, 0, None), whole_words=True).word_begins.all()
