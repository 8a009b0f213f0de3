"""Scores made of likelihoods, worked out by hand."""

import math

import pytest

from lmkit.errors import DataError
from lmkit.using.prompting import norms
from lmkit.using.prompting.questions import Question, Scored, question_of, without_content

INF = math.inf
ASKED = Question("x", ("no", "niña"))
SCORED = Scored((-6.0, -8.0), (2, 4))


def logs(*numbers):
    return [math.log(number) if number else -INF for number in numbers]


@pytest.mark.parametrize(
    ("norm", "scores"), [("none", [-6, -8]), ("tokens", [-3, -2]), ("bytes", [-3, -8 / 5]), ("chars", [-3, -2])]
)
def test_lengths(norm, scores):
    assert norms.normalised(SCORED, ASKED, norm) == pytest.approx(scores)


@pytest.mark.parametrize(
    ("norm", "scores"), [("tokens", [-3, -2]), ("bytes", [-6 / 5, -8 / 8]), ("chars", [-6 / 4, -8 / 6])]
)
def test_lengths_count_the_text_behind_the_answer(norm, scores):
    """Candidate and tail are what the model scores, so that all units count both."""
    asked = Question("x", ("no", "niña"), joint=" ", after="\u00e1s")
    assert norms.normalised(SCORED, asked, norm) == pytest.approx(scores)


def test_an_answer_of_no_length_is_no_division_by_zero():
    for norm in norms.FREE:
        assert norms.normalised(Scored((0.0,), (0,)), Question("", ("",)), norm) == [0.0]


def test_mutual_information_is_a_difference():
    beside = norms.Beside(alone=[-1.0, -7.0], domain=[-6.0, -2.0])
    assert norms.normalised(SCORED, ASKED, "pmi", beside) == [-5.0, -1.0]
    assert norms.normalised(SCORED, ASKED, "domain", beside) == [0.0, -6.0]


def test_what_is_impossible_is_no_nan():
    beside = norms.Beside(alone=[-INF, -INF])
    assert norms.normalised(Scored((-INF, -3.0), (1, 1)), ASKED, "pmi", beside) == [-INF, INF]
    assert norms.proportions([-INF, -INF]) == pytest.approx(logs(0.5, 0.5))
    assert norms.proportions([-INF, INF]) == [-INF, 0.0]
    assert norms.calibrated(logs(0, 0.1), [logs(0, 0.3)]) == [-INF, 0.0]


def test_calibration_by_hand():
    # p = (.9, .1); contents give (.8, .2) and (.6, .4), on average (.7, .3); .9/.7 : .1/.3 = 27 : 7
    found = norms.calibrated(logs(0.09, 0.01), [logs(0.4, 0.1), logs(0.03, 0.02)])
    assert found == pytest.approx(logs(27 / 34, 7 / 34))


def test_a_bias_towards_an_answer_is_taken_away():
    assert norms.calibrated(logs(0.6, 0.3), [logs(0.2, 0.1)]) == pytest.approx(logs(0.5, 0.5))


@pytest.mark.parametrize(("scores", "chosen"), [([1, 2, 2], 1), ([0, 0], 0), ([-INF, -INF], 0), ([-INF, -9], 1)])
def test_ties_go_to_the_first(scores, chosen):
    assert norms.best(scores) == chosen


# What else is asked.


def test_the_last_of_a_text_is_replaced():
    asked = Question("good => + good =>", ("+", "-"), " ", ".")
    assert without_content(asked, "good", "N/A") == Question("good => + N/A =>", ("+", "-"), " ", ".")
    assert without_content(Question("good", ("+",), "\t", "; good"), "good", "").after == "; "
    assert without_content(Question("a good", ("+",), "\t"), "good", "") == Question("a", ("+",), " \t")
    assert without_content(asked, "bad", "N/A") is None
    assert without_content(asked, "", "N/A") is None


def test_questions_of_norms():
    asked = Question("a b =>", ("x", "y"), " ", place="f:1")
    assert norms.questions(asked, norms.FREE, None, ("",), None) == [asked]
    alone, domain = Question("", ("x", "y"), " "), Question("D:", ("x", "y"), " ")
    several = [asked, alone, domain, Question("a N/A =>", ("x", "y"), " "), Question("a  =>", ("x", "y"), " ")]
    assert norms.questions(asked, norms.NORMS, "D: ", ("N/A", ""), "b") == several
    scored = [Scored(tuple(nats), (1, 1)) for nats in ([-1, -2], [-3, -5], [-2, -2], logs(0.5, 0.5), logs(0.5, 0.5))]
    found = norms.all_normalised(asked, scored, norms.NORMS)
    assert (found["none"], found["pmi"], found["domain"]) == ([-1, -2], [2, 3], [1, 0])
    assert found["calibrated"] == pytest.approx(norms.proportions([-1, -2]))
    for text in (None, "", "zebra", 7):
        with pytest.raises(DataError, match="f:1: no `input`"):
            norms.questions(asked, ("calibrated",), None, ("",), text)


def test_prompts_end_in_no_space():
    assert question_of("a => \t", ("x",), "_") == Question("a =>", ("x",), " \t_")
    assert question_of("a\n", ("x",)) == Question("a\n", ("x",))
    assert question_of("I [Z] [Z].", ("x",), slot=6) == Question("I [Z]", ("x",), " ", ".")
