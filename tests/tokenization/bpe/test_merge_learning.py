"""Learning merges, against a program that counts anew for every merge, the library, and the figures of a paper."""

import json
import random
from collections import Counter as Tally
from itertools import pairwise

import numpy as np
import pytest
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import models, pre_tokenizers, trainers
from toy_tokenizers import CHAR, PROSE, TOY, counted, toy, trained

from lmkit.errors import DataError
from lmkit.tokenization.bpe import merge_learning
from lmkit.tokenization.bpe.byte_characters import visible
from lmkit.tokenization.bpe.merge_learning import Words, learn
from lmkit.tokenization.bpe.pretoken_counts import Counter, PretokenCounts, from_table
from lmkit.tokenization.bpe.scheme import Scheme
from lmkit.tokenization.bpe.trainer import fit

LETTERS = [b"a", b"b", b"c"]


def learned(words, size, minimum, **options):
    """Merges of a list of words, as symbols, and their counts."""
    symbols = np.array([symbol for word, _ in words for symbol in word], dtype=np.int32)
    lengths = np.array([len(word) for word, _ in words], dtype=np.int64)
    laid = Words(symbols, lengths, np.array([count for _, count in words], dtype=np.int64))
    return learn(laid, LETTERS, {piece: token for token, piece in enumerate(LETTERS)}, size, minimum, **options)


def counting_anew(words, size, minimum, *, first_seen):
    """Sennrich et al. 2016, algorithm 1, as it is written."""
    words = [(list(word), count) for word, count in words]
    known, merges = list(LETTERS), []
    ids = {piece: token for token, piece in enumerate(LETTERS)}
    while len(known) < size:
        tally = Tally()
        for word, count in words:
            for pair in pairwise(word):
                tally[pair] += count
        if not tally or max(tally.values()) < max(1, minimum):
            break
        order = {pair: place for place, pair in enumerate(tally)}
        best = min(tally, key=lambda pair: (-tally[pair], order[pair] if first_seen else pair))
        piece = known[best[0]] + known[best[1]]
        if piece not in ids:
            ids[piece] = len(known)
            known.append(piece)
        merges.append((*best, ids[piece]))
        for word, _ in words:
            place = 0
            while place + 1 < len(word):
                if (word[place], word[place + 1]) == best:
                    word[place : place + 2] = [ids[piece]]
                place += 1
    return known[len(LETTERS) :], merges


word_lists = st.lists(st.tuples(st.lists(st.integers(0, 2), min_size=1, max_size=12), st.integers(1, 9)), max_size=8)


@pytest.mark.few(3)
@pytest.mark.parametrize("first_seen", [False, True])
@pytest.mark.parametrize(("few", "step"), [(24, 6), (0, 1), (0, 100), (1e9, 2), (1.5, 3)])
@settings(max_examples=40)
@given(word_lists, st.integers(0, 20), st.integers(0, 4))
@example([([0] * length, 1) for length in range(1, 12)], 10, 1)
@example([([0, 1, 0, 1, 0], 3), ([1, 0, 1], 3)], 9, 0)
def test_merges_are_those_of_counting_anew(few, step, first_seen, words, more, minimum):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge_learning, "FEW", few)
        patch.setattr(merge_learning, "STEP", step)
        got = learned(words, 3 + more, minimum, first_seen=first_seen)
    assert (got.pieces, got.merges) == counting_anew(words, 3 + more, minimum, first_seen=first_seen)


@pytest.mark.parametrize(("few", "step"), [(0, 6), (1e9, 6), (5, 2), (24, 1000)])
def test_how_it_is_done_changes_nothing_on_prose(few, step, monkeypatch):
    usual = trained(PROSE, 400)
    monkeypatch.setattr(merge_learning, "FEW", few)
    monkeypatch.setattr(merge_learning, "STEP", step)
    assert trained(PROSE, 400).digest == usual.digest


def test_progress_is_told_for_each_piece():
    told = []
    learned([([0, 1, 2], 2), ([0, 1], 1)], 5, 1, first_seen=False, told=told.append)
    assert told == [1, 1]


def test_progress_of_compiled_code_adds_up(monkeypatch):
    monkeypatch.setattr(merge_learning, "LARGE", 0)
    told = []
    found = learned([([0, 1, 2], 2), ([0, 1], 1)], 5, 1, first_seen=False, told=told.append)
    assert sum(told) == len(found.pieces) == 2


# Sennrich et al. 2016, figure 1 and section 3.2.


