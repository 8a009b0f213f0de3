"""Texts under models that reach over line ends: each token once, whatever the blocks."""

import math
import threading

import numpy as np
import pytest
from bigrams import BigramModel, bigram, stepped, tokenizer_of
from hypothesis import given
from hypothesis import strategies as st

from lmkit.data.sequences import TextFormat, sequences
from lmkit.evaluation import perplexity
from lmkit.evaluation.parallel_readers import in_step
from lmkit.evaluation.perplexity import Totals, evaluate, evaluate_all, evaluate_block

CHARS = tokenizer_of("char", "ab é")
LINES = st.lists(st.text(st.sampled_from("ab éz\t"), max_size=6), min_size=1, max_size=7)
CUTS = st.lists(st.booleans(), min_size=7, max_size=7)


def cut(lines, cuts):
    """The lines in blocks of whole lines."""
    blocks = [b""]
    for line, new in zip(lines, cuts, strict=False):
        if new and blocks[-1]:
            blocks.append(b"")
        blocks[-1] += line.encode() + b"\n"
    return blocks


def total(parts):
    whole = Totals()
    for part in parts:
        whole.add(part)
    return whole


def assert_same(one, other):
    for key in ("tokens", "unknown_tokens", "words", "characters", "bytes"):
        assert getattr(one, key) == getattr(other, key), key
    assert (one.nats, one.nats_known) == pytest.approx((other.nats, other.nats_known), abs=1e-9)


@pytest.mark.parametrize("by", ["stream", "file", "blank-line", "line"])
@given(lines=LINES, cuts=CUTS, stretch=st.integers(1, 9))
def test_blocks_do_not_matter(by, lines, cuts, stretch):
    model = bigram(CHARS, by, stretch=stretch)
    blocks = cut(lines, cuts)
    assert_same(total(evaluate(model, blocks)), total(evaluate(model, [b"".join(blocks)])))


@pytest.mark.parametrize("by", ["stream", "file", "blank-line", "line"])
@given(lines=LINES)
def test_totals_are_those_of_stepping(by, lines):
    model = bigram(CHARS, by)
    text = "".join(line + "\n" for line in lines)
    parts = list(sequences(CHARS, model.form, [text.encode()]))
    ids = np.concatenate([np.zeros(0, np.int32), *(ids for ids, _ in parts)])
    sizes = np.cumsum([0, *(len(ids) for ids, _ in parts)])
    ends = {int(end + size) for (_, ends), size in zip(parts, sizes, strict=False) for end in ends}
    found = total(evaluate(model, [text.encode()]))
    assert found.nats == pytest.approx(stepped(model, ids.tolist(), ends).sum(), abs=1e-9)
    kept = [line for line in lines if line.strip()] if by == "blank-line" else lines
    documents = {"file": 1, "blank-line": len("".join("x" if line.strip() else " " for line in lines).split())}
    assert found.tokens == len(ids) == sum(map(len, kept)) + len(kept) + documents.get(by, 0)
    assert found.unknown_tokens == sum(line.count("z") + line.count("\t") for line in kept)
    assert (found.characters, found.bytes) == (len(text), len(text.encode()))
    assert found.words == len(text.split())


def test_a_stream_by_hand():
    """Two tokens, `a` and the line end, after each of which the other has 3/4."""
    tokenizer = tokenizer_of("char", "a")
    table = np.full((4, 4), -np.inf)
    table[2, [3, 2]] = np.log([0.75, 0.25])
    table[3, [3, 2]] = np.log([0.25, 0.75])
    model = BigramModel(tokenizer, TextFormat.of("stream", tokenizer), table)
    found = total(evaluate(model, [b"a\n\n", b"aa\n"]))
    assert found.nats == pytest.approx(math.log(0.75 * 0.75 * 0.25 * 0.75 * 0.25 * 0.75))
    assert (found.tokens, found.characters, found.impossible) == (6, 6, [])
    assert found.bits_per(found.bytes) == pytest.approx(-found.nats / math.log(2) / 6)


def test_what_can_not_be_is_named():
    tokenizer = tokenizer_of("char", "ab")
    table = np.full((5, 5), -math.log(4))
    table[3, 4] = -np.inf
    model = BigramModel(tokenizer, TextFormat.of("stream", tokenizer), table)
    found = total(evaluate(model, [b"ab\n"]))
    assert found.perplexity == math.inf
    assert found.impossible == [(4,)]


