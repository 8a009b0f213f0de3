"""Counts of blocks of symbols against dictionaries of tuples."""

import math
import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.array_storage import Memory
from lmkit.information import block_entropy, sorted_runs
from lmkit.information.block_entropy import BlockCounts, SymbolCounts, counts_of, in_window, windows
from lmkit.information.measures import Spectrum
from lmkit.information.symbols import Bytes, Characters, Lines, Tokens, WordSymbols, unit_of
from lmkit.tokenization.tokenizers import ByteTokenizer

STREAMS = st.lists(st.integers(0, 2) | st.sampled_from([0, 255, 5000]), max_size=60)


def by_tuples(stream, order):
    """Spectra of blocks and histories of each order, at the positions that have `order` symbols before them."""
    places = range(order, len(stream))
    return [
        tuple(
            Spectrum(Counter(Counter(tuple(stream[p - k : p + end]) for p in places).values()))
            for end in (1, 0)
        )
        for k in range(order + 1)
    ]  # fmt: skip


def pieces(stream, cuts):
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [np.array(stream[a:b], dtype=np.int32) for a, b in pairwise(edges)]


def counted(stream, order, cuts=(), **settings):
    counter = BlockCounts(order, memory=1 << 30, spill=Memory, **settings)
    for piece in pieces(stream, cuts):
        counter.add(piece)
    return [(one.blocks, one.histories) for one in counter.finish()]


@given(
    STREAMS, st.integers(0, 12), st.lists(st.integers(0, 60), max_size=4),
    st.sampled_from([None, 5001, 1 << 16, 1 << 31]),
)  # fmt: skip
def test_blocks_are_those_of_dictionaries(stream, order, cuts, alphabet):
    """Packed keys, hashed ones, and keys that stop fitting on the way."""
    expected = by_tuples(stream, order) if len(stream) > order else []
    assert counted(stream, order, cuts, alphabet=alphabet) == expected


@given(
    STREAMS.map(lambda stream: 4 * stream), st.integers(1, 6), st.sampled_from([1, 7, 1 << 18]), st.integers(2, 4),
    st.sampled_from([0, 500]), st.integers(3, 50), st.sampled_from([None, 5001]),
)  # fmt: skip
def test_runs_and_merging_change_nothing(stream, order, step, merged, limit, most, alphabet):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block_entropy, "STEP", step)
        patch.setattr(sorted_runs, "STEP", step)
        patch.setattr(sorted_runs, "MERGED", merged)
        patch.setattr(block_entropy, "RUN", most)
        counter = BlockCounts(order, memory=1 << 30, spill=Memory, alphabet=alphabet)
        counter._shelf._left = limit
        counter.add(np.array(stream, dtype=np.int32))
        found = [(one.blocks, one.histories) for one in counter.finish()]
    assert found == (by_tuples(stream, order) if len(stream) > order else [])


@given(st.binary(max_size=100), st.integers(1, 4), st.lists(st.integers(0, 100), max_size=3))
def test_bytes(text, order, cuts):
    stream = list(text)
    assert counted(stream, order, cuts, alphabet=256) == (by_tuples(stream, order) if len(stream) > order else [])
    counter = SymbolCounts()
    for piece in pieces(stream, cuts):
        counter.add(piece.astype(np.uint8))
    assert [one.blocks for one in counter.finish()] == ([Spectrum.of(Counter(stream).values())] if text else [])


@given(st.binary(max_size=9), st.sampled_from([np.uint8, np.int32]))
def test_symbols_are_counted_whatever_their_number(text, dtype):
    """An odd byte at the end has no partner in a pair."""
    counts = counts_of(np.frombuffer(text, dtype=np.uint8).astype(dtype))
    assert counts.tolist() == [text.count(value) for value in range(len(counts))]
    assert counts.sum() == len(text)


