"""Entropies of distributions and estimates from counts, against textbook figures and identities."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.errors import DataError
from lmkit.information import measures
from lmkit.information.measures import CORRECTIONS, Joint, Pair, Spectrum, digamma

COUNTS = st.lists(st.integers(0, 1000), min_size=1, max_size=20).filter(any)
DISTRIBUTIONS = COUNTS.map(lambda counts: np.array(counts) / sum(counts))
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(st.integers(0, 9), min_size=width, max_size=width), min_size=1, max_size=5)
)


@pytest.mark.parametrize(
    ("p", "bits", "perplexity"),
    [
        ([0.5, 0.5], 1.0, 2.0), ([1 / 32] * 32, 5.0, 32.0), ([1 / 2, 1 / 4, 1 / 8, 1 / 8], 1.75, 2**1.75),
        ([1 / 2, 1 / 4, 1 / 8, 1 / 16, *[1 / 64] * 4], 2.0, 4.0), ([1.0], 0.0, 1.0), ([0.0, 1.0, 0.0], 0.0, 1.0),
    ],
)  # fmt: skip
def test_textbook_entropies_exactly(p, bits, perplexity):
    found = measures.entropy(np.array(p))
    assert (found, measures.perplexity(found)) == (bits, perplexity)
    assert math.copysign(1, found) == 1


def test_units():
    assert measures.in_unit(1.0, "bits") == 1
    assert measures.in_unit(1.0, "nats") == pytest.approx(0.693147180559945, abs=1e-15)
    assert measures.in_unit(1.0, "hartleys") == pytest.approx(0.301029995663981, abs=1e-15)
    assert measures.from_nats(0.1, "nats") == 0.1
    assert measures.from_nats(math.log(8), "bits") == pytest.approx(3)
    assert measures.perplexity(1e9) == math.inf


@given(DISTRIBUTIONS)
def test_bounds_of_an_entropy(p):
    assert 0 <= measures.entropy(p) <= math.log2(len(p)) + 1e-12


# Two distributions.


def test_divergences_of_the_textbook():
    """Cover and Thomas, example 2.3.1."""
    p, q = np.array([0.5, 0.5]), np.array([0.75, 0.25])
    assert measures.divergence(p, q) == pytest.approx(1 - math.log2(3) / 2)
    assert measures.divergence(q, p) == pytest.approx(0.75 * math.log2(3) - 1)


@given(COUNTS, COUNTS, st.sampled_from([0.0, 0.5, 1.0]))
def test_laws_of_divergence(counts, others, add):
    pair = Pair.of_counts(np.array(counts), np.array(others), add=add)
    p, q = pair.p, pair.q
    assert len(p) == len(q)
    assert p.sum() == pytest.approx(1)
    assert q.sum() == pytest.approx(1)
    divergence = measures.divergence(p, q)
    assert divergence >= 0
    assert measures.divergence(p, p) == 0
    assert measures.cross_entropy(p, q) == pytest.approx(measures.entropy(p) + divergence, abs=1e-12)
    assert math.isinf(divergence) == bool(((p > 0) & (q == 0)).any())
    between = measures.jensen_shannon(p, q)
    assert 0 <= between <= 1
    assert between == pytest.approx(measures.jensen_shannon(q, p), abs=1e-15)
    if not ((p > 0) & (q > 0)).any():
        assert between == pytest.approx(1)


def test_smoothing_is_over_the_union():
    pair = Pair.of_counts(np.array([1, 0, 0]), np.array([0, 0, 2, 4]), add=1)
    assert pair.p.tolist() == [2 / 4, 1 / 4, 1 / 4]
    assert pair.q.tolist() == [1 / 9, 3 / 9, 5 / 9]


# Joint distributions.

COVER = np.array([[1 / 8, 1 / 16, 1 / 32, 1 / 32], [1 / 16, 1 / 8, 1 / 32, 1 / 32], [1 / 16] * 4, [1 / 4, 0, 0, 0]])
"""Cover and Thomas, example 2.2.1; there X chooses the column."""


def test_joint_entropies_of_the_textbook():
    found = Joint.of(COVER)
    assert found.joint == pytest.approx(27 / 8)
    assert (found.x, found.y) == pytest.approx((2, 7 / 4))
    assert found.x_given_y == pytest.approx(13 / 8)
    assert found.y_given_x == pytest.approx(11 / 8)
    assert found.mutual_information == pytest.approx(3 / 8)
    found = Joint.of(np.array([[0.25, 0.25], [0.5, 0]]))
    assert (found.joint, found.x, found.y_given_x) == (1.5, 1.0, 0.5)
    found = Joint.of(np.array([[1 / 3, 1 / 3], [0, 1 / 3]]))
    assert [found.x, found.x_given_y, found.joint, found.mutual_information] == pytest.approx(
        [0.918296, 2 / 3, math.log2(3), 0.251629], abs=1e-6
    )


@given(TABLES.filter(lambda rows: sum(map(sum, rows)) > 1))
def test_identities_of_joint_entropies(rows):
    p = measures.joint_distribution(rows)
    found, turned = Joint.of(p), Joint.of(p.T)
    assert found.joint == pytest.approx(found.x + found.y_given_x, abs=1e-12)
    assert found.joint == pytest.approx(found.y + found.x_given_y, abs=1e-12)
    independent = np.outer(p.sum(axis=1), p.sum(axis=0))
    assert found.mutual_information == pytest.approx(measures.divergence(p.ravel(), independent.ravel()), abs=1e-12)
    assert (turned.x, turned.y) == pytest.approx((found.y, found.x), abs=1e-12)
    assert found.normalised is None or -1e-12 <= found.normalised <= 1 + 1e-12
    assert (found.normalised is None) == (found.x == found.y == 0)


def test_counts_and_probabilities_are_told_apart():
    assert measures.joint_distribution([[1, 1], [2, 0]]).tolist() == [[0.25, 0.25], [0.5, 0]]
    assert measures.joint_distribution([[1.0]]).tolist() == [[1]]
    with pytest.raises(DataError, match=r"sum to 0\.6"):
        measures.joint_distribution([[0.2, 0.2], [0.1, 0.1]])
    assert measures.joint_distribution([[0.2, 0.2]], rescale=True).tolist() == [[0.5, 0.5]]


# What is no distribution.


@pytest.mark.parametrize(
    "values", [[], [0.5, -0.5, 1.0], [math.nan, 1.0], [math.inf], [0.5, 0.4999], [0.5, 0.50001], [0.0]]
)
def test_what_is_no_distribution(values):
    with pytest.raises(DataError):
        measures.distribution(values)


def test_a_distribution_may_be_rounded_or_rescaled():
    assert measures.distribution([1 / 3, 0.3333333, 0.3333333]).sum() < 1
    assert measures.distribution([1, 3], rescale=True).tolist() == [0.25, 0.75]
    with pytest.raises(DataError, match="sum to 0"):
        measures.distribution([0, 0], rescale=True)


# Samples.


@pytest.mark.parametrize(
    ("correction", "bits"),
    [("none", 2.83978), ("miller-madow", 3.10554), ("grassberger", 3.09404), ("grassberger-1988", 3.15835)],
)
def test_estimates_of_a_sample(correction, bits):
    """Figures computed elsewhere for these counts."""
    assert CORRECTIONS[correction](Spectrum.of([4, 2, 3, 2, 4, 2, 1, 1])) == pytest.approx(bits, abs=5e-6)


@given(COUNTS)
def test_estimates_follow_their_formulas(counts):
    sample = Spectrum.of(counts)
    seen = [count for count in counts if count]
    total = sum(seen)
    assert (sample.total, sample.distinct) == (total, len(seen))
    plug_in = CORRECTIONS["none"](sample)
    assert plug_in == pytest.approx(measures.entropy(np.array(counts) / total), abs=1e-12)
    assert CORRECTIONS["miller-madow"](sample) == pytest.approx(
        plug_in + (len(seen) - 1) / (2 * total) * math.log2(math.e), abs=1e-12
    )
    nats = math.log(total) - sum(
        c * (digamma(c) + (-1) ** c / 2 * (digamma((c + 1) / 2) - digamma(c / 2))) for c in seen
    ) / total  # fmt: skip
    assert CORRECTIONS["grassberger"](sample) == pytest.approx(max(0, nats / math.log(2)), abs=1e-9)


def test_entropy_of_a_word():
    letters = Spectrum.of(["mississippi".count(letter) for letter in "misp"])
    assert CORRECTIONS["none"](letters) == pytest.approx(1.8231, abs=5e-5)


def test_one_symbol_has_no_entropy():
    for count in (1, 2, 3, 10**15):
        assert CORRECTIONS["none"](Spectrum.of([count, 0])) == 0
        assert CORRECTIONS["miller-madow"](Spectrum.of([count])) == 0


def test_digamma():
    """Abramowitz and Stegun, 6.3.2 to 6.3.5."""
    euler = 0.57721566490153286
    assert digamma(1) == pytest.approx(-euler, abs=1e-13)
    assert digamma(0.5) == pytest.approx(-euler - 2 * math.log(2), abs=1e-13)
    for x in (0.3, 1.5, 9.99, 10.0, 12345.5):
        assert digamma(x + 1) == pytest.approx(digamma(x) + 1 / x, abs=1e-13)


@given(COUNTS, st.data())
def test_a_spectrum_follows_one_symbol(counts, data):
    place = data.draw(st.integers(0, len(counts) - 1))
    by = data.draw(st.sampled_from([1, -1] if counts[place] else [1]))
    changed = list(counts)
    changed[place] += by
    assert Spectrum.of(counts).moved(counts[place], by) == Spectrum.of(changed)
