"""Perplexity and its relatives; sizes of models."""

import math
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.data.sequences import TextFormat
from lmkit.evaluation import perplexity
from lmkit.evaluation.perplexity import Totals, measure
from lmkit.scaling import model_sizes
from lmkit.tokenization.line_ends import with_line_ends

TEXT = st.lists(
    st.text(st.sampled_from("ab é\u00a0\u2028\t\r\0\x0b😀"), max_size=12).map(lambda line: line.encode() + b"\n"),
    min_size=1,
    max_size=5,
).map(b"".join)


@given(block=TEXT)
def test_sizes_of_a_text(block):
    sizes = measure(block)
    assert sizes.lines == block.count(b"\n")
    assert sizes.characters == len(block.decode())
    assert sizes.size == len(block)
    words = [
        word
        for line in block.split(b"\n")
        for word in line.replace(b"\t", b" ").replace(b"\r", b" ").replace(b"\0", b" ").split(b" ")
        if word
    ]
    assert sizes.words == len(words)


@given(lengths=st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_ends_of_sentences(lengths):
    ids = np.arange(3, 3 + sum(lengths), dtype=np.int32)
    longer, ends = with_line_ends(ids, np.cumsum(lengths), 2)
    parts = np.split(longer, ends[:-1])
    assert [part[-1] for part in parts] == [2] * len(lengths)
    assert np.concatenate([part[:-1] for part in parts]).tolist() == ids.tolist()
    assert [len(part) - 1 for part in parts] == lengths


def test_no_sentence_at_all():
    longer, ends = with_line_ends(np.zeros(0, np.int32), np.zeros(0, np.int64), 2)
    assert (len(longer), len(ends)) == (0, 0)


# Totals.


def test_perplexities():
    totals = Totals(
        tokens=4, unknown_tokens=1, nats=-math.log(16), nats_known=-math.log(8), words=3, characters=8, bytes=10
    )
    assert totals.perplexity == pytest.approx(2)
    assert totals.perplexity_known == pytest.approx(2)
    assert totals.bits_per(totals.tokens) == pytest.approx(1)
    assert totals.bits_per(totals.bytes) == pytest.approx(0.4)


def test_perplexities_at_the_borders():
    assert Totals(tokens=1, nats=-math.inf).perplexity == math.inf
    assert Totals(tokens=1, nats=-1e9).perplexity == math.inf
    assert Totals(tokens=1, nats=0.0).perplexity == 1
    assert Totals(tokens=2, unknown_tokens=2, nats=-3.0).perplexity_known == 1
    assert Totals(nats=-1.0).bits_per(0) == math.inf
    assert Totals().bits_per(0) == 0


def test_adding_up():
    total = Totals()
    for number in range(1, 4):
        total.add(Totals(number, number, -number, -number, number, number, number, [(number,)] * 5))
    assert (total.tokens, total.unknown_tokens, total.nats, total.nats_known) == (6, 6, -6, -6)
    assert (total.words, total.characters, total.bytes) == (6, 6, 6)
    assert total.impossible == [(1,)] * 5 + [(2,)] * 5


# A model that is no n-gram model.


class Halving:
    """Each token has half the probability of the one before; nothing else matters."""

    form = TextFormat("line", 1, 2)

    class tokenizer:  # noqa: N801
        specials = MappingProxyType({"unk": 0, "bos": 1, "eos": 2})

        @staticmethod
        def encode_block(block):
            lines = block[:-1].split(b"\n")
            return np.full(sum(len(line.split()) for line in lines), 3, np.int32), np.cumsum(
                [len(line.split()) for line in lines]
            )

    def score_many(self, ids, ends):
        lengths = np.diff(ends, prepend=0)
        return np.concatenate([-math.log(2) * np.arange(1, length + 1) for length in lengths])


def test_models_of_any_family_are_evaluated():
    totals = perplexity.evaluate_block(Halving(), b"a b\nc\n")
    assert totals.tokens == 5
    assert totals.nats == pytest.approx(-math.log(2) * (1 + 2 + 3 + 1 + 2))
    lines = list(perplexity.lines_of(Halving(), [b"a b\nc\n", b"\n"]))
    assert [line.text for line in lines] == [b"a b", b"c", b""]
    assert [line.total for line in lines] == pytest.approx([-math.log(2) * n for n in (6, 3, 1)])
    assert [line.perplexity for line in lines] == pytest.approx([4, 2**1.5, 2])
    without = perplexity.evaluate_block(Halving(), b"a b\nc\n", eos=False)
    assert (without.tokens, without.characters, without.bytes) == (3, 4, 4)


def test_three_formulas_for_models_whose_probability_depends_on_the_whole_past():
    """Equal tokens in equal short contexts have different probabilities here, and the formulas agree all the same."""
    summary = perplexity.three_perplexities(Halving(), perplexity.lines_of(Halving(), [b"a b\nc\n"]))
    assert summary["perplexity"] == pytest.approx(2 ** (9 / 5))
    assert summary["perplexity_from_entropy"] == pytest.approx(2 ** (9 / 5))
    assert summary["perplexity_from_cross_entropy"] == pytest.approx(2 ** (9 / 5))


def test_three_formulas_of_nothing():
    summary = perplexity.three_perplexities(Halving(), [])
    assert summary["tokens"] == 0
    assert not any(math.isnan(value) for value in summary.values())


# Sizes of models.


@given(vocabulary=st.integers(1, 10**6), order=st.integers(0, 8))
def test_sizes_of_tables(vocabulary, order):
    whole, free = model_sizes.ngram_parameters(vocabulary, order), model_sizes.ngram_free_parameters(vocabulary, order)
    assert whole == vocabulary**order
    assert free == (whole - vocabulary ** (order - 1) if order else 0)
    assert isinstance(whole, int)
    assert isinstance(free, int)
