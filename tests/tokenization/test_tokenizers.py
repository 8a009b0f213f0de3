"""Tokenizers and the learners that come before them, against dictionaries."""

import hashlib
import re
import unicodedata
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmkit.checkpoint import Checkpoint
from lmkit.data.builtin_text import sentences
from lmkit.errors import CheckpointError, DataError
from lmkit.tokenization import tokenizers
from lmkit.tokenization.tokenizers import ByteTokenizer, Fixed, from_list, learner, limit
from lmkit.tokenization.vocabulary import BOS, EOS, NAMES, UNK, Interner, Vocabulary

quick = settings(deadline=None, max_examples=50)

WORDS = [
    b"a", b"b", b"ab", b"\xc3\xb1", b"longer-than-8-bytes", b"x" * 70, b"<s>", b"</s>", b"<unk>", b"\x0b", b"\xc2\xa0"
]  # fmt: skip
word_lines = st.lists(st.lists(st.sampled_from(WORDS), max_size=6), max_size=8)
any_lines = st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), max_size=6)
characters = st.characters(exclude_categories=["Cs"], exclude_characters="\n")
char_lines = st.lists(st.text(characters, max_size=10), max_size=6)


def joined(lines):
    return b"".join(line + b"\n" for line in lines)


def learned(kind, blocks):
    """A tokenizer from blocks, and the ids that the learner gave."""
    one, ids, ends = learner(kind), [], []
    for block in blocks:
        found, line_ends = one.learn(block, one.scan(block))
        ends += [len(ids) + end for end in line_ends.tolist()]
        ids += found.tolist()
    return one, ids, ends


# Words.


@quick
@given(word_lines, st.integers(0, 8))
def test_word_ids_in_order_of_first_appearance_across_blocks(lines, cut):
    texts = [b" ".join(line) for line in lines]
    one, ids, ends = learned("word", [joined(part) for part in (texts[:cut], texts[cut:]) if part])
    kept = [[word for word in line if word not in (b"<s>", b"</s>")] for line in lines]
    names = list(dict.fromkeys([*NAMES, *(word for line in kept for word in line)]))
    assert ids == [names.index(word) for line in kept for word in line]
    assert ends == np.cumsum([len(line) for line in kept]).tolist()
    assert one.dropped == sum(map(len, lines)) - len(ids)
    tokenizer = one.tokenizer()
    assert (tokenizer.kind, tokenizer.size) == ("word", len(names))
    assert tokenizer.vocabulary.pieces() == [tokenizer.piece(token) for token in range(tokenizer.size)] == names
    found, line_ends = tokenizer.encode_block(joined(texts)) if texts else (np.zeros(0), np.zeros(0))
    assert found.tolist() == ids
    assert line_ends.tolist() == ends


@quick
@given(any_lines)
def test_any_words_come_back_with_single_spaces(lines):
    one, ids, ends = learned("word", [joined(lines)] if lines else [])
    tokenizer, begin = one.tokenizer(), 0
    for line, end in zip(lines, ends, strict=True):
        words = [word for word in re.split(b"[ \t\r\0]", line) if word not in (b"", b"<s>", b"</s>")]
        assert tokenizer.decode(ids[begin:end]) == b" ".join(words)
        assert tokenizer.encode(line).tolist() == ids[begin:end]
        begin = end


def test_words_that_were_not_learned_are_unknown():
    one, _, _ = learned("word", [b"a b\n"])
    tokenizer = one.tokenizer()
    assert tokenizer.encode(b"b zz <unk> a <s> </s> aa").tolist() == [4, 0, 0, 3, 0]
    assert tokenizer.decode([1, 4, 0, 3, 2]) == b"<s> b <unk> a </s>"
    assert dict(tokenizer.specials) == {"unk": 0, "bos": 1, "eos": 2}


