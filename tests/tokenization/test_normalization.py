"""Normal forms, and tokenizers that normalise: they read a text as others read it in normal form."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.checkpoint import Checkpoint
from lmkit.errors import CheckpointError, DataError
from lmkit.tokenization import tokenizers
from lmkit.tokenization.normalization import FORMS, PUNCTUATION, UNCHANGED, Normalization, normalize
from lmkit.tokenization.tokenizers import ByteTokenizer, from_list, learner, with_vocabulary
from lmkit.tokenization.vocabulary import NAMES
from lmkit.tokenization.vocabulary_union import unite_tokenizers

PIECES = [
    "a",
    "A",
    "ß",
    "Σ",
    "\u017f",
    "É",
    "E\u0301",
    "\u0301",
    "ﬁ",
    "\u00a0",
    "…",
    ",",
    "$",
    "<unk>",
    "</s>",
    " ",
    "\t",
    "İ",
    "㎅",
]
texts = st.lists(
    st.sampled_from(PIECES) | st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=12
)
lines = texts.map("".join).map(str.encode)
normalizations = st.builds(
    Normalization, st.lists(st.sampled_from(FORMS), max_size=2).map(tuple), st.sampled_from(PUNCTUATION)
)
ALL = Normalization(("nfkc", "lowercase"), "split")


def learned(kind, block):
    one = learner(kind)
    one.learn(block, one.scan(block))
    return one.tokenizer()


@given(lines)
def test_forms_are_those_of_unicode(line):
    text = line.decode()
    assert normalize(line, ["nfc"]).decode() == unicodedata.normalize("NFC", text)
    assert normalize(line, ["nfkc"]).decode() == unicodedata.normalize("NFKC", text)
    assert normalize(line, ["lowercase"]).decode() == "".join(character.lower() for character in text)
    assert normalize(line, ["nfc", "lowercase"]) == normalize(normalize(line, ["nfc"]), ["lowercase"])


@given(st.binary(max_size=9).map(lambda data: data.replace(b"\n", b"")), lines, normalizations)
def test_bytes_that_are_no_text_stay(data, line, normalization):
    odd = bytes(byte for byte in data if byte >= 0xF8)  # no character has such a byte
    assert normalization.apply(odd + b" " + line) == odd + b" " + normalization.apply(line)


@given(st.lists(lines, min_size=1, max_size=5), normalizations)
def test_lines_are_normalised_alike_alone_and_together(several, normalization):
    together = normalization.apply(b"".join(line + b"\n" for line in several))
    assert together == b"".join(normalization.apply(line) + b"\n" for line in several)


@pytest.mark.parametrize("kind", ["word", "char", "byte"])
@given(st.lists(lines, min_size=1, max_size=5), lines, normalizations)
def test_a_text_is_encoded_as_another_tokenizer_encodes_its_normal_form(kind, several, other, normalization):
    block = b"".join(line + b"\n" for line in several)
    plain = learned(kind, normalization.apply(block))
    normalising = plain.normalising(normalization)
    assert normalising.encode(other).tolist() == plain.encode(normalization.apply(other)).tolist()
    ids, ends = normalising.encode_block(block)
    expected, expected_ends = plain.encode_block(normalization.apply(block))
    assert (ids.tolist(), ends.tolist()) == (expected.tolist(), expected_ends.tolist())
    assert (normalising.digest == plain.digest) == (not normalization)


def test_what_is_done_is_said_as_options():
    assert str(UNCHANGED) == "--normalize none"
    assert str(ALL) == "--normalize nfkc,lowercase --punctuation split"
    assert not UNCHANGED
    assert ALL


# In checkpoints.


def stored(tokenizer, **changes):
    arrays = {name: np.asarray(value) for name, value in tokenizers.tensors(tokenizer).items()}
    return Checkpoint("any", {}, arrays, {**tokenizers.describe(tokenizer), **changes})


@pytest.mark.parametrize(
    "make", [lambda n: from_list("word", [b"b", b"a"], n), lambda n: from_list("char", [b"b"], n), ByteTokenizer]
)
@given(normalizations)
def test_a_stored_tokenizer_normalises(make, normalization):
    tokenizer = make(normalization)
    again = tokenizers.load(stored(tokenizer))
    assert (again.digest, again.normalization) == (tokenizer.digest, normalization)
    described = set(tokenizers.describe(tokenizer)) - set(tokenizers.describe(make(UNCHANGED)))
    assert described == set(normalization.describe()), "without the options a checkpoint is as it ever was"


@pytest.mark.parametrize(
    "about",
    [
        {"normalize": ["nfd"]}, {"normalize": "nfc"}, {"normalize": [["nfc"]]}, {"normalize": None}, {"normalize": [1]},
        {"punctuation": "drop"}, {"punctuation": None}, {"punctuation": ["split"]},
    ],
)  # fmt: skip
def test_a_normalization_that_is_none_is_refused(about):
    for tokenizer in (from_list("word", [b"a"]), ByteTokenizer()):
        with pytest.raises(CheckpointError, match="normalization"):
            tokenizers.load(stored(tokenizer, **about))


# Vocabularies.


def test_listed_entries_are_normalised():
    listed = from_list("word", [b"The", "ﬁn".encode(), b"the", b",", b"<unk>"], ALL)
    assert listed.vocabulary.pieces() == [*NAMES, b"the", b"fin", b","]
    assert from_list("word", [b"Paris,", b"."], Normalization((), "remove")).vocabulary.pieces() == [*NAMES, b"Paris"]
    with pytest.raises(DataError, match="'paris ,' is not one word"):
        from_list("word", [b"Paris,"], ALL)


def test_tokenizers_that_normalise_alike_are_united():
    one, other = from_list("word", [b"a", b"b"], ALL), from_list("word", [b"c", b"b"], ALL)
    united, maps = unite_tokenizers([one, other])
    assert united.normalization == ALL
    assert [ids.tolist() for ids in maps] == [[0, 1, 2, 3, 4], [0, 1, 2, 5, 4]]
    assert united.vocabulary.pieces() == [*NAMES, b"a", b"b", b"c"]


def test_tokenizers_that_normalise_differently_are_not():
    with pytest.raises(CheckpointError, match="--normalize nfkc,lowercase --punctuation split and --normalize none"):
        unite_tokenizers([from_list("word", [b"a"], ALL), from_list("word", [b"a"])])


def test_a_smaller_vocabulary_normalises_too():
    tokenizer = from_list("word", [b"a", b"b"], ALL)
    vocabulary, _ = tokenizers.limit(tokenizer.vocabulary, np.array([0, 0, 0, 1, 5]), 1, 1)
    assert tokenizer.over(vocabulary).normalization == ALL
    assert tokenizer.over(vocabulary).encode(b"A B").tolist() == [0, 3]
    assert with_vocabulary("char", vocabulary).normalization == UNCHANGED