class AsItIs:
    """A model of bytes to which line ends are text: every byte costs one bit."""

    form = TextFormat("stream", 0, None)
    tokenizer = tokenizer_of("byte")

    def read(self, blocks):
        for block in blocks:
            yield np.frombuffer(block, np.uint8).astype(np.int32) + 3, np.full(len(block), -math.log(2))

    def score_many(self, ids, ends):
        return np.full(len(ids), -math.log(2))


@given(lines=st.lists(st.sampled_from([b"a b", b"", b"\xc3\xa9", b"a\r"]), min_size=1, max_size=5), ended=st.booleans())
def test_line_ends_that_are_text(lines, ended):
    pieces = [line + b"\n" for line in lines]
    if not ended:
        pieces[-1] = lines[-1]
    text = b"".join(pieces)
    alone, beside, line = evaluate_all([AsItIs(), bigram(CHARS, "stream"), bigram(CHARS, "line")], filter(None, pieces))
    assert (alone.tokens, alone.bytes) == (len(text), len(text))
    assert alone.characters == len(text.decode())
    assert alone.words == len(text.split())
    normal = text.replace(b"\r\n", b"\n")
    if normal and not normal.endswith(b"\n"):
        normal += b"\n"
    assert (beside.tokens, beside.bytes) == (len(normal.decode()), len(normal))
    assert (line.tokens, line.bytes) == (len(normal.decode()), len(normal))


def test_no_end_of_line_is_scored_where_there_is_no_token_for_it():
    ids, ends, nats = perplexity.score_block(AsItIs(), b"ab\n\nc\n")
    assert (len(ids), ends.tolist(), len(nats)) == (3, [2, 2, 3], 3)


@given(lines=LINES, cuts=CUTS, threads=st.integers(1, 3))
def test_models_side_by_side_have_the_numbers_of_each_alone(lines, cuts, threads):
    blocks = cut(lines, cuts)
    models = [bigram(CHARS, "stream", stretch=1), bigram(CHARS, "line", seed=1), bigram(CHARS, "file", stretch=50)]
    together = evaluate_all(models, iter(blocks), threads=threads)
    assert together == [total(evaluate(model, blocks)) for model in models]


def test_lines_on_their_own():
    """A model that reaches over lines scores a block's lines from its start."""
    model = bigram(CHARS, "stream")
    lines = list(perplexity.lines_of(model, [b"ab\nab\n", b"ab\n"]))
    alone = stepped(model, [3, 4, 2]).sum()
    assert [line.total for line in lines] == pytest.approx([alone] * 3)
    (factors,) = {tuple(perplexity.factors_of(model, line)) for line in lines}
    assert [(factor.token, factor.context, factor.order) for factor in factors] == [
        (3, (), 1), (4, (3,), 2), (2, (3, 4), 3),
    ]  # fmt: skip
    assert sum(factor.nats for factor in factors) == pytest.approx(alone)


def test_words_of_a_piece_without_an_end():
    assert perplexity.measure(b"a bc").words == perplexity.measure(b" a bc\n").words == 2
    assert perplexity.measure(b"").words == 0


# Several readers.


@given(takes=st.lists(st.integers(1, 4), min_size=1, max_size=4), count=st.integers(0, 12))
def test_readers_stay_together(takes, count):
    """Each gets all blocks in order; nobody takes more than its own step ahead of who lags behind."""
    given_out = []

    def blocks():
        for number in range(count):
            given_out.append(number)
            yield b"%d" % number

    def reader(step):
        def read(source):
            held = []
            for block in source:
                held.append(block)
                if len(held) == step:
                    yield held
                    held = []
            yield held

        return read

    got = [[] for _ in takes]
    for number, held in in_step([reader(step) for step in takes], blocks()):
        got[number] += held
        assert len(given_out) - min(map(len, got)) <= 2 * max(takes)
    assert got == [[b"%d" % number for number in range(count)]] * len(takes)


def test_a_failure_ends_the_threads_too():
    def broken():
        yield b"a\n"
        raise ValueError("broken")

    before = threading.active_count()
    with pytest.raises(ValueError, match="broken"):
        evaluate_all([bigram(CHARS, "line"), bigram(CHARS, "stream")], broken(), threads=2)
    assert threading.active_count() == before


def test_lines_of_any_model_are_as_by_blocks():
    model = bigram(CHARS, "line")
    assert total(evaluate(model, [b"ab\n", b"a\n"], threads=2)) == total(
        [evaluate_block(model, b"ab\n"), evaluate_block(model, b"a\n")]
    )