def test_a_learner_goes_on_after_a_tokenizer_was_taken():
    one = learner("word")
    for block, names in ((b"b a\n", [b"b", b"a"]), (b"c a\n", [b"b", b"a", b"c"]), (b"\n", [b"b", b"a", b"c"])):
        one.learn(block, one.scan(block))
        assert one.tokenizer().vocabulary.pieces()[3:] == names


# Characters.


@quick
@given(char_lines, st.integers(0, 6))
@example(["\0\r\t \x0b\u2028\ufeff\U0010ffff", "", "ñn\u0303"], 1)
def test_characters_come_back_exactly(lines, cut):
    texts = [line.encode() for line in lines]
    one, ids, ends = learned("char", [joined(part) for part in (texts[:cut], texts[cut:]) if part])
    names = list(dict.fromkeys("".join(lines)))
    assert ids == [3 + names.index(character) for line in lines for character in line]
    assert ends == np.cumsum([len(line) for line in lines]).tolist()
    tokenizer = one.tokenizer()
    assert tokenizer.vocabulary.pieces() == [*NAMES, *(name.encode() for name in names)]
    for text, line in zip(texts, lines, strict=True):
        assert tokenizer.decode(tokenizer.encode(text).tolist()) == text
        assert len(tokenizer.encode(text)) == len(line)
    if texts:
        found, line_ends = tokenizer.encode_block(joined(texts))
        assert (found.tolist(), line_ends.tolist()) == (ids, ends)


def test_characters_that_were_not_learned_are_unknown():
    one, _, _ = learned("char", [b"ab\n"])
    assert one.tokenizer().encode("ba é<s>".encode()).tolist() == [4, 3, 0, 0, 0, 0, 0]
    assert unicodedata.normalize("NFC", "n\u0303") == "ñ", "forms are kept apart"
    assert len(one.tokenizer().encode("n\u0303".encode())) == 2


# Bytes.


@quick
@given(any_lines)
def test_any_bytes_come_back_exactly(lines):
    one, ids, ends = learned("byte", [joined(lines)] if lines else [])
    tokenizer = one.tokenizer()
    assert ids == [3 + byte for line in lines for byte in line]
    assert ends == np.cumsum([len(line) for line in lines]).tolist()
    for line in lines:
        assert tokenizer.decode(tokenizer.encode(line).tolist()) == line
    assert tokenizer.size == 259
    assert [tokenizer.piece(token) for token in (0, 1, 2, 3, 258)] == [*NAMES, b"\0", b"\xff"]


# Vocabularies.


def test_equal_vocabularies_have_equal_digests():
    def digest(*pieces):
        return Vocabulary.of(pieces).digest

    assert digest(b"a", b"bc") == digest(b"a", b"bc")
    assert len({digest(b"a", b"bc"), digest(b"ab", b"c"), digest(b"bc", b"a"), digest(b"a"), digest()}) == 5
    blob = np.array([0, 1, 3], dtype="<i8").tobytes() + b"abc"
    assert digest(b"a", b"bc") == hashlib.sha256(blob).hexdigest()


def test_tokenizers_of_different_kinds_have_different_digests():
    assert from_list("word", [b"a"]).digest != from_list("char", [b"a"]).digest


@quick
@given(st.lists(st.binary(min_size=1, max_size=80), unique=True, max_size=20))
def test_vocabularies_find_their_words(pieces):
    vocabulary = Vocabulary.of([*NAMES, *(piece for piece in pieces if piece not in NAMES)])
    vocabulary.check()
    assert (np.diff(vocabulary.hashes.astype(object)) >= 0).all()
    blob, offsets = vocabulary.blob, vocabulary.offsets
    again = Vocabulary.build(blob, offsets)
    assert again.find(vocabulary.hashes).tolist() == vocabulary.ranks.tolist()
    assert sorted(vocabulary.ranks.tolist()) == list(range(len(vocabulary)))
    absent = np.array([h for h in range(1, 50) if h not in set(vocabulary.hashes.tolist())], dtype=np.uint64)
    assert not vocabulary.find(absent).any()
    assert not vocabulary.find(np.array([2**64 - 1], dtype=np.uint64)).any() or 2**64 - 1 in vocabulary.hashes


