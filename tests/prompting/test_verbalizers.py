"""Labels of words: the course's sets, and what is wrong with others."""

import math

import pytest

from lmkit.errors import DataError
from lmkit.prompting.verbalizers import LabelMapper, is_unknown_label, verbalizer_of

DECK = [("+", ["buena", "bacan"]), ("-", ["mala", "horrible"])]
CANDIDATES = ("buena", "mala", "terrible", "bacan")


def test_the_sets_of_the_course():
    found = verbalizer_of(DECK)
    assert found.words == ("buena", "bacan", "mala", "horrible")
    assert found.strangers(CANDIDATES) == (["terrible"], ["horrible"])
    logs = [math.log(number) for number in (0.1, 0.25, 0.4, 0.2)]
    assert found.scores(CANDIDATES, logs, "sum") == pytest.approx({"+": math.log(0.3), "-": math.log(0.25)})
    assert found.scores(CANDIDATES, logs, "max") == pytest.approx({"+": math.log(0.2), "-": math.log(0.25)})


def test_words_with_their_labels_say_the_same():
    pairs = [("buena", "+"), ("bacan", "+"), ("mala", "-"), ("horrible", "-")]
    assert verbalizer_of(pairs) == verbalizer_of(DECK)


def test_numbers_are_texts_and_labels_without_candidates_have_no_score():
    found = verbalizer_of([("pos", [1, ""]), ("neg", [0])])
    assert found.words == ("1", "", "0")
    assert found.scores(("0", "1"), [-1.0, -2.0], "sum") == {"pos": -2.0, "neg": -1.0}
    assert found.scores(("",), [-math.inf], "sum") == {"pos": -math.inf}
    with pytest.raises(DataError, match="no candidate has a label"):
        found.scores(("2",), [-1.0], "sum")


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("+", ["a"]), ("-", ["b", "a"])], "'a' occurs under '[+]' and under '-'"),
        ([("+", ["a", "a"])], "'a' occurs twice under '[+]'"),
        ([("a", "+"), ("a", "-")], "'a' occurs under '[+]' and under '-'"),
        ([("+", ["a"]), ("b", "-")], "labels with lists of words, or of words"),
        ([], "labels with lists"),
        ([("+", [])], "no words"),
        ([("+", [None])], "None is neither"),
        ([("+", [True])], "True is neither"),
        ([("a", {})], "{} is neither"),
    ],
)
def test_what_is_no_verbalizer(pairs, message):
    with pytest.raises(DataError, match=message):
        verbalizer_of(pairs)


def mapper(said, *, strict=False):
    return LabelMapper("v.json", verbalizer_of(DECK), "sum", strict, said.append)


def test_what_a_verbalizer_does_not_share_is_noticed_once():
    said = []
    one = mapper(said)
    for _ in range(2):
        one.check(CANDIDATES, "f:1")
    assert said == ["f:1: v.json: 'terrible' without a label, 'horrible' not among the candidates"]
    with pytest.raises(DataError, match="without a label"):
        mapper(said, strict=True).check(CANDIDATES)
    with pytest.raises(DataError, match="no candidate has a label"):
        mapper(said).check(["x"])


def test_the_label_is_that_of_the_highest_score():
    label, scores = mapper([]).label(("buena", "mala"), {"none": [-1.0, -2.0], "tokens": [-2.0, -1.0]}, "tokens")
    assert label == "-"
    assert scores == {"+": {"none": -1.0, "tokens": -2.0}, "-": {"none": -2.0, "tokens": -1.0}}


def test_labels_that_can_not_be_answered_are_known():
    assert is_unknown_label("x", ("a",), ["b"])
    assert is_unknown_label(7, ("8",))
    assert not is_unknown_label(7, ("7",))
    assert not is_unknown_label(None, ("a",))
