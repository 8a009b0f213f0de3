"""Tokenizers and counts through checkpoints, whole and damaged."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_tokenizers import CHAR, PROSE, counted, toy, trained

from lmkit import checkpoint
from lmkit.errors import CheckpointError, LmkitError
from lmkit.tokenization import tokenizers
from lmkit.tokenization.bpe.pretoken_counts import PretokenCounts
from lmkit.tokenization.bpe.scheme import Scheme
from lmkit.tokenization.bpe.tokenizer import BPETokenizer
from lmkit.tokenization.tokenizer_file import TokenizerFile

BYTES = trained(PROSE[:5000], 40, Scheme(pattern="gpt4", normalize=("nfc",)), [b"[M]", "ñ\xff".encode("latin-1")])
WORDS = toy(special=[b"[M]"])
TEXT = PROSE[:1000] + "low newest widest ñ [M]\r\n\n".encode()


def written(content):
    return b"".join(bytes(piece) for piece in checkpoint.serialize(content.to_checkpoint({})))


def read(data):
    return TokenizerFile.from_checkpoint(checkpoint.parse(data)).tokenizer


def changed(tokenizer, about=(), **arrays):
    """A checkpoint with other descriptions or arrays than the tokenizer's."""
    content = TokenizerFile(tokenizer).to_checkpoint({})
    tensors = {**content.tensors, **{f"tokenizer.{name}": array for name, array in arrays.items()}}
    return dataclasses.replace(content, tokenizer={**content.tokenizer, **dict(about)}, tensors=tensors)


@pytest.mark.parametrize("tokenizer", [BYTES, WORDS], ids=["byte", "char"])
def test_a_tokenizer_comes_back(tokenizer):
    data = written(TokenizerFile(tokenizer))
    back = read(data)
    assert isinstance(back, BPETokenizer)
    assert (back.digest, back.size, back.names, back.specials) == (
        tokenizer.digest, tokenizer.size, tokenizer.names, tokenizer.specials,
    )  # fmt: skip
    assert back.scheme == tokenizer.scheme
    for got, wanted in zip(back.encode_block(TEXT), tokenizer.encode_block(TEXT), strict=True):
        assert got.tolist() == wanted.tolist()
    assert written(TokenizerFile(back)) == data


@pytest.mark.parametrize("tokenizer", [BYTES, WORDS], ids=["byte", "char"])
def test_what_is_cut_off_is_missed(tokenizer):
    data = written(TokenizerFile(tokenizer))
    for length in range(len(data)):
        with pytest.raises(LmkitError):
            read(data[:length])
    with pytest.raises(LmkitError):
        read(data + b"\0")


@pytest.mark.few(1)
@pytest.mark.parametrize("tokenizer", [BYTES, WORDS], ids=["byte", "char"])
@settings(max_examples=300)
@given(st.data())
def test_flipped_bytes_are_an_error_or_another_tokenizer(tokenizer, data):
    whole = bytearray(written(TokenizerFile(tokenizer)))
    header = 8 + int.from_bytes(whole[:8], "little")
    places = st.one_of(st.integers(0, header - 1), st.integers(0, len(whole) - 1))
    for place in data.draw(st.lists(places, min_size=1, max_size=2)):
        whole[place] ^= data.draw(st.integers(1, 255))
    try:
        other = read(bytes(whole))
        ids, _ = other.encode_block(TEXT)
    except LmkitError:
        return
    assert ((ids >= 0) & (ids < other.size)).all()


def with_scheme(**settings):
    return {"scheme": {**BYTES.scheme.describe(), **settings}}


@pytest.mark.parametrize(
    "about",
    [
        {"scheme": None}, {"scheme": []}, {"scheme": "byte"}, {"scheme": {}},
        with_scheme(level="word"), with_scheme(level=None), with_scheme(normalize=["nfd"]),
        with_scheme(normalize="nfc"),
        with_scheme(normalize=None), with_scheme(normalize=[["nfc"]]), with_scheme(digits=0), with_scheme(digits=65),
        with_scheme(digits="3"), with_scheme(fused="no"), with_scheme(other=1), with_scheme(pattern=3),
        with_scheme(pattern="(unclosed"), with_scheme(digits=True),
        {"names": None}, {"names": []}, {"names": {"<s>": BYTES.size}}, {"names": {"<s>": -1}}, {"names": {"<s>": "1"}},
        {"names": {"<s>": True}}, {"names": {"中": 1}}, {"names": {"": 1}},
        {"specials": None}, {"specials": {"unk": BYTES.size}}, {"specials": {"unk": 1.0}},
    ],
)  # fmt: skip
def test_descriptions_that_are_none(about):
    with pytest.raises(CheckpointError):
        tokenizers.load(checkpoint.parse(b"".join(map(bytes, checkpoint.serialize(changed(BYTES, about))))))