def test_an_empty_vocabulary():
    vocabulary = Vocabulary.of([])
    assert len(vocabulary) == 0
    assert vocabulary.find(np.array([5], dtype=np.uint64)).tolist() == [0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("offsets", [0, 2, 1, 3]), ("offsets", [1, 1, 2, 3]), ("offsets", [0, 1, 2, 4]), ("offsets", []),
        ("hashes", [1]), ("ranks", [0]),
    ],
)  # fmt: skip
def test_damaged_vocabularies_are_found_out(field, value):
    good = Vocabulary.of([b"a", b"b", b"c"])
    parts = {"blob": good.blob, "offsets": good.offsets, "hashes": good.hashes, "ranks": good.ranks}
    parts[field] = np.array(value, dtype=parts[field].dtype)
    with pytest.raises(CheckpointError):
        Vocabulary(**parts).check()


def test_an_interner_learns_only_what_is_new():
    interner = Interner()
    block = b"a bb a ccc bb"
    starts, ends = np.array([0, 2, 5, 7, 11]), np.array([1, 4, 6, 10, 13])
    from lmkit.tokenization.words import hash_words

    hashes = hash_words(block, starts, ends)
    assert len(interner) == 3
    assert interner.ids(block, starts[:3], ends[:3], hashes[:3]).tolist() == [3, 4, 3]
    assert interner.ids(block, starts[3:], ends[3:], hashes[3:]).tolist() == [5, 4]
    assert interner.vocabulary().pieces() == [*NAMES, b"a", b"bb", b"ccc"]
    assert len(interner) == 6


@quick
@given(st.lists(st.integers(0, 6), min_size=1, max_size=12), st.none() | st.integers(1, 12), st.integers(1, 5))
def test_limits(counts, most, least):
    names = [b"w%d" % place for place in range(len(counts))]
    vocabulary = Vocabulary.of([*NAMES, *names])
    smaller, mapping = limit(vocabulary, np.array([9, 9, 9, *counts]), most, least)
    frequent = [place for place in range(len(counts)) if counts[place] >= least]
    kept = sorted(sorted(frequent, key=lambda place: -counts[place])[: len(counts) if most is None else most])
    expected = [*NAMES, *(names[place] for place in kept)]
    assert smaller.pieces() == expected
    everything = [*NAMES, *names]
    assert mapping.tolist() == [expected.index(name) if name in expected else UNK for name in everything]


# Lists.


@quick
@given(st.lists(st.sampled_from([w for w in WORDS if w != b"\x0b"]), max_size=12))
def test_a_listed_vocabulary(entries):
    tokenizer = from_list("word", entries)
    names = [*NAMES, *(entry for entry in dict.fromkeys(entries) if entry not in NAMES)]
    assert tokenizer.vocabulary.pieces() == names
    text = [entry for entry in entries if entry not in NAMES]
    assert tokenizer.encode(b" ".join(text)).tolist() == [names.index(entry) for entry in text]


def test_empty_entries_and_special_names_are_passed_over():
    assert from_list("word", [b"", b"<s>", b"b", b"", b"b", b"a"]).vocabulary.pieces() == [*NAMES, b"b", b"a"]
    assert from_list("char", ["é".encode(), b" ", b"</s>"]).vocabulary.pieces() == [*NAMES, "é".encode(), b" "]
    assert isinstance(from_list("byte", [b"a"]), ByteTokenizer)


@pytest.mark.parametrize("entry", [b"a b", b"a\tb", b" ", b"a\0b", b"\0", b" a", b"a ", b"a\r", b"\ta"])
def test_what_no_text_could_contain_is_no_word(entry):
    with pytest.raises(DataError, match="is not one word"):
        from_list("word", [b"fine", entry])


