"""Substring duplicates against the comparison of all places."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkit.array_storage import Memory
from lmkit.data import repeated_substrings
from lmkit.data.repeated_substrings import SubstringIndex, without
from lmkit.data.word_hashes import grams

TEXTS = st.lists(
    st.lists(st.sampled_from(["a", "b", "Straße", "É", "e\u0301", "."]), max_size=14).map(" ".join), max_size=8
)


def words_of(text):
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return re.findall(r"\w+", text)


def uncut(texts, n):
    """The words of each text that are in no n-gram that is there before."""
    words, kept = [words_of(text) for text in texts], []
    for text, own in enumerate(words):
        cut = set()
        for at in range(len(own) - n + 1):
            gram = own[at : at + n]
            earlier = [(other, begin) for other in range(text) for begin in range(len(words[other]) - n + 1)]
            earlier += [(text, begin) for begin in range(at - n + 1)]
            if any(words[other][begin : begin + n] == gram for other, begin in earlier):
                cut |= set(range(at, at + n))
        kept.append([word for at, word in enumerate(own) if at not in cut])
    return kept


def index_of(texts, n, block=3):
    index = SubstringIndex(n, Memory())
    for begin in range(0, len(texts), block):
        index.add([text.encode() for text in texts[begin : begin + block]])
    index.finish()
    return index


def cut_texts(texts, repeats):
    cuts = {}
    for repeat in repeats:
        cuts.setdefault(repeat.text, []).append(repeat.cut)
    return [without(text, cuts[at]) if at in cuts else text for at, text in enumerate(texts)]


@given(TEXTS, st.integers(2, 4), st.integers(1, 4))
@settings(max_examples=40)
def test_what_is_cut_is_what_a_comparison_of_all_places_finds(texts, n, block):
    index = index_of(texts, n, block)
    repeats = [each for first in range(0, len(texts), 2) for each in index.repeats(first, min(first + 2, len(texts)))]
    assert [words_of(text) for text in cut_texts(texts, repeats)] == uncut(texts, n)
    for repeat in repeats:
        copy, first = texts[repeat.text][slice(*repeat.span)], texts[repeat.first][slice(*repeat.first_span)]
        assert words_of(copy) == words_of(first)
        assert len(words_of(copy)) == repeat.words >= n


def test_equal_hashes_of_different_words_cut_nothing(monkeypatch):
    def weak(words, n, *, short):
        found = grams(words, n, short=short)
        return found._replace(keys=found.keys % 3)

    monkeypatch.setattr(repeated_substrings, "grams", weak)
    texts = ["a b c d", "e f g h", "i j k l", "a b c d"]
    assert cut_texts(texts, index_of(texts, 3).repeats(0, 4)) in ([*texts[:3], ""], texts)


@pytest.mark.parametrize(
    ("text", "left"),
    [("Hello. A b, c! Bye.", "Hello. Bye."), ("Hello.\n\n(a b c)\n\nBye.", "Hello.\n\nBye."),
     ("Hello.\n\na b c.\n", "Hello."), ("x-a b c-y", "x--y"), ('"a b c"', ""),
     ("x-a b c", "x-"), ("\u5b57a b c\u5b57", "\u5b57 \u5b57"), ("a b c \u201cbye\u201d", "\u201cbye\u201d")],
)  # fmt: skip
def test_punctuation_goes_with_what_is_cut(text, left):
    texts = ["a b c", text]
    assert cut_texts(texts, index_of(texts, 3).repeats(0, 2)) == ["a b c", left]
