"""Pieces as people read them, and back to text."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from toy_tokenizers import CHAR, PROSE, telling_bytes, telling_text, toy, trained

from lmkit.errors import DataError
from lmkit.tokenization.bpe.piece_markers import Display, text_of
from lmkit.tokenization.bpe.scheme import MARKERS, Scheme

FORGED = ["##", "#", "@@", "@@@", "@", "</w>", "Ġ", "▁", "<0xE2>", "<0x", "<", "0x41>", "</w", ">", "<s>", "Ċ", "č"]
MIXED = PROSE[:20_000] + " ".join([*FORGED, "a@@@", "▁▁", "####", "a##b</w>c"] * 30).encode() + b"\n"
BYTES = {name: trained(MIXED, 300, Scheme(pattern=name), [b"[M]"]) for name in ("gpt2", "gpt4", "whitespace", "none")}
TEXT = "\n".join(["low lower newest widest", *FORGED, "@@@@ #### ñ▁Ġ", "a\u00a0b\x0bc"] * 3).encode() + b"\n"
WORDS = trained(TEXT, 20, CHAR)
every_marker = pytest.mark.parametrize("marker", MARKERS)
every_pattern = pytest.mark.parametrize("pattern", BYTES)


def displayed(tokenizer, block, marker):
    """The lines of pieces of whole lines."""
    display = Display(tokenizer.vocabulary.pieces(), tokenizer.names.values(), marker, ends_words=tokenizer.ends_words)
    ids, ends = display.ids(*tokenizer.encode_block(block))
    return [
        b" ".join(display.strings[index] for index in ids[begin:end].tolist())
        for begin, end in zip([0, *ends], ends, strict=False)
    ]


# There and back.


@pytest.mark.few(1)
@every_pattern
@pytest.mark.parametrize("marker", ["Ġ", "▁"])
@settings(max_examples=50)
@given(st.one_of(st.lists(st.sampled_from([*FORGED, " "])).map(lambda parts: "".join(parts).encode()), telling_bytes))
@example(bytes(set(range(256)) - {10}))
def test_marks_before_words_keep_any_line(pattern, marker, text):
    line = text.replace(b"\n", b" ")
    (shown,) = displayed(BYTES[pattern], line + b"\n", marker)
    assert text_of(shown, marker) == line
    assert shown.decode().isprintable()


@pytest.mark.few(2)
@every_pattern
@every_marker
@settings(max_examples=50)
@given(st.lists(st.one_of(
    st.text(min_size=1, max_size=6), st.lists(st.sampled_from(FORGED), min_size=1, max_size=4).map("".join),
    telling_text, st.sampled_from(PROSE.decode().split()),
), max_size=5))  # fmt: skip
@example(["@@@", "a@@@", "@@", "@", "@@@@@"])
@example(["##", "###", "#", "a##", "##b"])
@example(["</w>", "a</w>", "</w></w>", "</w", ">"])
@example(["<0xE2>", "<0x3C>0x41>", "<", "0x41>"])
def test_words_with_single_spaces_come_back(pattern, marker, words):
    words = [word for word in (word.replace("\n", "").replace(" ", "") for word in words) if word]
    line = " ".join(words).encode()
    (shown,) = displayed(BYTES[pattern], line + b"\n", marker)
    assert text_of(shown, marker) == line


@pytest.mark.few(2)
@every_marker
@settings(max_examples=50)
@given(st.lists(st.lists(st.one_of(st.sampled_from([*FORGED, "ñ", "\x0b"]), st.text("lowernstid", min_size=1)),
                         min_size=1).map("".join), max_size=5))  # fmt: skip
@example(["@@@", "@@"])
@example(["\u00a0", "Ġ", "▁a"])
def test_words_of_characters_come_back(marker, words):
    words = [word for word in words if not set(word) - set(TEXT.decode())]
    line = " ".join(words).encode()
    (shown,) = displayed(WORDS, line + b"\n", marker)
    assert text_of(shown, marker) == line


@every_marker
def test_a_mark_that_words_end_with_may_stand_alone(marker):
    tokenizer = toy(0)
    shown = displayed(tokenizer, b"low wo\n\nten\n", marker)
    assert [text_of(line, marker) for line in shown] == [b"low wo", b"", b"ten"]


# As published.


@pytest.mark.parametrize(
    ("marker", "wanted"),
    [
        ("Ġ", "low Ġ low est Ġ new e r"),
        ("▁", "low ▁ low est ▁ new e r"),
        ("##", "low low ##est new ##e ##r"),
        ("#", "low low #est new #e #r"),
        ("@@", "low low@@ est new@@ e@@ r"),
        ("</w>", "low</w> low est</w> new e r </w>"),
    ],
)
def test_words_of_characters(marker, wanted):
    (shown,) = displayed(toy(), b"low lowest newer\n", marker)
    wanted = wanted.replace("Ġ ", "Ġ").replace("▁ ", "▁")
    assert shown.decode() == wanted


@pytest.mark.parametrize(
    ("marker", "wanted"),
    [
        ("Ġ", "Ġthe st at ement Ã± Ċ"),
        ("▁", "▁the st at ement ñ"),
        ("##", "the ##st ##at ##ement ##ñ"),
        ("#", "the #st #at #ement #ñ"),
        ("@@", "the@@ st@@ at@@ ement@@ ñ"),
        ("</w>", "the st at ement ñ</w>"),
    ],
)
def test_words_of_bytes(marker, wanted):
    tokenizer = BYTES["gpt2"]
    ids = {piece: token for token, piece in enumerate(tokenizer.vocabulary.pieces()) if token > 2}
    display = Display([b" the", b"st", b"at", b"ement", "ñ".encode()], [], marker, ends_words=False)
    shown, ends = display.ids(np.arange(5, dtype=np.int32), np.array([5]))
    assert ends.tolist() == [5]
    assert b" ".join(display.strings[index] for index in shown.tolist()).decode() == wanted.removesuffix(" Ċ")
    assert ids[b" "] == tokenizer.encode(b" ")[0]


def test_special_tokens_are_shown_by_name_and_are_words():
    display = Display([b"[M]", b"a", b" b"], [0], "##", ends_words=False)
    shown, ends = display.ids(np.array([0, 1, 0, 2, 1], dtype=np.int32), np.array([5]))
    assert [display.strings[index] for index in shown.tolist()] == [b"[M]", b"a", b"[M]", b"b", b"##a"]
    assert ends.tolist() == [5]


def test_bytes_that_are_no_text_are_written_in_figures():
    line = displayed(BYTES["gpt2"], b"\xff\0 \xe2\x96\x81\n", "▁")[0]
    assert line.replace(b" ", b"") == "<0xFF><0x00>▁<0xE2><0x96><0x81>".encode()
    assert displayed(BYTES["gpt2"], b"\xff\0 \n", "Ġ")[0].decode().split() == ["ÿ", "Ā", "Ġ"]


# What is no line of pieces.


def test_pieces_of_no_byte():
    for line in ("中", "a b\u0300", "ń", "\u00a0"):
        with pytest.raises(DataError, match="represents no byte"):
            text_of(line.encode(), "Ġ")
    with pytest.raises(DataError, match="represents no byte"):
        text_of(b"\xff", "Ġ")


@pytest.mark.few(2)
@every_marker
@given(st.one_of(st.binary(), st.lists(st.sampled_from([*FORGED, " ", "é", "\t", "<0xFF>"])).map(
    lambda parts: "".join(parts).encode())))  # fmt: skip
@settings(max_examples=100)
def test_any_line_is_text_or_an_error(marker, line):
    try:
        assert isinstance(text_of(line, marker), bytes)
    except DataError:
        assert marker == "Ġ"


@every_marker
def test_a_line_of_nothing(marker):
    assert text_of(b"", marker) == b""