def pairs(*rows):
    return np.array(rows, dtype=np.int32).reshape(-1, 3)


OFFSETS = BYTES.vocabulary.offsets


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"merges": pairs([5, 6, BYTES.size])}, "outside the vocabulary"),
        ({"merges": pairs([-1, 6, 300])}, "outside the vocabulary"),
        ({"merges": pairs([5, 6, 7])}, "does not spell its piece"),
        ({"merges": np.zeros((2, 2), dtype=np.int32)}, "merges"),
        ({"merges": np.zeros((2, 3), dtype=np.int64)}, "merges"),
        ({"offsets": OFFSETS[:-1]}, "offsets"),
        ({"offsets": OFFSETS[1:]}, "offsets"),
        ({"offsets": np.zeros(0, dtype=np.int64)}, "offsets"),
        ({"offsets": np.concatenate([OFFSETS[:5], OFFSETS[:4:-1]])}, "offsets"),
        ({"pieces": BYTES.vocabulary.blob[:-1]}, "offsets"),
    ],
)
def test_arrays_that_do_not_fit(arrays, message):
    with pytest.raises(CheckpointError, match=message):
        tokenizers.load(changed(BYTES, **arrays))


def test_a_merge_of_as_many_but_other_bytes():
    wrong = BYTES.merges.pairs.copy()
    wrong[0, :2] = wrong[0, 1::-1]
    assert tokenizers.load(changed(BYTES, merges=BYTES.merges.pairs)).digest == BYTES.digest
    with pytest.raises(CheckpointError, match="does not spell its piece"):
        tokenizers.load(changed(BYTES, merges=wrong))


def test_a_tokenizer_that_this_version_does_not_know():
    with pytest.raises(CheckpointError, match="unknown tokenizer 'unigram'"):
        tokenizers.load(changed(BYTES, {"type": "unigram"}))


# Counts.


@pytest.mark.parametrize("scheme", [Scheme(), CHAR], ids=["byte", "char"])
def test_counts_come_back(scheme):
    counts = counted(PROSE[:3000], scheme)
    data = written(counts)
    back = PretokenCounts.from_checkpoint(checkpoint.parse(data))
    assert back.scheme == scheme
    assert (back.blob.tobytes(), back.offsets.tolist()) == (counts.blob.tobytes(), counts.offsets.tolist())
    assert back.counts.tolist() == counts.counts.tolist()
    assert written(back) == data


@pytest.mark.parametrize(
    "arrays",
    [
        {"counts": [0, 1]}, {"counts": [-1, 1]}, {"counts": [1]}, {"offsets": [0, 2]}, {"offsets": [0, 2, 2]},
        {"offsets": [0, 0, 3]}, {"offsets": [1, 2, 3]}, {"offsets": [0, 2, 4]}, {"offsets": []}, {"offsets": [0, 5, 3]},
    ],
    ids=str,
)  # fmt: skip
def test_counts_that_do_not_fit(arrays):
    content = counted(b"ab,\n", Scheme(pattern="gpt2")).to_checkpoint({})
    assert len(content.tensors["counts"]) == 3
    given_ = {"counts": [1, 1], "offsets": [0, 2, 3], **arrays}
    tensors = {name: np.array(value, dtype=np.int64) for name, value in given_.items()}
    tensors["pretokens"] = np.frombuffer(b"ab,", dtype=np.uint8)
    with pytest.raises(CheckpointError, match="damaged"):
        PretokenCounts.from_checkpoint(dataclasses.replace(content, tensors=tensors))


@pytest.mark.parametrize(("blob", "cut"), [(b"a\xffc", 1), ("añ".encode(), 2), ("ñc".encode(), 1)])
def test_counts_of_words_that_are_no_text(blob, cut):
    content = counted(b"ab c\n", CHAR).to_checkpoint({})
    arrays = {"pretokens": np.frombuffer(blob, dtype=np.uint8), "offsets": np.array([0, cut, 3], dtype=np.int64)}
    with pytest.raises(CheckpointError, match="not UTF-8"):
        PretokenCounts.from_checkpoint(dataclasses.replace(content, tensors={**content.tensors, **arrays}))
