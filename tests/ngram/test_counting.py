"""Counts of n-grams against dictionaries of tuples."""

import itertools
from contextlib import closing
from pathlib import Path

import numpy as np
import oracle
import pytest
import small_models as small
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import MARKED, TidyDisk, as_words, check, same, serialized

from lmkit.array_storage import Memory
from lmkit.ngram import corpus, counting
from lmkit.ngram.corpus import count_corpus
from lmkit.ngram.counting import count_sentences, mark
from lmkit.tokenization.tokenizers import ByteTokenizer, CharLearner, Fixed, WordLearner, from_list

quick = settings(deadline=None, max_examples=50)


@pytest.fixture
def disk(tmp_path):
    (tmp_path / "runs").mkdir()
    with closing(TidyDisk(str(tmp_path / "runs"))) as disk:
        yield disk


def spread(sentences, cuts):
    """The text in blocks of whole lines."""
    edges = sorted({0, *(cut % (len(sentences) + 1) for cut in cuts), len(sentences)})
    return [small.text_of(sentences[a:b]) for a, b in itertools.pairwise(edges)]


@quick
@given(small.corpora("abcde", most=12, more=MARKED), st.integers(1, 6))
def test_counts_are_those_of_dictionaries(sentences, order):
    done = small.counted(sentences, order)
    names = [piece.decode() for piece in done.tokenizer.vocabulary.pieces()]
    assert names == oracle.vocabulary(sentences)
    assert done.dropped == sum(word in ("<s>", "</s>") for sentence in sentences for word in sentence)
    check(done.counts, names, sentences, order)


@quick
@given(small.corpora("ab", most=6, length=20), st.integers(1, 6), st.integers(1, 40), st.integers(1, 4))
def test_neither_parts_nor_threads_change_counts(sentences, order, part, threads):
    done = small.counted(sentences, order)
    tokenizer = done.tokenizer
    text = mark(*tokenizer.encode_block(small.text_of(sentences)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "PART", part)
        counts = count_sentences(text, order, tokenizer.size, threads)
    check(counts, oracle.vocabulary(sentences), sentences, order)
    for one, other in zip(counts.levels, done.counts.levels, strict=True):
        assert one.count.dtype == other.count.dtype
        assert one.suffix.dtype == other.suffix.dtype
    same(counts, done.counts)


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_no_text_has_no_ngrams(order):
    done = count_corpus([], WordLearner(), order, memory=small.AMPLE, spill=Memory)
    assert [len(level) for level in done.counts.levels] == [3] + [0] * (order - 1)
    assert done.counts.levels[0].count.tolist() == [0, 0, 0]
    assert (done.runs, done.dropped) == (1, 0)


def test_empty_lines_are_sentences():
    done = small.counted([[], [], ["a"]], 3)
    found, _ = as_words(done.counts, ["<unk>", "<s>", "</s>", "a"])
    assert found[0] == {("<unk>",): 0, ("<s>",): 3, ("</s>",): 3, ("a",): 1}
    assert found[1] == {("<s>", "</s>"): 2, ("<s>", "a"): 1, ("a", "</s>"): 1}
    assert found[2] == {("<s>", "a", "</s>"): 1}


def test_order_zero_counts_words():
    assert small.counted([["a", "a"]], 0).counts.order == 1


def test_mark_puts_sentence_marks_around_each_line():
    ids, ends = np.array([5, 6, 7], dtype=np.int32), np.array([0, 2, 2, 3])
    assert mark(ids, ends).tolist() == [1, 2, 1, 5, 6, 2, 1, 2, 1, 7, 2]
    assert mark(ids[:0], ends[:0]).tolist() == []


@quick
@given(
    small.corpora("abc", most=10, more=MARKED), st.integers(1, 5), st.lists(st.integers(0, 20), max_size=5),
    st.integers(1, 3),
)  # fmt: skip
def test_runs_of_one_block_each_give_the_counts_of_one_run(tmp_path_factory, sentences, order, cuts, threads):
    whole = small.counted(sentences, order)
    blocks = spread(sentences, cuts)
    original = corpus._runs
    with closing(TidyDisk(str(tmp_path_factory.getbasetemp()))) as disk, pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "_runs", lambda blocks, learner, most, threads: original(blocks, learner, 1, threads))
        done = count_corpus(blocks, WordLearner(), order, memory=0, spill=lambda: disk, threads=threads)
        assert done.runs == len(blocks)
        assert (done.storage is disk) == (len(blocks) > 1)
        assert done.dropped == whole.dropped
        assert done.tokenizer.vocabulary.pieces() == whole.tokenizer.vocabulary.pieces()
        same(done.counts, whole.counts)
        assert serialized(done) == serialized(whole)


