"""Texts as encoded corpora: what is held out, what a smaller vocabulary leaves, which bytes are counted."""

from hashlib import sha256

import numpy as np
import pytest

from lmkit.data.corpus import Corpus, EncodedText, LearningTokenizer
from lmkit.data.sequences import TextFormat
from lmkit.errors import DataError
from lmkit.tokenization.tokenizers import ByteTokenizer, CharLearner, WordLearner

LINES = b"a b c\nb c\n\na a a a\n"


def encoded(by="stream", blocks=((LINES,),), learner=None):
    learner = learner or WordLearner()
    tokenizer = LearningTokenizer(learner)
    form = TextFormat.of(by, tokenizer)
    return EncodedText.of(tokenizer, form, blocks), form, learner.tokenizer()


def test_bytes_for_a_token():
    assert Corpus(np.arange(4), np.array([4]), 10).bytes_per_token == 2.5


@pytest.mark.parametrize("by", ["stream", "line", "file", "blank-line"])
def test_a_text_is_the_same_in_any_blocks(by):
    whole, _, _ = encoded(by)
    parts, _, _ = encoded(by, [[b"a b c\n", b"b c\n\n", b"a a a a\n"]])
    for name in ("ids", "ends", "lines"):
        assert getattr(whole, name).tolist() == getattr(parts, name).tolist()
    assert whole.record == parts.record == {"bytes": len(LINES), "sha256": sha256(LINES).hexdigest()}


def test_texts_one_behind_another():
    both, _, tokenizer = encoded("file", [[b"a b\n"], [b"c\n"]])
    assert both.ends.tolist() == [4, 7]
    assert [tokenizer.piece(token) for token in both.ids.tolist()] == [
        b"a", b"b", b"</s>", b"<s>", b"c", b"</s>", b"<s>",
    ]  # fmt: skip


def test_a_part_is_held_out_at_the_nearest_line_end():
    text, form, _ = encoded()
    before, after = text.split(form, 0.4)
    assert (len(before.ids), len(after.ids)) == (8, 5)
    assert [part.corpus().bytes for part in (before, after)] == [11, 8]
    assert np.concatenate([before.ids, after.ids]).tolist() == text.ids.tolist()


def test_a_text_of_one_line_has_no_place_to_split():
    text, form, _ = encoded(blocks=[[b"a b c\n"]])
    with pytest.raises(DataError, match="too short"):
        text.split(form, 0.5)


def test_a_smaller_vocabulary():
    text, _, tokenizer = encoded()
    smaller, renamed = text.limited(tokenizer, None, 3)
    assert smaller.vocabulary.pieces() == [b"<unk>", b"<s>", b"</s>", b"a"]
    assert renamed.ids.tolist() == [3, 0, 0, 2, 0, 0, 2, 2, 3, 3, 3, 3, 2]
    assert renamed.corpus().bytes == text.corpus().bytes


@pytest.mark.parametrize(("characters", "dtype"), [(10, np.uint16), (70_000, np.int32)])
def test_ids_take_sixteen_bits_where_they_fit(characters, dtype):
    places = [place for place in range(0x100, 0x100 + characters + 0x800) if not 0xD800 <= place < 0xE000]
    text, _, _ = encoded(blocks=[["".join(map(chr, places)).encode() + b"\n"]], learner=CharLearner())
    assert text.corpus().ids.dtype == dtype


def test_a_vocabulary_of_bytes_is_never_limited():
    tokenizer = ByteTokenizer()
    form = TextFormat.of("stream", tokenizer)
    text = EncodedText.of(tokenizer, form, [[LINES]])
    same, limited = text.limited(tokenizer, 2, 1)
    assert same is tokenizer
    assert limited.ids.tolist() == text.ids.tolist()
