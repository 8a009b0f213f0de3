"""Scores made of likelihoods, worked out by hand."""

import math

import pytest

from lmkit.errors import DataError
from lmkit.prompting import score_normalization
from lmkit.prompting.multiple_choice import Question, Scored, question_of, without_content

INF = math.inf
ASKED = Question("x", ("no", "niña"))
SCORED = Scored((-6.0, -8.0), (2, 4))


def logs(*numbers):
    return [math.log(number) if number else -INF for number in numbers]


@pytest.mark.parametrize(
    ("norm", "scores"), [("none", [-6, -8]), ("tokens", [-3, -2]), ("bytes", [-3, -8 / 5]), ("chars", [-3, -2])]
)
def test_lengths(norm, scores):
    assert score_normalization.normalised(SCORED, ASKED, norm) == pytest.approx(scores)


@pytest.mark.parametrize(
    ("norm", "scores"), [("tokens", [-3, -2]), ("bytes", [-6 / 5, -8 / 8]), ("chars", [-6 / 4, -8 / 6])]
)
def test_lengths_count_the_text_behind_the_answer(norm, scores):
    """Candidate and tail are what the model scores, so that all units count both."""
    asked = Question("x", ("no", "niña"), joint=" ", after="\u00e1s")
    assert score_normalization.normalised(SCORED, asked, norm) == pytest.approx(scores)


def test_an_answer_of_no_length_is_no_division_by_zero():
    for norm in score_normalization.FREE:
        assert score_normalization.normalised(Scored((0.0,), (0,)), Question("", ("",)), norm) == [0.0]


def test_mutual_information_is_a_difference():
    beside = score_normalization.Baselines(alone=[-1.0, -7.0], domain=[-6.0, -2.0])
    assert score_normalization.normalised(SCORED, ASKED, "pmi", beside) == [-5.0, -1.0]
    assert score_normalization.normalised(SCORED, ASKED, "domain", beside) == [0.0, -6.0]


def test_what_is_impossible_is_no_nan():
    beside = score_normalization.Baselines(alone=[-INF, -INF])
    assert score_normalization.normalised(Scored((-INF, -3.0), (1, 1)), ASKED, "pmi", beside) == [-INF, INF]
    assert score_normalization.proportions([-INF, -INF]) == pytest.approx(logs(0.5, 0.5))
    assert score_normalization.proportions([-INF, INF]) == [-INF, 0.0]
    assert score_normalization.calibrated(logs(0, 0.1), [logs(0, 0.3)]) == [-INF, 0.0]


def test_calibration_by_hand():
    # p = (.9, .1); contents give (.8, .2) and (.6, .4), on average (.7, .3); .9/.7 : .1/.3 = 27 : 7
    found = score_normalization.calibrated(logs(0.09, 0.01), [logs(0.4, 0.1), logs(0.03, 0.02)])
    assert found == pytest.approx(logs(27 / 34, 7 / 34))


def test_a_bias_towards_an_answer_is_taken_away():
    assert score_normalization.calibrated(logs(0.6, 0.3), [logs(0.2, 0.1)]) == pytest.approx(logs(0.5, 0.5))


@pytest.mark.parametrize(("scores", "chosen"), [([1, 2, 2], 1), ([0, 0], 0), ([-INF, -INF], 0), ([-INF, -9], 1)])
def test_ties_go_to_the_first(scores, chosen):
    assert score_normalization.best(scores) == chosen


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
    assert score_normalization.questions(asked, score_normalization.FREE, None, ("",), None) == [asked]
    alone, domain = Question("", ("x", "y"), " "), Question("D:", ("x", "y"), " ")
    several = [asked, alone, domain, Question("a N/A =>", ("x", "y"), " "), Question("a  =>", ("x", "y"), " ")]
    assert score_normalization.questions(asked, score_normalization.NORMS, "D: ", ("N/A", ""), "b") == several
    scored = [Scored(tuple(nats), (1, 1)) for nats in ([-1, -2], [-3, -5], [-2, -2], logs(0.5, 0.5), logs(0.5, 0.5))]
    found = score_normalization.all_normalised(asked, scored, score_normalization.NORMS)
    assert (found["none"], found["pmi"], found["domain"]) == ([-1, -2], [2, 3], [1, 0])
    assert found["calibrated"] == pytest.approx(score_normalization.proportions([-1, -2]))
    for text in (None, "", "zebra", 7):
        with pytest.raises(DataError, match="f:1: no `input`"):
            score_normalization.questions(asked, ("calibrated",), None, ("",), text)


def test_prompts_end_in_no_space():
    assert question_of("a => \t", ("x",), "_") == Question("a =>", ("x",), " \t_")
    assert question_of("a\n", ("x",)) == Question("a\n", ("x",))
    assert question_of("I [Z] [Z].", ("x",), slot=6) == Question("I [Z]", ("x",), " ", ".")