def test_the_merges_of_the_paper():
    tokenizer = toy()
    merges = [(tokenizer.piece(left), tokenizer.piece(right)) for left, right, _ in tokenizer.merges.pairs.tolist()]
    assert [(left.decode().replace(" ", "</w>"), right.decode().replace(" ", "</w>")) for left, right in merges] == [
        ("e", "s"), ("es", "t"), ("est", "</w>"), ("l", "o"), ("lo", "w"),
        ("n", "e"), ("ne", "w"), ("new", "est</w>"), ("low", "</w>"), ("w", "i"),
    ]  # fmt: skip
    assert tokenizer.vocabulary.pieces()[:14] == [b"<unk>", b"<s>", b"</s>", *map(bytes, zip(b"lowernstid")), b" "]


def test_a_list_of_words_is_the_text_it_was_counted_from():
    text = b"low " * 5 + b"lower " * 2 + b"newest " * 6 + b"widest " * 3 + b"\n"
    assert fit(counted(text, CHAR), 24).digest == toy().digest


# The tokenizers library.


@pytest.mark.parametrize(("merges", "minimum"), [(1500, 1), (100_000, 20)])
def test_merges_are_those_of_the_library(merges, minimum, tmp_path):
    (tmp_path / "prose.txt").write_bytes(PROSE)
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=256 + merges, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
        min_frequency=minimum,
    )  # fmt: skip
    library.train([str(tmp_path / "prose.txt")], trainer)
    reached = library.get_vocab_size() - 256
    assert reached == merges if minimum == 1 else 300 < reached < merges
    ours = trained(PROSE, reached, minimum=minimum)
    shown = [visible(piece) for piece in ours.vocabulary.pieces()]
    assert {piece: token - 3 for token, piece in enumerate(shown) if token >= 3} == library.get_vocab()
    if minimum > 1:
        with pytest.raises(DataError, match=f"merges for {3 + 256 + reached}$"):
            trained(PROSE, reached + 1, minimum=minimum)


# Counts.


def shards(lines, cuts):
    edges = [0, *sorted(cut % (len(lines) + 1) for cut in cuts), len(lines)]
    return [b"".join(lines[begin:end]) for begin, end in pairwise(edges)]


@pytest.mark.parametrize("scheme", [Scheme(), Scheme(pattern="gpt4", normalize=("nfc", "lowercase")), CHAR])
@settings(max_examples=30)
@given(st.lists(st.sampled_from(PROSE.splitlines(keepends=True)), min_size=1, max_size=12), st.lists(st.integers(0)))
def test_counts_of_shards_add_up_to_those_of_the_whole(scheme, lines, cuts):
    whole, sum_, blocks = counted(b"".join(lines), scheme), Counter(scheme), Counter(scheme)
    for part in shards(lines, cuts):
        sum_.merge(counted(part, scheme))
        blocks.add(blocks.scan(part))
    for other in (sum_.total(), blocks.total()):
        assert (other.blob == whole.blob).all()
        assert (other.offsets == whole.offsets).all()
        assert (other.counts == whole.counts).all()


def test_counts_are_of_pre_tokens_in_order_of_first_appearance():
    counts = counted(b"the cat, the  cat\nthe\n", Scheme())
    edges = counts.offsets.tolist()
    pieces = [counts.blob.tobytes()[begin:end] for begin, end in pairwise(edges)]
    assert dict(zip(pieces, counts.counts.tolist(), strict=True)) == {
        b"the": 2, b" cat": 2, b",": 1, b" the": 1, b" ": 1, b"\n": 2,
    }  # fmt: skip
    assert pieces == [b"the", b" cat", b",", b" the", b" ", b"\n"]


def test_counts_of_another_scheme_do_not_add_up():
    with pytest.raises(DataError, match="other pre-tokens"):
        Counter(CHAR).merge(counted(b"a\n", Scheme()))


@pytest.mark.parametrize(
    ("lines", "number"),
    [([b"a 1", b"b"], 2), ([b"3"], 1), ([b""], 1), ([b"a 0"], 1), ([b"a -1"], 1), ([b"a 1.5"], 1), ([b"a 1e3"], 1),
     ([b"a 1", b"a 9007199254740992"], 2), ([b"a \xc2\xb2"], 1)],
)  # fmt: skip
def test_lines_that_are_not_a_word_and_its_count(lines, number):
    with pytest.raises(DataError, match=f"line {number} "):
        from_table(lines, CHAR)


def test_words_listed_twice_add_up():
    once, twice = (
        from_table(TOY, CHAR),
        from_table([b"low\t4", b"lower 2", b"newest  6", b"widest 3\r", b"low 1"], CHAR),
    )
    assert isinstance(twice, PretokenCounts)
    assert fit(once, 24).digest == fit(twice, 24).digest


# Sizes.


