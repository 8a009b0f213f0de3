"""`data.item_sequences`: row H1's formats, cuts, and places of words."""

import numpy as np
import pytest
from tiny_encoders import tokenizer as word_pieces

from lmkit.data.encoder_sequences import EncoderFormat
from lmkit.data.item_sequences import ItemFormat
from lmkit.data.sequences import TextFormat
from lmkit.tokenization.tokenizers import ByteTokenizer


def shown(sequence, tokenizer):
    return b" ".join(tokenizer.piece(token) for token in sequence.ids.tolist()).decode()


@pytest.fixture
def left_to_right():
    own = ByteTokenizer()
    return lambda limit=None: ItemFormat(own, TextFormat.of("line", own), limit)


@pytest.fixture
def both_ways():
    own = word_pieces()
    return lambda limit=None: ItemFormat(own, EncoderFormat.of(own), limit)


def test_language_models_read_start_text_end(left_to_right):
    made = left_to_right()
    one, two = made.item(["ab"]), made.item(["a", "b"])
    assert shown(one, made.tokenizer) == "<s> a b </s>"
    assert shown(two, made.tokenizer) == "<s> a </s> b </s>"
    assert (one.start, one.lost) == (1, 0)
    assert shown(made.item(["a\nb"]), made.tokenizer) == "<s> a   b </s>"


def test_encoders_read_segments(both_ways):
    made = both_ways()
    assert shown(made.item(["the cat"]), made.tokenizer) == "[CLS] the cat [SEP]"
    two = made.item(["the cat", "a dog"])
    assert shown(two, made.tokenizer) == "[CLS] the cat [SEP] a dog [SEP]"
    assert two.segments.tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_the_longer_text_is_cut(both_ways, left_to_right):
    made = both_ways(7)
    found = made.item(["the cat sat on a mat", "a dog"])
    assert (shown(found, made.tokenizer), found.lost) == ("[CLS] the cat [SEP] a dog [SEP]", 4)
    found = left_to_right(4).item(["abcdefg" * 100])
    assert (len(found.ids), found.lost) == (4, 698)


def test_words_have_their_first_piece_or_their_last(both_ways, left_to_right):
    words = ["cats", "sat", "", "x" * 3]
    made = both_ways()
    found = made.words(words)
    pieces = shown(found, made.tokenizer).split(" ")
    assert [pieces[place] for place in found.words] == ["cat", "sat", "[UNK]", "[UNK]"]
    made = left_to_right()
    found = made.words(["ab", "c"])
    assert shown(found, made.tokenizer).split(" ")[-1] == "</s>"
    assert [made.tokenizer.piece(found.ids[place]) for place in found.words] == [b"b", b"c"]
    cut = both_ways(4).words(["cats", "sat", "cat"])
    assert (np.diff(cut.words).tolist(), len(cut.ids), cut.lost) == ([], 4, 2)


def test_long_texts_in_windows(both_ways, left_to_right):
    made = left_to_right(6)  # <s>, 4 bytes and </s>
    found = [shown(one, made.tokenizer) for one in made.item_windows(["abcdefg"])]
    assert found == ["<s> a b c d </s>", "<s> c d e f </s>", "<s> d e f g </s>"]
    assert [shown(one, made.tokenizer) for one in made.item_windows(["abcd"])] == ["<s> a b c d </s>"]
    assert len(left_to_right().item_windows(["ab" * 100])) == 1
    own = both_ways(7)
    found = [shown(one, own.tokenizer) for one in own.item_windows(["the cat sat on a mat", "a dog"])]
    assert found[0] == "[CLS] the cat [SEP] a dog [SEP]"
    assert found[-1] == "[CLS] a mat [SEP] a dog [SEP]"
    assert all(one.lost == 0 and len(one.ids) <= 7 for one in own.item_windows(["the cat sat on a mat", "a dog"]))
    tiny = left_to_right(2).item_windows(["abc"])  # no room at all: a token each
    assert [len(one.ids) for one in tiny] == [3, 3, 3]
