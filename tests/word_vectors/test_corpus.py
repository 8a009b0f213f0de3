"""From text to a corpus: against a count by hand, in memory and spilled; phrases against their formula."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.errors import DataError
from lmkit.io.temp_storage import Disk
from lmkit.tokenization.normalization import Normalization
from lmkit.word_vectors.corpus import Stream, corpus_of, encode
from lmkit.word_vectors.phrases import join, scores

WORDS = ("a", "b", "c", "dd", "ñ", "<unk>", "</s>")
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=8), min_size=1, max_size=12)


def encoded(blocks, *, most=1 << 20):
    with Stream(most, Disk) as stream:
        return encode([block.encode() for block in blocks], stream)


def lines_of(corpus, vocabulary):
    """The words of each line of a corpus."""
    lines = [[]]
    for token in corpus.ids.tolist():
        if token == 2:
            lines.append([])
        else:
            lines[-1].append(vocabulary.piece(token).decode())
    assert not lines.pop()
    return lines


def by_hand(lines, minimum, most):
    """Kept words by falling count and the lines with no others."""
    counts = Counter(word for line in lines for word in line if word not in ("<unk>", "<s>", "</s>"))
    kept = [word for word, count in counts.most_common() if count >= minimum][:most]
    return kept, [[word for word in line if word in kept] for line in lines], counts


@given(lines=TEXTS, cut=st.integers(0, 11), minimum=st.integers(1, 4), most=st.sampled_from([None, 2, 3]))
@pytest.mark.parametrize("limit", [0, 10, 1 << 20])
def test_a_corpus_is_what_counting_by_hand_gives(lines, cut, minimum, most, limit):
    kept, expected, counts = by_hand(lines, minimum, most)
    blocks = ["".join(" ".join(line) + "\n" for line in part) for part in (lines[:cut], lines[cut:])]
    read = encoded([block for block in blocks if block], most=limit)
    assert read.stream.spilled == (len(read.stream) > limit)
    assert read.words == counts.total()
    if len(kept) < 2:
        with pytest.raises(DataError):
            corpus_of(read, minimum=minimum, most=most)
        return
    corpus, vocabulary = corpus_of(read, minimum=minimum, most=most)
    assert [piece.decode() for piece in vocabulary.pieces()] == ["<unk>", "<s>", "</s>", *kept]
    assert corpus.counts.tolist() == [0, 0, 0, *(counts[word] for word in kept)]
    assert corpus.ids.dtype == np.int32
    assert lines_of(corpus, vocabulary) == expected


@given(lines=TEXTS, cut=st.integers(0, 11), threads=st.integers(1, 3))
def test_a_text_is_read_in_normal_form(lines, cut, threads):
    normalization = Normalization(("nfkc", "lowercase"), "split")
    texts = ["".join(" ".join(line).upper() + ",\n" for line in part).encode() for part in (lines[:cut], lines[cut:])]
    with Stream(1 << 20, Disk) as stream, Stream(1 << 20, Disk) as other:
        ours = encode(texts, stream, threads, normalization)
        plain = encode(map(normalization.apply, texts), other)
        assert (ours.counts.tolist(), ours.learner.dropped) == (plain.counts.tolist(), plain.learner.dropped)
        assert ours.stream.whole().tolist() == plain.stream.whole().tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text is empty"),
        ("\n \n", "the text is empty"),
        ("one\n", "one word, 'one'"),
        ("a b b\nc\n", "only 0 of 3 words seen 5 times or more; the most frequent, 'b', has a count of 2"),
        ("b b b b b a\n", "only 1 of 2 words seen 5 times or more; the most frequent, 'b', has a count of 5"),
    ],
)
def test_too_few_words_are_told(text, message):
    with pytest.raises(DataError, match=message):
        corpus_of(encoded([text]))


def joined_by_hand(lines, threshold, minimum):
    words = Counter(word for line in lines for word in line)
    pairs = Counter(pair for line in lines for pair in pairwise(line))
    total = words.total()

    def is_phrase(a, b):
        often = min(words[a], words[b]) >= minimum
        return often and (pairs[a, b] - minimum) / (words[a] * words[b]) * total > threshold

    result = []
    for line in lines:
        rest, out = list(line), []
        while rest:
            if len(rest) > 1 and is_phrase(*rest[:2]):
                out.append("_".join(rest[:2]))
                rest = rest[2:]
            else:
                out.append(rest.pop(0))
        result.append(out)
    return result


PLAIN = st.lists(st.lists(st.sampled_from(["a", "b", "c", "a_b"]), max_size=9), min_size=1, max_size=12)


@given(
    lines=PLAIN, threshold=st.sampled_from([0.0, 0.5, 1.0, 2.0]), minimum=st.integers(1, 3), passes=st.integers(1, 2)
)
@pytest.mark.parametrize("limit", [0, 1 << 20])
def test_phrases_are_those_of_the_formula(lines, threshold, minimum, passes, limit):
    """A phrase spelled like a word of the text is that word; of overlapping ones the first counts."""
    text = "".join(" ".join(line) + "\n" for line in lines)
    read = join(encoded([text], most=limit), threshold=threshold, minimum=minimum, passes=passes)
    for _ in range(passes):
        lines = joined_by_hand(lines, threshold, minimum)
    kept, expected, _ = by_hand(lines, 1, None)
    if len(kept) < 2:
        return
    corpus, vocabulary = corpus_of(read, minimum=1)
    assert lines_of(corpus, vocabulary) == expected
    assert {vocabulary.piece(token).decode() for token in range(3, len(vocabulary))} == set(kept)


def test_the_score_is_that_of_word2phrase():
    """(12 - 5) / (20 * 14) * 1000 = 25."""
    assert scores(np.array([12]), np.array([20]), np.array([14]), 1000, 5).tolist() == [25.0]