@pytest.mark.parametrize("entry", ["a\x0bb", "\x0b", "a\x0c", "\x1c", "a\u00a0b", "a\u2028b", "\x85"])
def test_what_a_text_could_contain_is_a_word(entry):
    tokenizer = from_list("word", [entry.encode()])
    assert tokenizer.encode(f"x {entry} y".encode()).tolist() == [0, 3, 0]


@pytest.mark.parametrize("entry", [b"ab", "n\u0303".encode(), b"\xff", b"\xc3", b"\xed\xa0\x80"])
def test_what_is_not_one_character_is_refused(entry):
    with pytest.raises(DataError, match="is not one char"):
        from_list("char", [b"a", entry])


def test_a_fixed_learner_learns_nothing():
    fixed = Fixed(from_list("word", [b"b"]))
    ids, ends = fixed.learn(b"", fixed.scan(b"a b\nb\n"))
    assert (ids.tolist(), ends.tolist(), fixed.dropped) == ([0, 3, 3], [2, 3], 0)
    assert fixed.tokenizer().size == 4


# As a checkpoint.


def stored(tokenizer, **changes):
    arrays = {name: np.asarray(value) for name, value in tokenizers.tensors(tokenizer).items()}
    return Checkpoint("any", {}, {**arrays, **changes}, tokenizers.describe(tokenizer))


@pytest.mark.parametrize("tokenizer", [from_list("word", [b"b", b"a"]), from_list("char", [b"b"]), ByteTokenizer()])
def test_a_stored_tokenizer_is_the_same(tokenizer):
    again = tokenizers.load(stored(tokenizer))
    assert (again.kind, again.size, again.digest) == (tokenizer.kind, tokenizer.size, tokenizer.digest)
    assert again.encode(b"a b c").tolist() == tokenizer.encode(b"a b c").tolist()


def test_damaged_tokenizers_are_refused():
    good = from_list("word", [b"b", b"a"])
    for changes in (
        {"tokenizer.offsets": np.array([0, 3], dtype=np.int64)},
        {"tokenizer.pieces": np.zeros(2, dtype=np.uint8)},
        {"tokenizer.hashes": np.zeros(1, dtype=np.uint64)},
        {"tokenizer.ranks": np.zeros(5, dtype=np.int64)},
        {"tokenizer.pieces": np.frombuffer(b"<unk><S></s>ba", dtype=np.uint8)},
    ):
        with pytest.raises(CheckpointError):
            tokenizers.load(stored(good, **changes))
    with pytest.raises(CheckpointError, match="unknown tokenizer"):
        tokenizers.load(Checkpoint("any", {}, {}, {"type": "syllable"}))
    with pytest.raises(CheckpointError):
        tokenizers.load(Checkpoint("any", {}, {}, {}))


@pytest.mark.parametrize("rank", [100, -7])
def test_an_index_that_leads_outside_the_vocabulary_is_refused(rank):
    good = from_list("word", [b"b", b"a", b"c"])
    ranks = np.full(good.size, rank, dtype=np.int32)
    with pytest.raises(CheckpointError):
        tokenizers.load(stored(good, **{"tokenizer.ranks": ranks})).encode(b"a b c")


@pytest.mark.parametrize("pieces", [[b"ab"], [b""], [b"\xff"]])
def test_a_stored_character_is_one(pieces):
    vocabulary = Vocabulary.of([*NAMES, *pieces])
    with pytest.raises(CheckpointError):
        tokenizers.with_vocabulary("char", vocabulary).encode(b"a")


def test_specials_have_the_first_ids():
    assert (UNK, BOS, EOS) == (0, 1, 2)


# Prose.


def test_prose_is_sentences_of_words():
    found = list(sentences())
    assert len(found) > 1000
    assert found == list(sentences()), "the same every time"
    assert all(line.strip() == line and "\n" not in line and line for line in found)
    words = Counter(word for line in found for word in line.split())
    assert words["the"] == max(words.values())
