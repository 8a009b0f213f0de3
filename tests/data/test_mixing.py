"""Mixtures of corpora."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.data.mixing import Schedule, plan, tempered

GPT3 = {
    "cc": (0.6, 410e9),
    "webtext2": (0.22, 19e9),
    "books1": (0.08, 12e9),
    "books2": (0.08, 55e9),
    "wiki": (0.03, 3e9),
}


def test_the_epochs_of_gpt3():
    """Row K6."""
    shares = plan(
        {name: weight for name, (weight, _) in GPT3.items()}, 300e9, {name: size for name, (_, size) in GPT3.items()}
    )
    assert [round(share.epochs, 3) for share in shares] == [0.439, 3.474, 2.0, 0.436, 3.0]
    assert math.isclose(sum(share.proportion for share in shares), 1)


def test_temperature():
    assert tempered({"a": 8, "b": 1}, 1) == {"a": 8 / 9, "b": 1 / 9}
    assert tempered({"a": 8, "b": 1, "c": 0}, 3) == pytest.approx({"a": 2 / 3, "b": 1 / 3, "c": 0})


@given(
    st.lists(st.floats(0.01, 1), min_size=2, max_size=4),
    st.lists(st.integers(0, 9), min_size=1, max_size=5),
    st.integers(1, 300),
)
def test_proportions_hold_to_within_a_document(weights, sizes, wanted):
    proportions = {str(at): weight / sum(weights) for at, weight in enumerate(weights)}
    documents = {name: ((size, b"") for size in itertools.cycle(sizes)) for name in proportions}
    schedule = Schedule(proportions)
    for _ in schedule.draw(documents, wanted):
        total = sum(schedule.tokens.values())
        for name, share in proportions.items():
            assert abs(schedule.tokens[name] - share * total) <= max(1, *sizes) * len(weights)
    assert wanted <= total < wanted + max(1, *sizes)