@settings(max_examples=30)
@given(st.text("ab c", max_size=30), st.sampled_from([Scheme(), CHAR]), st.integers(1, 2))
def test_the_size_is_the_one_asked_for_or_the_largest_is_named(text, scheme, minimum):
    counts = counted(text.encode() + b" a\n", scheme)
    with pytest.raises(DataError) as error:
        fit(counts, 1000, minimum=minimum)
    largest = int(str(error.value).split()[-1])
    assert error.value.hint.startswith(f"--vocab-size {largest}")
    assert ("--min-frequency" in error.value.hint) == (minimum > 1)
    smallest = 3 + (256 if scheme.level == "byte" else len({*text, "a"} - {" "}) + 1)
    for size in {smallest, largest}:
        assert fit(counts, size, minimum=minimum).size == size
    with pytest.raises(DataError, match="can't be reached"):
        fit(counts, largest + 1, minimum=minimum)
    with pytest.raises(DataError, match="can't hold 3 special tokens") as error:
        fit(counts, smallest - 1, minimum=minimum)
    assert error.value.hint == f"--vocab-size {smallest} or more"


def test_special_tokens_come_first_and_once():
    tokenizer = trained(b"[A] [A] [A]\n", 1, special=[b"[A]", b"[B]"])
    assert tokenizer.names == {b"<unk>": 0, b"<s>": 1, b"</s>": 2, b"[A]": 3, b"[B]": 4}
    assert tokenizer.size == 5 + 256 + 1
    assert fit(counted(b"a\n", CHAR), 7, special=[b"<s>", b"[A]"]).names == {
        b"<unk>": 0, b"<s>": 1, b"</s>": 2, b"[A]": 3,
    }  # fmt: skip


@pytest.mark.parametrize("minimum", [1, 5])
def test_compiled_code_learns_the_same(minimum, monkeypatch):
    monkeypatch.setattr(merge_learning, "LARGE", 1 << 60)
    plain = trained(PROSE, 900, minimum=minimum)
    monkeypatch.setattr(merge_learning, "LARGE", 0)
    monkeypatch.setattr(merge_learning, "_start", None)  # what is not compiled can't be used
    assert np.array_equal(trained(PROSE, 900, minimum=minimum).merges.pairs, plain.merges.pairs)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.lists(st.integers(0, 2), max_size=12), st.integers(1, 9)), max_size=6), st.integers(3, 20))
def test_compiled_code_counts_as_counting_anew(words, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge_learning, "LARGE", 0)
        assert learned(words, size, 1, first_seen=False) == counting_anew(words, size, 1, first_seen=False)


# Three ways to the same merges: compiled code, the others, and the tokenizers library.


def merges_of_library(words, size, minimum):
    """Merges, as bytes, of words of a, b and c."""
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    alphabet = [letter.decode() for letter in LETTERS]
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, min_frequency=minimum, show_progress=False
    )
    spelled = [(b"".join(LETTERS[symbol] for symbol in word).decode(), count) for word, count in words]
    library.train_from_iterator([f"{word} " * count for word, count in spelled], trainer)
    merges = json.loads(library.to_str())["model"]["merges"]
    return [tuple(part.encode() for part in (pair.split() if isinstance(pair, str) else pair)) for pair in merges]


def check_three_ways(words, size, minimum):
    """Raises AssertionError where one of them learns other merges."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge_learning, "LARGE", 0)
        compiled = learned(words, size, minimum, first_seen=False)
        patch.setattr(merge_learning, "LARGE", 1 << 60)
        plain = learned(words, size, minimum, first_seen=False)
    assert compiled == plain
    known = [*LETTERS, *plain.pieces]
    assert [(known[left], known[right]) for left, right, _ in plain.merges] == merges_of_library(words, size, minimum)


def test_places_of_a_symbol_with_itself_are_merged_from_the_left():
    words = [([0, 0], 4), ([0, 1, 1, 0, 1, 1, 0, 1, 1], 4), ([0], 3)]
    check_three_ways([([1 - symbol for symbol in word], count) for word, count in words], 9, 1)
    check_three_ways(words, 9, 1)


def random_corpora(seed, count):
    """Few distinct words of one to three letters, where many pairs overlap and many counts are equal."""
    chance = random.Random(seed)
    for _ in range(count):
        letters = chance.randint(1, 3)
        words = {
            tuple(chance.choices(range(letters), k=chance.randint(1, 14))): chance.randint(1, 9)
            for _ in range(chance.randint(1, 6))
        }
        yield [(list(word), times) for word, times in words.items()], 3 + chance.randint(1, 25), chance.randint(1, 3)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 25))])
def test_random_corpora_give_the_same_merges_three_ways(seed):
    for corpus in random_corpora(seed, 300):
        check_three_ways(*corpus)
