"""Punctuation marks set apart from words, character by character."""

import re
import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.tokenization.punctuation import separate

WORDS = [
    "<unk>",
    "<s>",
    "</s>",
    "<unk>,",
    "a<s>",
    "<s>b",
    "<<s>",
    "<s>>",
    "don't",
    "¿qué?",
    "3.14",
    "—",
    "a\u00a0b",
    "😀!",
]


def is_mark(character):
    return character in string.punctuation or unicodedata.category(character)[0] == "P"


def plainly(text, *, remove):
    """Word by word."""
    parts = re.split("([ \t\r\n\0]+)", text)
    for place in range(0, len(parts), 2):
        if parts[place] not in ("<unk>", "<s>", "</s>"):
            between = " " if remove else None
            parts[place] = "".join((between or f" {c} ") if is_mark(c) else c for c in parts[place])
    return "".join(parts)


pieces = st.sampled_from([*WORDS, " ", " ", "\t", "\n", "\0"]) | st.characters(exclude_categories=["Cs"])


@pytest.mark.parametrize("remove", [False, True])
@given(st.lists(pieces, max_size=12).map("".join))
def test_marks_are_those_of_ascii_and_of_unicode(remove, text):
    assert separate(text.encode(), remove=remove).decode() == plainly(text, remove=remove)


def test_every_character_of_unicode():
    text = "".join(chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000)
    marks = sum(map(is_mark, text))
    assert separate(text.encode(), remove=True).decode() == plainly(text, remove=True)
    assert len(separate(text.encode()).decode()) == len(text) + 2 * marks


def test_bytes_that_are_no_text_stay():
    assert separate(b"\xff,\xc3.\xed\xa0\x80") == b"\xff , \xc3 . \xed\xa0\x80"
    assert separate(b"\xff,\xc3.", remove=True) == b"\xff \xc3 "


def test_names_of_unknown_words_and_sentence_marks_stay():
    assert separate(b"<s> an <unk>, a <unk> <b> </s>").split() == b"<s> an < unk > , a <unk> < b > </s>".split()
