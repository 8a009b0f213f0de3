"""Sums in texts, checked exactly."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.metrics.arithmetic_steps import steps


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
        ("6:00 PM. 3 + 4 = 7: so", ["3 + 4 = 7"]),
        (
            "120 \u2013 80 - 15 = 25; 100 - 60 = 40%; 45% + 5% = 50",
            ["120 \u2013 80 - 15 = 25", "100 - 60 = 40%", "45% + 5% = 50"],
        ),
        ("- 3 + 4 = 7\n* 5x6 = 30", ["3 + 4 = 7", "5x6 = 30"]),
        ("x = 5, 5 = 5, 3 apples + 2 = 4 pears", []),
        ("2 + 3 = and (((", []),
        ("2x = 7; 3 + * 4 = 7; ) = (", []),
        ("1 + 1\n= 3", []),
    ],
)
def test_right_sums(text, found):
    assert [(step.text, step.right) for step in steps(text)] == [(one, True) for one in found]


@pytest.mark.parametrize(
    "text",
    [
        "3x + 4 = 28", "3x +4 - 4 = 28 - y", "1e3 + 1 = 1001", "x+4=32-7", "100-x+40-30 = 60",
        "3*30 = 30 + M", "8/3 = 24/Y",
        "27(1/3)=9", "2(6+12)=36", "9(8)-5=67", "8 x 1 1/2 = 12", "12 x 1 and 1/4 = 15", "17/3 = 5 and 2/3 loads",
        "3 / 2 = 1 1/2", "4 / 3 = 1 and 1/3", "13 / 6 = 2 full cycles", "60 / 3/4 = 80", "5/ 1/2 = 10",
        "$80 000 x 20/100 = $16 000", "600 x 30 = 18 000", "14, 400 / 80 = 180", "16,0000/10=16000",
        "0900-0130 = 0730",
        "12-10-2024 = 5", "2024-10-12 = 3", "12/10/2024 = 5", "6:00+48=6:48", "in 2020 5 + 6 = 12",
        "Week 1-2 = 96 - 70",
        "$2.50 - $2.24 = 26 cents", "$2000x 10/100 = $200", ".8 + . 84 + .82 = 2.46", "day 1 * 2 = 20", "10 = 5 + 4",
        "5 apples + 3 - 1 = 9", "10 apples -3 + 1 = 8", "A1 + 2 = 4", "2 + 2 = 4k", "5 * 2 = 1 thousand",
        "half of 20 + 4 = 14", "10% of 50 + 5 = 10", "7 plus 3 * 2 = 14", "4 - 3 + 2 = 7 - x", "5 = 2 + 2",
    ],
)  # fmt: skip
def test_what_may_be_read_in_another_way_is_left_alone(text):
    assert list(steps(text)) == []


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
    assert list(steps("1 + 1 = 2 " + "+" * 20_000)) == []
    assert list(steps("9" * 20_000 + " + 1 = 7")) == []
