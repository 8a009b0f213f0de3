"""The arithmetic coder, and what it learns on the way."""

import contextlib
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.compression.adaptive_models import AdaptiveBit, AdaptiveBytes
from lmkit.compression.arithmetic_coder import BIT, Decoder, Encoder
from lmkit.errors import DataError

PARTS = st.lists(st.one_of(st.integers(1, 4), st.integers(1, 2**60)), min_size=1, max_size=5)


def ends(parts):
    return list(itertools.accumulate(parts))


def encoded(choices):
    encoder, data = Encoder(), b""
    for parts, choice in choices:
        assert encoder.choose(ends(parts), choice) == choice
        if len(encoder) > 3:
            data += encoder.take()
    return data + encoder.finish()


def decoded(data, distributions, pieces=1):
    decoder = Decoder(data[at : at + pieces] for at in range(0, len(data), pieces))
    found = [decoder.choose(ends(parts)) for parts in distributions]
    decoder.finish()
    return found


def cost(choices):
    return sum(math.log2(sum(parts)) - math.log2(parts[choice]) for parts, choice in choices)


@pytest.mark.parametrize("parts", [[1], [1, 1], [1, 2], [3, 1], [1, 1, 1], [1, 5, 2], [7, 1, 1, 7], [2**62 - 1, 1]])
def test_every_short_sequence_comes_back(parts):
    """All sequences of up to five choices, and files that differ wherever the sequences do."""
    for length in range(6):
        files = set()
        for sequence in itertools.product(range(len(parts)), repeat=length):
            choices = [(parts, choice) for choice in sequence]
            data = encoded(choices)
            assert decoded(data, [parts] * length) == list(sequence)
            assert 8 * len(data) < cost(choices) + 8 + 1e-9
            files.add(data)
        assert len(files) == len(parts) ** length


@given(st.lists(PARTS.flatmap(lambda parts: st.tuples(st.just(parts), st.integers(0, len(parts) - 1))), max_size=60))
def test_any_sequence_comes_back(choices):
    data = encoded(choices)
    assert decoded(data, [parts for parts, _ in choices], pieces=3) == [choice for _, choice in choices]
    assert 8 * len(data) < cost(choices) + 8 + 1e-6


@pytest.mark.parametrize("choice", [0, 1, 2])
@pytest.mark.parametrize("length", [1, 31, 32, 33, 500])
def test_carries(choice, length):
    """The lower end, the upper end with words full of ones, and the middle, where low stays close to a carry."""
    parts = [2**40 - 1, 2, 2**40 - 1]
    choices = [(parts, 1), *[(parts, choice)] * length, (parts, 2), (parts, 0)]
    data = encoded(choices)
    assert decoded(data, [parts] * len(choices)) == [choice for _, choice in choices]
    assert 8 * len(data) < cost(choices) + 8 + 1e-6


def test_a_carry_runs_through_words_of_ones():
    """A third is 0x5555..., so halves of thirds come close to every border; then the border is crossed."""
    for length in range(1, 200):
        choices = [([1, 1], 0), *[([1, 1], 1)] * length, ([1, 2], 1), ([1, 1, 1], 2)]
        assert decoded(encoded(choices), [parts for parts, _ in choices]) == [choice for _, choice in choices]


def test_a_million_choices_cost_what_they_should():
    parts = [2**47 - 3, 2**46, 5]
    choices = [(parts, 0), (parts, 1)] * 20_000
    assert 8 * len(encoded(choices)) < cost(choices) + 8 + 1e-4


def test_bits_are_counted():
    encoder = Encoder()
    choices = [([3, 5], 1), ([2**40, 1], 1), ([1, 1, 1], 0)] * 30
    for parts, choice in choices:
        encoder.choose(ends(parts), choice)
    assert encoder.bits == pytest.approx(cost(choices), abs=1e-3)  # the last part gets what division leaves
    encoder_bits = encoder.bits
    decoder = Decoder([encoder.finish()])
    for parts, _ in choices:
        decoder.choose(ends(parts))
    assert decoder.bits == pytest.approx(encoder_bits, abs=1e-9)


