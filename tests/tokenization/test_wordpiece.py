"""Vocabularies given as lists: whole words, and the longest pieces first."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmkit.errors import DataError
from lmkit.tokenization import wordpiece
from lmkit.tokenization.bpe.scheme import MARKERS
from lmkit.tokenization.wordpiece import ListedTokenizer

IDS = [32, 5, 1856, 957, 646]
PIECES = {
    "#": ["Ellos", "jug", "#aban", "basket", "#ball"],
    "##": ["Ellos", "jug", "##aban", "basket", "##ball"],
    "@@": ["Ellos", "jug@@", "aban", "basket@@", "ball"],
    "▁": ["▁Ellos", "▁jug", "aban", "▁basket", "ball"],
    "Ġ": ["ĠEllos", "Ġjug", "aban", "Ġbasket", "ball"],
    "</w>": ["Ellos</w>", "jug", "aban</w>", "basket", "ball</w>"],
}
PERRO = {b"Yo": 20, b"tengo": 1430, b"un": 132, b"perro": 6, b"<UNK>": 3}


def listing(marker):
    return {piece.encode(): token for piece, token in zip(PIECES[marker], IDS, strict=True)}


@pytest.mark.parametrize("marker", MARKERS)
def test_words_fall_into_listed_pieces(marker):
    tokenizer = ListedTokenizer(listing(marker), marker, None)
    ids = tokenizer.encode(b"Ellos jugaban basketball").tolist()
    assert ids == IDS
    assert [tokenizer.piece(token).decode() for token in ids] == PIECES[marker]
    assert tokenizer.decode(ids).decode() == " ".join(PIECES[marker])
    assert tokenizer.size == 1857


def test_words_are_looked_up():
    tokenizer = ListedTokenizer(PERRO, "##", None)
    assert tokenizer.encode(b"Yo tengo un perro").tolist() == [20, 1430, 132, 6]
    assert tokenizer.encode(b"Yo tengo un gato, perros un").tolist() == [20, 1430, 132, 3, 3, 132]
    assert tokenizer.specials == {"unk": 3}
    ids, ends = tokenizer.encode_block(b"un gato\n\n perro\tYo\r\n")
    assert (ids.tolist(), ends.tolist()) == ([132, 3, 6, 20], [2, 2, 4])


@pytest.mark.parametrize("name", [b"<unk>", b"[UNK]", b"<UNK>"])
def test_names_of_unknown_words(name):
    assert ListedTokenizer({name: 7, b"a": 1}, "##", None).encode(b"b a").tolist() == [7, 1]
    assert ListedTokenizer({name: 7, b"a": 1}, "##", b"a").encode(b"b a").tolist() == [1, 1]


def test_words_that_can_not_be_spelled_where_nothing_is_unknown():
    tokenizer = ListedTokenizer({b"a": 0}, "##", None)
    with pytest.raises(DataError, match="can't spell 'ab'") as error:
        tokenizer.encode(b"a ab")
    assert "--unknown" in error.value.hint
    with pytest.raises(DataError, match="'b' is not listed"):
        ListedTokenizer({b"a": 0}, "##", b"b")


def test_the_longest_piece_is_taken_even_where_the_rest_is_then_unknown():
    entries = {b"ab": 0, b"a": 1, b"##bc": 2, b"##b": 3, b"<unk>": 4}
    assert ListedTokenizer(entries, "##", None).encode(b"abb abc ac a").tolist() == [0, 3, 4, 4, 1]


def longest_first(word, entries):
    """WordPiece as BERT describes it."""
    ids, rest = [], word
    while rest:
        mark = "##" if len(rest) < len(word) else ""
        found = [rest[:end] for end in range(len(rest), 0, -1) if mark + rest[:end] in entries]
        if not found:
            return [entries["<unk>"]]
        ids.append(entries[mark + found[0]])
        rest = rest[len(found[0]) :]
    return ids


@settings(max_examples=100)
@given(
    st.lists(st.text("abñ#", min_size=1, max_size=4), max_size=12),
    st.lists(st.text("abñ", min_size=1, max_size=8), max_size=6),
)
@example(["a", "##b", "##ñ"], ["ab", "añb", "ñ"])
def test_words_against_the_plain_way(pieces, words):
    entries = {piece: token for token, piece in enumerate(dict.fromkeys([*pieces, "<unk>"]))}
    tokenizer = ListedTokenizer({piece.encode(): token for piece, token in entries.items()}, "##", None)
    wanted = [token for word in words for token in longest_first(word, entries)]
    assert tokenizer.encode(" ".join(words).encode()).tolist() == wanted


def test_forgetting_changes_nothing(monkeypatch):
    monkeypatch.setattr(wordpiece, "REMEMBERED", 2)
    tokenizer = ListedTokenizer(PERRO, "##", None)
    for _ in range(2):
        assert tokenizer.encode(b"Yo tengo un perro Yo un x un").tolist() == [20, 1430, 132, 6, 20, 132, 3, 132]


def test_ids_without_an_entry():
    tokenizer = ListedTokenizer(PERRO, "##", None)
    assert tokenizer.piece(4) == b""
    assert tokenizer.decode([20, 6]) == b"Yo perro"


def test_equal_lists_have_equal_digests():
    one, other = ListedTokenizer(PERRO, "##", None), ListedTokenizer(dict(reversed(PERRO.items())), "##", None)
    assert one.digest == other.digest
    assert one.digest != ListedTokenizer(PERRO, "#", None).digest
    assert one.digest != ListedTokenizer({**PERRO, b"gato": 7}, "##", None).digest
