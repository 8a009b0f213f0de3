"""Sums in texts, checked exactly."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.using.metrics.calculations import steps


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("He has 23 - 20 = 3 apples. 3 + 6 = 9.", ["23 - 20 = 3", "3 + 6 = 9"]),
        ("<<1,000*2=2000>>2000", ["1,000*2=2000"]),
        ("10 / 3 = 3.33, and 2/3=0.7", ["10 / 3 = 3.33", "2/3=0.7"]),
        ("(3 + 4 = 7)", ["3 + 4 = 7"]),
        ("((1+2)*3 = 9)", ["(1+2)*3 = 9"]),
        ("$5 x 2 = $10", ["$5 x 2 = $10"]),
        ("20% * 50 = 10", ["20% * 50 = 10"]),
        ("1 / 4 = 25%", ["1 / 4 = 25%"]),
        ("-3 + -2 = -5", ["-3 + -2 = -5"]),
        ("2 \u00d7 6 \u00f7 4 \u2212 1 = 2", ["2 \u00d7 6 \u00f7 4 \u2212 1 = 2"]),
        ("8 - 3 - 2 = 3 = 9 / 3", ["8 - 3 - 2 = 3", "3 = 9 / 3"]),
        ("in 2020 5 + 6 = 11 12", ["5 + 6 = 11"]),
        ("x = 5, 5 = 5, 3 apples + 2 = 4 pears", []),
        ("2 + 3 = and (((", []),
        ("2x = 7; 3 + * 4 = 7; ) = (", []),
        ("1 + 1\n= 3", []),
    ],
)
def test_right_sums(text, found):
    assert [(step.text, step.right) for step in steps(text)] == [(one, True) for one in found]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("23 - 20 = 4", Fraction(3)),
        ("10 / 3 = 3.34", Fraction(10, 3)),
        ("10 / 3 = 3", Fraction(10, 3)),
        ("2 + 2 * 2 = 8", Fraction(6)),
        ("0.1 + 0.2 = 0.31", Fraction(3, 10)),
        ("7 / (2 - 2) = 7", None),
    ],
)
def test_wrong_sums(text, value):
    (step,) = steps(text)
    assert (step.right, step.value) == (False, value)


ATOMS = st.integers(0, 30).map(str)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
        | inner.map(lambda one: f"(-{one})")
    ),
    max_leaves=12,
)


@given(EXPRESSIONS.filter(lambda text: " " in text))
def test_values_are_those_of_python(text):
    """Of expressions that the test writes itself, Python's own evaluation with fractions is the judge."""
    import re

    try:
        expected = eval(re.sub(r"\d+", lambda found: f"Fraction({found[0]})", text), {"Fraction": Fraction})
    except ZeroDivisionError:
        expected = None
    (step,) = steps(f"{text} = 5")
    assert step.value == expected
    assert step.right == (expected == 5)


def test_endless_sums_are_left_alone():
    assert list(steps("1+" * 20_000 + "1 = 7")) == []
    assert list(steps("(" * 20_000 + "1 = 7")) == []
    assert next(steps("1 + 1 = 2 " + "+" * 20_000)).right
    assert list(steps("9" * 20_000 + " + 1 = 7")) == []
