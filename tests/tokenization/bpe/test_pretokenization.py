"""Pre-tokens, against the published regular expressions as the tokenizers library reads them."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split
from toy_tokenizers import EXPRESSIONS, telling_bytes, telling_text

from lmkit.tokenization.bpe import pretokenization
from lmkit.tokenization.bpe.pretokenization import INSIDE, JOINED, WALLS, find
from lmkit.tokenization.bpe.scheme import PATTERNS

REFERENCES = {name: Split(Regex(expression), behavior="isolated") for name, expression in EXPRESSIONS.items()}
OWN = r"\d+|[aeiou]+|\s"
every_pattern = pytest.mark.parametrize("pattern", [*PATTERNS, OWN])
ways = st.sampled_from([WALLS, INSIDE, JOINED])


def parts(block, pattern, feeds=JOINED, digits=3, walls=None):
    starts, ends = find(block, pattern, digits, feeds, walls)
    assert starts.tolist() == [0, *ends.tolist()][: len(starts)], "they cover the block in order"
    assert ends.tolist()[-1:] == [len(block)][: len(ends)]
    assert (starts < ends).all()
    return [block[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def expected(text, pattern, feeds):
    """What the reference makes of a text, given the stretches of it that one match may span."""
    if feeds == JOINED and pattern != "none":
        stretches = [text]
    elif feeds != WALLS:
        stretches = [line + "\n" for line in text.split("\n")]
        stretches[-1] = stretches[-1][:-1]
    else:
        stretches = [part for line in text.split("\n") for part in (line, "\n")][:-1]
    return [
        piece.encode() for stretch in stretches if stretch
        for piece, _ in ([(stretch, None)] if pattern == "none" else REFERENCES[pattern].pre_tokenize_str(stretch))
    ]  # fmt: skip


@pytest.mark.parametrize("pattern", [*EXPRESSIONS])
@settings(max_examples=100)
@given(ways, telling_text)
@example(JOINED, "I'll don't 'S x'lla '\u017fa \t b  \n\n c\r\n \r\nd!!\n\n!\r\n é'é 12345 ½¼²\u00a0x\u3000y a\u0301")
def test_patterns_are_the_published_expressions(pattern, feeds, text):
    assert parts(text.encode(), pattern, feeds) == expected(text, pattern, feeds)


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("gpt2", ["They", "'ll", " pay", " 12345", "€", " (", "soon", ")", "  ", " ¡", "olé", "!\n"]),
        ("gpt4", ["They", "'ll", " pay", " ", "123", "45", "€", " (", "soon", ")", "  ", " ¡", "olé", "!\n"]),
        ("whitespace", ["They'll", " pay", " 12345€", " (soon)", "  ", " ¡olé!", "\n"]),
        ("none", ["They'll pay 12345€ (soon)   ¡olé!\n"]),
    ],
)
def test_a_sentence(pattern, wanted):
    got = [part.decode() for part in parts("They'll pay 12345€ (soon)   ¡olé!\n".encode(), pattern)]
    assert got == (wanted if pattern != "gpt2" else [*wanted[:-1], "!", "\n"])


@settings(max_examples=30)
@given(st.text("0123456789½a ", max_size=20), st.integers(1, 7))
def test_runs_of_digits_are_as_long_as_asked(text, digits):
    reference = Split(Regex(EXPRESSIONS["gpt4"].replace("{1,3}", f"{{1,{digits}}}")), behavior="isolated")
    wanted = [piece.encode() for piece, _ in reference.pre_tokenize_str(text)] if text else []
    assert parts(text.encode(), "gpt4", digits=digits) == wanted


# Bytes that are not UTF-8.


def stray_apart(block):
    """Text with U+FFFD for each byte that is not UTF-8, and the bytes of each character."""
    text = block.decode(errors="surrogateescape")
    pieces = [character.encode(errors="surrogateescape") for character in text]
    return "".join("\ufffd" if "\udc80" <= character < "\udd00" else character for character in text), pieces


@every_pattern
@settings(max_examples=50)
@given(ways, telling_bytes)
@example(JOINED, b"!\x80a \x80b \x80\x80c \xe2\x80d \xed\xa0\x80e \xc0\xaff \xf4\x90\x80\x80g \xe2\x82")
@example(INSIDE, b"\x80a")
def test_bytes_that_are_not_text_count_as_punctuation(pattern, feeds, block):
    got = parts(block, pattern, feeds)
    text, characters = stray_apart(block)
    if pattern == OWN:
        assert b"".join(got) == block
        return
    wanted, place = [], 0
    for piece in expected(text, pattern, feeds):
        length = len(piece.decode())
        wanted.append(b"".join(characters[place : place + length]))
        place += length
    assert got == wanted


# Walls.


@pytest.mark.few(2)
@every_pattern
@settings(max_examples=30)
@given(ways, st.lists(telling_text, min_size=1, max_size=4))
@example(JOINED, ["a ", " b", "'", "s"])
def test_text_ends_before_a_wall_and_begins_anew_behind_it(pattern, feeds, texts):
    blocks = [text.encode() for text in texts]
    name = b"[X] y"
    block = name.join(blocks)
    lengths = [len(part) for part in blocks]
    starts = np.cumsum(lengths)[:-1] + len(name) * np.arange(len(blocks) - 1)
    wanted = []
    for index, part in enumerate(blocks):
        wanted += [name] * bool(index) + parts(part, pattern, feeds)
    assert parts(block, pattern, feeds, walls=(starts, starts + len(name))) == wanted


def test_walls_side_by_side_stay_apart():
    edges = np.array([0, 1, 2]), np.array([1, 2, 3])
    for pattern in (*PATTERNS, OWN):
        assert parts(b"aaa", pattern, walls=edges) == [b"a", b"a", b"a"]


# Lines, regular expressions, long ones.


@pytest.mark.parametrize(
    ("feeds", "wanted"), [(WALLS, [b"1\r", b"\n", b"\n", b"2"]), (INSIDE, [b"1\r\n", b"\n", b"2"])]
)
def test_line_feeds_by_themselves_or_at_the_end_of_their_line(feeds, wanted):
    assert parts(b"1\r\n\n2", "none", feeds) == wanted
    assert parts(b"1\r\n\n2", "x", feeds) == wanted


def test_an_expression_of_ones_own():
    assert parts(b"12ab eio3\xffu", OWN) == [b"12", b"a", b"b", b" ", b"eio", b"3", b"\xff", b"u"]
    assert parts("xñy".encode(), "ñ") == [b"x", "ñ".encode(), b"y"]


@every_pattern
@settings(max_examples=30)
@given(telling_text, st.integers(1, 4))
def test_the_longest_are_cut_between_characters(pattern, text, longest):
    longest *= 4  # a character has at most so many bytes
    whole = parts(text.encode(), pattern)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretokenization, "LONGEST", longest)
        got = parts(text.encode(), pattern)
    assert all(len(part) <= longest and part.decode() for part in got)
    edges = {*np.cumsum([len(part) for part in whole]).tolist()}
    assert edges <= {*np.cumsum([len(part) for part in got]).tolist()}
    short = [part for part in whole if len(part) <= longest]
    assert [part for part in got if part in short] == short or any(len(part) > longest for part in whole)


def test_a_block_of_nothing():
    for pattern in (*PATTERNS, OWN):
        assert parts(b"", pattern) == []