@given(STREAMS.filter(lambda stream: len(stream) > 6), st.integers(0, 5))
def test_laws_of_conditional_entropy(stream, order):
    counter = BlockCounts(order, memory=1 << 30, spill=Memory)
    counter.add(np.array(stream))
    found = counter.finish()
    entropies = [one.entropy() for one in found]
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(entropies))
    assert all(one.block_entropy() >= one.entropy() - 1e-12 for one in found)
    for one in found:
        histories = sum(n * c / one.positions * math.log2(one.positions / c) for c, n in one.histories.items())
        assert one.entropy() == pytest.approx(one.block_entropy() - histories, abs=1e-12)


def test_a_stream_that_repeats_itself_has_no_entropy_left():
    for length in (3, 4, 99):
        counter = BlockCounts(2, memory=0, spill=Memory)
        counter.add(np.arange(length) % 2)
        assert [one.entropy() for one in counter.finish()][1:] == [0.0, 0.0]


def test_support():
    for symbols, supported in ((10, False), (20, True)):
        counter = SymbolCounts()
        counter.add(np.arange(symbols) % 2)
        assert counter.finish()[0].supported is supported


# Windows.


@given(
    st.lists(st.integers(0, 9), max_size=40), st.integers(1, 9), st.integers(1, 12),
    st.lists(st.integers(0, 40), max_size=6),
)  # fmt: skip
def test_windows_of_a_stream(stream, size, step, cuts):
    found = [(begin, window.tolist()) for begin, window in windows(pieces(stream, cuts), size, step)]
    assert found == [(begin, stream[begin : begin + size]) for begin in range(0, len(stream) - size + 1, step)]


def test_windows_come_as_soon_as_they_are_full():
    seen = []

    def stream():
        for number in range(5):
            seen.append(number)
            yield np.array([number])

    assert next(windows(stream(), 2, 1))[1].tolist() == [0, 1]
    assert seen == [0, 1]


@given(st.lists(st.sampled_from([0, 1, 2**63, 2**64 - 1]), min_size=4, max_size=30), st.integers(0, 3))
def test_the_entropy_of_a_window(stream, order):
    one = in_window(np.array(stream, dtype=np.uint64), order)
    assert (one.order, one.blocks, one.histories) == (order, *by_tuples(stream, order)[-1])


# Units.


def same_partition(symbols, expected):
    """Whether equal numbers stand for equal symbols and for no others."""
    assert len(symbols) == len(expected)
    pairs = set(zip(np.asarray(symbols).tolist(), expected, strict=True))
    assert len(pairs) == len(dict(pairs)) == len(set(expected))


TEXTS = st.lists(st.text(st.sampled_from("ab é\u00a0\U0001f600\t\r\0\n"), max_size=12), min_size=1, max_size=4)


@given(TEXTS)
@pytest.mark.parametrize("way", ["symbols", "passing"])
def test_characters_and_words(way, texts):
    for unit, part in ((Characters(), list), (WordSymbols(), re.compile("[^ \t\r\n\0]+").findall)):
        symbols = [np.asarray(getattr(unit, way)(text.encode()), dtype=np.uint64) for text in texts]
        same_partition(np.concatenate(symbols), [piece for text in texts for piece in part(text)])


@given(TEXTS)
@pytest.mark.parametrize("way", ["symbols", "passing"])
def test_lines(way, texts):
    unit = Lines()
    found = np.concatenate([getattr(unit, way)(text.encode() + b"\n") for text in texts])
    same_partition(found, [line for text in texts for line in text.split("\n")])


def test_numbers_are_low_so_that_they_pack():
    assert Characters().symbols("☃☃😀a".encode()).max() == 2
    assert Bytes().symbols(b"\xff\0").tolist() == [255, 0]
    assert Bytes().alphabet == 256


def test_tokens_are_the_tokenizer_s():
    unit = unit_of("token", ByteTokenizer())
    assert isinstance(unit, Tokens)
    assert unit.symbols(b"ab\nc\n").tolist() == [100, 101, 102]
    assert unit.alphabet == ByteTokenizer().size
