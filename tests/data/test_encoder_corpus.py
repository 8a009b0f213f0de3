"""The corpus of an encoder: lines, documents, and what is held out of it."""

import numpy as np
import pytest

from lmkit.data.encoder_corpus import encode
from lmkit.data.sequences import Documents
from lmkit.errors import DataError
from lmkit.tokenization.tokenizers import ByteTokenizer

A = 3 + ord("a")


def corpus(*blocks):
    return encode(ByteTokenizer(), [blocks])[0]


def test_lines_and_documents_are_kept_whatever_the_blocks():
    one, two = corpus(b"a\nbb\n\n\na\n\n"), corpus(b"a\nbb\n\n", b"\na\n", b"\n")
    for found in (one, two):
        assert (found.ids - A).tolist() == [0, 1, 1, 0]
        assert found.ends.tolist() == [1, 3, 4]
        assert (np.diff(found.documents) != 0).tolist() == [False, True]
        assert found.bytes == 10
    assert [one.units(by).tolist() for by in ("stream", "line", "blank-line", "file")] == [
        [4],
        [1, 3, 4],
        [3, 4],
        [3, 4],
    ]


def test_texts_and_records_are_documents():
    found, record = encode(ByteTokenizer(), [[b"a\n", b"b\n"], Documents([b"c\nc\n", b"d\n"]), [b"e\n"]])
    assert np.unique(found.documents, return_counts=True)[1].tolist() == [2, 2, 1, 1]
    assert record["bytes"] == found.bytes == 12
    assert encode(ByteTokenizer(), [[b"a\nb\nc\nc\nd\ne\n"]])[1] == record


def test_equal_lines_have_equal_keys():
    keys = corpus(b"ab\nba\nab\na\nab\n").keys().tolist()
    assert [keys[0] == key for key in keys] == [True, False, True, False, True]
    assert corpus().keys().tolist() == []


def test_a_part_is_held_out_at_a_border():
    text = corpus(b"aaaa\nbb\n\ncc\ndd\n")
    kept, out = text.split("stream", 0.4)
    assert (kept.ends.tolist(), out.ends.tolist(), out.tokens) == ([4, 6], [2, 4], 4)
    assert (kept.bytes + out.bytes, len(out.documents)) == (text.bytes, 2)
    assert text.split("blank-line", 0.1)[1].tokens == 4
    with pytest.raises(DataError, match="too short to hold some of it out"):
        corpus(b"aaaa\n").split("stream", 0.5)
