"""Exact match and token F1, by SQuAD's rules."""

import pytest

from lmkit.metrics.exact_match import Normal, exact_match, token_f1


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Cat!", "cat"),
        ("a  b\tc\n", "b c"),
        ("an apple, a day", "apple day"),
        ("U.S.A.", "usa"),
        ("theatre than", "theatre than"),
        ("the-end", "theend"),  # punctuation goes first
        ("año ¿qué?", "año ¿qué"),  # of ASCII only
        ("", ""),
        ("The", ""),
    ],
)
def test_normal_form(text, normal):
    assert Normal().form(text) == normal


def test_articles_of_any_language():
    normal = Normal(("el", "la"))
    assert normal.form("El gato y la luna, the end") == "gato y luna the end"
    assert Normal(()).form("The cat") == "the cat"
    assert Normal(("c++",)).form("c x") == "c x"


def test_the_best_of_several_right_answers():
    assert exact_match("the dog", ["cat", "Dog."])
    assert not exact_match("dogs", ["cat", "dog"])
    assert token_f1("big red dog", ["dog", "big dog", "cat"]) == pytest.approx(2 * 2 / 5)


@pytest.mark.parametrize(
    ("answer", "right", "f1"),
    [
        ("a b b c", "b b b", 2 * 2 / 6),  # of `b b c` and `b b b`
        ("x", "y", 0),
        ("the", "", 1),
        ("the", "dog", 0),
        ("same words", "words same", 1),
    ],
)
def test_token_f1(answer, right, f1):
    assert token_f1(answer, [right]) == pytest.approx(f1)
    assert token_f1(right, [answer]) == pytest.approx(f1)
