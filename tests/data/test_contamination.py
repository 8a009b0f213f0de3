"""Overlap with test items against the comparison of all n-grams."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.data.contamination import ItemIndex
from lmkit.data.word_hashes import normalized

TEXT = st.lists(st.sampled_from(["a", "B", "Straße", "é", "e\u0301", "ﬁn", "x", "."]), max_size=12).map(" ".join)


def words_of(text):
    return [word for word in normalized(text).split() if word != "."]


def runs(words, n):
    return {tuple(words[at : at + n]): at for at in range(len(words) - n + 1)}


@given(st.lists(TEXT, max_size=4), st.lists(TEXT, max_size=4), st.integers(1, 4), st.integers(1, 4))
def test_matches_are_those_of_all_n_grams(items, texts, n, least):
    found = {(match.text, match.item): match for match in ItemIndex(items, n, least, 100).matches(texts)}
    for a, text in enumerate(texts):
        for b, item in enumerate(items):
            own, theirs = words_of(text), words_of(item)
            size = n if len(theirs) >= n else len(theirs)
            looked_for = len(theirs) >= min(n, least) and size
            shared = set(runs(own, size)) & set(runs(theirs, size)) if looked_for else set()
            assert ((a, b) in found) == bool(shared)
            if shared:
                covered = {
                    at + k
                    for at in range(len(theirs) - size + 1)
                    if tuple(theirs[at : at + size]) in shared
                    for k in range(size)
                }
                match = found[a, b]
                assert match.overlap == len(covered) / len(theirs)
                words = [word for begin, end in match.item_spans for word in words_of(item[begin:end])]
                assert words == [theirs[at] for at in sorted(covered)]
                assert [word for begin, end in match.spans for word in words_of(text[begin:end])]


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_spans_are_characters_of_the_text_as_it_is(form):
    item = "El pingüino comió ﬁdeos en la STRASSE de 한국"
    text = unicodedata.normalize(form, "¿¡Ñandú!? ") + unicodedata.normalize(
        form, "el PINGÜINO, comió fideos; en la Straße de 한국."
    )
    (match,) = ItemIndex([item], 8, 8, 10).matches([text])
    assert match.overlap == 1
    ((begin, end),) = match.spans
    assert unicodedata.normalize("NFC", text[begin:end]).startswith("el PING")
    assert unicodedata.normalize("NFC", text[begin:end]).endswith("한국")
    assert match.item_spans == [[0, len(item)]]


def test_boilerplate_is_listed_apart():
    items = [f"answer the following question with yes or no number {n}" for n in range(5)]
    index = ItemIndex(items, 8, 8, 4)
    assert sorted(index.boilerplate) == [
        ("answer the following question with yes or no", 5), ("the following question with yes or no number", 5),
    ]  # fmt: skip
    assert list(index.matches(["Answer the following question with yes or no number"])) == []
    assert [match.item for match in index.matches([items[3]])] == [3]