def test_a_text_larger_than_the_memory_is_counted_in_runs_on_disk(disk):
    """The least that a run holds is 65536 positions, however little memory is allowed."""
    sentences = small.zipf(1, sentences=16000, types=400)
    blocks = spread(sentences, range(0, 16000, 500))
    one = count_corpus(blocks, WordLearner(), 3, memory=small.AMPLE, spill=lambda: disk)
    assert disk.writers == []
    several = count_corpus(blocks, WordLearner(), 3, memory=1, spill=lambda: disk, threads=2)
    assert one.runs == 1
    assert several.runs == sum(len(sentence) + 2 for sentence in sentences) // 65536 + 1 == 2
    same(one.counts, several.counts)
    assert serialized(one) == serialized(several)
    check(one.counts, oracle.vocabulary(sentences), sentences, 3)
    assert list(Path(disk.folder).iterdir()) == [], "runs have no names"


@pytest.mark.parametrize("values", [[], [1, 2, 3]])
def test_an_array_on_disk_keeps_no_file_open(disk, values):
    writer = disk.writer(np.int64)
    writer.append(np.array(values, dtype=np.int64))
    assert writer.finish().tolist() == values
    assert writer._file.closed


@quick
@given(
    small.corpora("abcdef", most=10, more=MARKED), st.integers(1, 4),
    st.one_of(st.none(), st.integers(1, 7)), st.integers(1, 4), st.lists(st.integers(0, 20), max_size=3),
)  # fmt: skip
def test_a_limited_vocabulary_is_that_of_a_text_with_rare_words_replaced(sentences, order, most, least, cuts):
    original = corpus._runs
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "_runs", lambda blocks, learner, most, threads: original(blocks, learner, 1, threads))
        done = count_corpus(
            spread(sentences, cuts), WordLearner(), order, memory=0, spill=Memory, max_vocab=most, min_count=least
        )
    replaced = oracle.limited(sentences, most, least)
    names = [piece.decode() for piece in done.tokenizer.vocabulary.pieces()]
    assert names == oracle.vocabulary(replaced)
    check(done.counts, names, replaced, order)
    same(done.counts, small.counted(replaced, order).counts)


def test_of_equally_frequent_words_the_first_seen_stay():
    done = small.counted([["b", "a", "c", "d", "d"]], 1, max_vocab=3)
    assert done.tokenizer.vocabulary.pieces()[3:] == [b"b", b"a", b"d"]
    assert done.counts.levels[0].count.tolist() == [1, 1, 1, 1, 1, 2]


@quick
@given(st.lists(st.text("añ€😀 \t", max_size=9), max_size=6), st.integers(1, 4), st.integers(1, 3))
def test_characters_are_counted(lines, order, least):
    block = "".join(line + "\n" for line in lines).encode()
    blocks = [block] if lines else []
    done = count_corpus(blocks, CharLearner(), order, memory=small.AMPLE, spill=Memory, min_count=least)
    names = [piece.decode() for piece in done.tokenizer.vocabulary.pieces()]
    kept = {character for character in "".join(lines) if "".join(lines).count(character) >= least}
    sentences = [[character if character in kept else "<unk>" for character in line] for line in lines]
    assert names == oracle.vocabulary(sentences)
    check(done.counts, names, sentences, order)


@quick
@given(st.lists(st.binary(max_size=6).map(lambda line: line.replace(b"\n", b"")), max_size=5), st.integers(1, 3))
def test_bytes_are_counted(lines, order):
    done = count_corpus(
        [b"".join(line + b"\n" for line in lines)] if lines else [], Fixed(ByteTokenizer()), order,
        memory=small.AMPLE, spill=Memory,
    )  # fmt: skip
    names = [*oracle.NAMES, *map(chr, range(256))]
    check(done.counts, names, [[chr(byte) for byte in line] for line in lines], order)


@quick
@given(small.corpora("abcd", more=MARKED), st.integers(1, 3))
def test_words_outside_a_given_vocabulary_count_as_unknown(sentences, order):
    fixed = Fixed(from_list("word", [b"zz", b"c", b"a"]))
    done = small.counted(sentences, order, fixed)
    names = [piece.decode() for piece in done.tokenizer.vocabulary.pieces()]
    assert names == ["<unk>", "<s>", "</s>", "zz", "c", "a"]
    plain = [[word if word in (*names, "<s>", "</s>") else "<unk>" for word in sentence] for sentence in sentences]
    check(done.counts, names, plain, order)
