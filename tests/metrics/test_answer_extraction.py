"""Answers found in texts, and numbers in normal form."""

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.metrics import answer_extraction
from lmkit.metrics.answer_extraction import Extractor, Judged, LimitedExtractor, Rules, normal_number, number, vote

COT = "The answer is 27. No: the answer is 8. The answer is 9."


def test_what_a_pattern_finds():
    pattern = re.compile(r"[Tt]he answer is (.*?)\.")
    assert Extractor(pattern).find(COT) == "27"
    assert Extractor(pattern, last=True).find(COT) == "9"
    assert Extractor(pattern).find("no answer") is None
    assert Extractor(re.compile(r"\d+")).find("a 12 b") == "12"
    assert Extractor(re.compile(r"(?:x(\d)|y(\d))")).find("y7") == "7"
    assert Extractor(re.compile("()x")).find("x") == ""
    assert Extractor().find(" all \n") == "all"


@given(st.lists(st.text("ab1 .", max_size=9), max_size=9), st.booleans())
def test_an_extractor_within_limits_finds_the_same(texts, last):
    pattern = r"(\d)|[ab]+"
    expected = [Extractor(re.compile(pattern), last).find(text) for text in texts]
    assert list(LimitedExtractor(pattern, last=last).find_each(texts)) == expected
    assert [LimitedExtractor(pattern, last=last).find(text) for text in texts] == expected


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("1,000", "1000"), ("$1000.0", "1000"), ("1000.00%", "1000"), ("27.", "27"), ("007", "7"), ("-0.0", "0"),
        ("3 apples or 1,234.50 dollars", "1234.5"), ("23-20", "20"), ("x = -5", "-5"), ("$-5", "-5"), ("-$5", "-5"),
        ("\u22127", "-7"), ("#### 72", "72"), (".5", "0.5"), ("no", None), ("", None), ("(-3)", "-3"),
        ("3,4", "4"), ("12,34", "34"), ("9" * 5000, "9" * 5000),
    ],
)  # fmt: skip
def test_numbers(text, normal):
    assert number(text) == normal


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9))
def test_a_number_keeps_its_value_however_written(value):
    ways = [str(value), f"{value:,}", f"{value}00", f"about {value:,}%."]
    assert len({number(way) for way in ways}) == 1
    assert Fraction(number(ways[0])) == Fraction(value)
    assert normal_number(number(ways[0])) == number(ways[0])


def test_a_vote():
    assert vote(["a", "b", "b"]) == 1
    assert vote(["a", "b", "b", "a"]) == 0
    assert vote([None, None, "c"]) == 2
    assert vote([None]) is vote([]) is None


def test_judging():
    rules = Rules(Extractor(), numbers=True)

    def judge(rules, texts, right):
        return answer_extraction.judge(rules, list(rules.answers(texts)), right)

    assert judge(rules, ["it is 3.0", "4", "$3"], ["#### 3"]) == Judged("it is 3.0", "3", True, 2, 3)
    assert judge(rules, ["none"], ["3"]) == Judged(None, None, False, 0, 1)
    assert judge(Rules(Extractor()), ["  YES "], ["no", "yes"]).correct
    with pytest.raises(ValueError, match="no number in 'three'"):
        judge(rules, ["3"], ["three"])