@given(st.lists(st.tuples(st.integers(1, BIT - 1), st.integers(0, 1)), max_size=100))
def test_choices_between_two(bits):
    encoder = Encoder()
    for ones, value in bits:
        encoder.bit(ones, value)
    decoder = Decoder([encoder.finish()])
    assert [decoder.bit(ones) for ones, _ in bits] == [value for _, value in bits]
    decoder.finish()


@given(st.lists(st.integers(0, 2), min_size=20, max_size=60), st.data())
def test_files_that_are_not_whole(choices, data):
    """Whatever is cut off or added is noticed; what is changed is noticed or decodes to something else."""
    parts = [5, 3, 2]
    file = encoded([(parts, choice) for choice in choices])
    for wrong in (file[: data.draw(st.integers(0, len(file) - 1))], file + data.draw(st.binary(min_size=1))):
        with pytest.raises(DataError):
            decoded(wrong, [parts] * len(choices))
    place, flip = data.draw(st.integers(0, len(file) - 1)), data.draw(st.integers(1, 255))
    wrong = bytes(byte ^ flip if at == place else byte for at, byte in enumerate(file))
    with contextlib.suppress(DataError):
        assert decoded(wrong, [parts] * len(choices)) != choices


def test_a_decoder_does_not_go_on_for_ever():
    with pytest.raises(DataError, match="cut off"):
        decoded(b"\x12", [(1, 1)] * 200)


# What is learned on the way.


@given(st.lists(st.binary(max_size=12), max_size=8))
def test_pieces_of_bytes(pieces):
    encoder, learned = Encoder(), AdaptiveBytes()
    for piece in pieces:
        assert learned.code(encoder, piece, 12) == piece
    data = encoder.finish()
    decoder, learned = Decoder([data]), AdaptiveBytes()
    assert [learned.code(decoder, b"", 12) for _ in pieces] == pieces
    decoder.finish()


def test_pieces_are_learned():
    encoder, learned = Encoder(), AdaptiveBytes()
    costs = []
    for _ in range(50):
        before = encoder.bits
        learned.code(encoder, b" dragon ", 99)
        costs.append(encoder.bits - before)
    assert costs[0] == pytest.approx(72, abs=25)
    assert costs[-1] < 2
    assert costs == sorted(costs, reverse=True)


def test_what_is_learned_is_bounded(monkeypatch):
    monkeypatch.setattr(AdaptiveBytes, "MOST", 50)
    pieces = [bytes(range(start, start + 20)) for start in range(0, 200, 20)]
    encoder, learned = Encoder(), AdaptiveBytes()
    for piece in pieces:
        learned.code(encoder, piece, 20)
        assert len(learned._seen) <= 53
    decoder, learned = Decoder([encoder.finish()]), AdaptiveBytes()
    assert [learned.code(decoder, b"", 20) for _ in pieces] == pieces


def test_a_piece_without_end_is_damage():
    encoder, learned = Encoder(), AdaptiveBytes()
    learned.code(encoder, b"x" * 20, 20)
    with pytest.raises(DataError, match="without end"):
        AdaptiveBytes().code(Decoder([encoder.finish()]), b"", 19)


@given(st.lists(st.integers(0, 1), max_size=50))
def test_flags(values):
    """Parts 1 and 4 at first, 64 more for each that comes: the cost is a product of fractions."""
    encoder, flag = Encoder(), AdaptiveBit(1, 4)
    counts, expected = [1, 4], 0.0
    for value in values:
        flag.code(encoder, value)
        expected -= math.log2(counts[value] / sum(counts))
        counts[value] += 64
    assert encoder.bits == pytest.approx(expected, abs=1e-9)
    decoder, flag = Decoder([encoder.finish()]), AdaptiveBit(1, 4)
    assert [flag.code(decoder, 0) for _ in values] == values
